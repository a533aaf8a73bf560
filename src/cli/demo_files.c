// SPDX-License-Identifier: MIT
// The configuration of the demo, written where its user can look at it: a folder of its own (0700)
// with bearerd.ini and the client's secret (0600). It is there while the demo runs and removed with
// it.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/demo.h"

#define CONFIG_MAX 4096

static const char config_text[] =
    "; What `bearerd demo` runs on. Yours looks the same, with your own token_url,\n"
    "; client_id, client_secret, url and scopes, and a fixed port to listen on.\n"
    "[proxy]\n"
    "listen = 127.0.0.1:0          ; 0: any free port\n"
    "\n"
    "[log]\n"
    "access = yes\n"
    "\n"
    "[credential main]\n"
    "token_url = http://%s/token\n"
    "client_id = " DEMO_CLIENT_ID "\n"
    "client_secret = file:%s\n"
    "\n"
    "[upstream api]\n"
    "url = http://%s\n"
    "hosts = " DEMO_HOST "\n"
    "\n"
    "[route read]\n"
    "match = GET HEAD /**\n"
    "scopes = items:read\n"
    "\n"
    "[route write]\n"
    "match = POST PUT PATCH DELETE /**\n"
    "scopes = items:read items:write\n";

static bool write_file(const char *path, struct str text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "%s", path);
    bool is_whole = write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (!is_whole)
        err_errno(err, "%s", path);
    if (close(fd) && is_whole)
        is_whole = err_errno(err, "%s", path);
    return is_whole;
}

// The first of these that can be written to. A container with a read-only root has /dev/shm.
static bool make_folder(struct demo_files *files, struct err *err)
{
    const char *parents[] = {getenv("TMPDIR"), "/tmp", "/dev/shm"};
    for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
        size_t max = sizeof(files->dir);
        if (!parents[i] || *parents[i] != '/' ||
            snprintf(files->dir, max, "%s/bearerd-demo-XXXXXX", parents[i]) >= (int)max)
            continue;
        if (mkdtemp(files->dir)) // 0700
            return true;
    }
    files->dir[0] = '\0';
    return err_errno(err, "no folder for the demo's files: neither TMPDIR nor /tmp nor /dev/shm");
}

bool demo_files_write(struct demo_files *files, const struct demo_servers *servers, struct err *err)
{
    struct buf text;
    buf_init(&text, CONFIG_MAX);
    if (!make_folder(files, err))
        return false;
    snprintf(files->config_path, sizeof(files->config_path), "%s/bearerd.ini", files->dir);
    snprintf(files->secret_path, sizeof(files->secret_path), "%s/client_secret", files->dir);
    bool is_written =
        buf_printf(&text, config_text, demo_servers_auth_address(servers), files->secret_path,
                   demo_servers_upstream_address(servers)) &&
        write_file(files->config_path, buf_str(&text), err) &&
        write_file(files->secret_path, str_of(demo_servers_client_secret(servers)), err);
    buf_fini(&text);
    if (!is_written)
        demo_files_remove(files);
    return is_written;
}

void demo_files_remove(const struct demo_files *files)
{
    if (!files->dir[0])
        return;
    unlink(files->config_path);
    unlink(files->secret_path);
    rmdir(files->dir);
}

bool demo_files_print(const struct demo_files *files, FILE *to, struct err *err)
{
    struct buf text;
    buf_init(&text, CONFIG_MAX);
    bool is_read = file_read(files->config_path, &text, err);
    struct str rest = buf_str(&text), line;
    while (is_read && str_split(&rest, '\n', &line))
        fprintf(to, "%s%.*s\n", line.len ? "    " : "", STR_ARG(line));
    buf_fini(&text);
    return is_read;
}
