// SPDX-License-Identifier: MIT
// bearerd reload: have a running bearerd read its configuration again. By its admin listener, which
// says what came of it; by a signal where there is none, which cannot.
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/probe.h"
#include "config/config.h"
#include "http/h1.h"

#define TIMEOUT_MS 30000
#define ANSWER_MAX ((size_t)256 * 1024)

#define QUESTION                                                                                   \
    "POST /reload HTTP/1.1\r\n"                                                                    \
    "Host: localhost\r\n"                                                                          \
    "Content-Length: 0\r\n"                                                                        \
    "Connection: close\r\n\r\n"

// -- by the admin listener ---------------------------------------------------------------------

// What stands for one byte in a JSON string, from `at` on; how many bytes that takes.
static size_t json_char(struct str text, size_t at, char *out)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    *out = text.ptr[at];
    if (*out != '\\' || at + 1 >= text.len)
        return 1;
    for (size_t i = 0; i + 1 < sizeof escapes; i += 2)
        if (escapes[i] == text.ptr[at + 1]) {
            *out = escapes[i + 1];
            return 2;
        }
    *out = '?'; // \uXXXX: nothing that a message of ours is made of
    return 6;
}

// Of a problem document, its "detail", which has a line for each fault; of others, all.
static void print_body(struct str body)
{
    static const char key[] = "\"detail\":\"";
    const char *found = body.len ? memmem(body.ptr, body.len, key, sizeof key - 1) : NULL;
    if (!found) {
        fprintf(stderr, "reload: %.*s\n", STR_ARG(body));
        return;
    }
    size_t at = (size_t)(found - body.ptr) + sizeof key - 1;
    while (at < body.len && body.ptr[at] != '"') {
        char c;
        at += json_char(body, at, &c);
        fputc((unsigned char)c < 0x20 && c != '\n' ? '?' : c, stderr);
    }
    fputc('\n', stderr);
}

static int ask_admin(const char *address)
{
    struct buf answer;
    struct err err;
    struct h1_response response;
    const char *why = "";
    int code = EXIT_FAILED;
    buf_init(&answer, ANSWER_MAX);
    if (!probe_exchange(address, STR(QUESTION), TIMEOUT_MS, &answer, &err))
        fprintf(stderr, "reload: %s\n", err.text);
    else if (h1_parse_response(buf_str(&answer), false, &response, &why) != H1_DONE)
        fprintf(stderr, "reload: %s: no answer that can be understood: %s\n", address, why);
    else if (response.status >= 200 && response.status < 300)
        code = EXIT_DONE;
    else
        print_body(str_from(buf_str(&answer), response.head_len));
    buf_fini(&answer);
    if (code == EXIT_DONE)
        puts("reloaded");
    return code;
}

// -- by a signal -------------------------------------------------------------------------------

// The name a process goes by, as far as it may be read.
static bool read_name(const char *path, struct buf *out)
{
    buf_init(out, 64);
    return file_read(path, out, NULL);
}

// A number in a file may have become another process's.
static bool is_one_of_ours(uint64_t pid)
{
    char path[64];
    struct buf theirs, ours;
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    bool is_known = read_name(path, &theirs);
    is_known = read_name("/proc/self/comm", &ours) && is_known;
    bool is_ours = !is_known || str_eq(buf_str(&theirs), buf_str(&ours));
    buf_fini(&theirs);
    buf_fini(&ours);
    return is_ours;
}

static bool read_pid_file(const char *path, uint64_t *out_pid, struct err *err)
{
    struct buf text;
    buf_init(&text, 64);
    bool ok = file_read(path, &text, err);
    struct str number = buf_str(&text);
    if (ok && str_ends(number, STR("\n")))
        number.len--;
    if (ok && !str_to_u64(number, out_pid))
        ok = err_set(err, "%s holds no process's number", path);
    buf_fini(&text);
    return ok;
}

static int send_signal(uint64_t pid)
{
    if (!pid || pid > INT32_MAX || !is_one_of_ours(pid)) {
        fprintf(stderr, "reload: process %llu is not bearerd\n", (unsigned long long)pid);
        return EXIT_FAILED;
    }
    if (kill((pid_t)pid, SIGHUP)) {
        fprintf(stderr, "reload: process %llu: %s\n", (unsigned long long)pid, strerror(errno));
        return EXIT_FAILED;
    }
    printf("asked process %llu to reload; its log says what came of it\n", (unsigned long long)pid);
    return EXIT_DONE;
}

// -- the command line --------------------------------------------------------------------------

struct wish {
    const char *path, *admin;
    uint64_t pid; // 0: the one in pid_file
};

static bool parse_options(int argc, char **argv, struct wish *out)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"pid", required_argument, NULL, 'p'},
        {"admin", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int option;
    *out = (struct wish){.path = DEFAULT_CONFIG_PATH};
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
        if (option == 'c')
            out->path = optarg;
        else if (option == 'a')
            out->admin = optarg;
        else if (option != 'p' || !str_to_u64(str_of(optarg), &out->pid) || !out->pid)
            return false;
    }
    return optind == argc;
}

// The file may be broken: that is what the one who runs on it will say.
static int reload_by_config(const char *path, uint64_t pid)
{
    struct config_faults faults = {0};
    struct config *config = config_inspect(path, &faults);
    struct err err;
    int code = EXIT_FAILED;
    if (pid)
        code = send_signal(pid); // NOLINT(bugprone-branch-clone)
    else if (!config->pid_file)
        fprintf(stderr,
                "reload: %s has no pid_file, so there is no way to find who runs on it; name the "
                "process (--pid) or its admin listener (--admin)\n",
                path);
    else if (read_pid_file(config->pid_file, &pid, &err))
        code = send_signal(pid);
    else
        fprintf(stderr, "reload: %s\n", err.text);
    config_faults_fini(&faults);
    config_unref(config);
    return code;
}

int cli_reload(int argc, char **argv)
{
    struct wish wish;
    if (!parse_options(argc, argv, &wish)) {
        fprintf(stderr, "usage: bearerd reload [-c FILE] [--pid NUMBER | --admin ADDRESS]\n");
        return EXIT_USAGE;
    }
    return wish.admin ? ask_admin(wish.admin) : reload_by_config(wish.path, wish.pid);
}
