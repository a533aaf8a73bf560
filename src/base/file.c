// SPDX-License-Identifier: MIT
// See file.h.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    for (;;) {
        if (!buf_reserve(out, 1))
            return err_set(err, "%s is larger than %zu bytes", path, out->max - 1);
        ssize_t got = read(fd, out->ptr + out->len, out->cap - out->len);
        if (got == 0)
            return true;
        if (got > 0)
            out->len += (size_t)got;
        else if (errno != EINTR)
            return err_errno(err, "cannot read %s", path);
    }
}

static bool check_secret_mode(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s is not a regular file", path);
    if (st.st_mode & S_IRWXO)
        return err_set(err, "%s is open to every user of this machine (mode %04o): chmod o= %s",
                       path, (unsigned)(st.st_mode & 07777), path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, "%s belongs to user %u, not to root or to the user bearerd runs as",
                       path, (unsigned)st.st_uid);
    return true;
}

static bool open_and_read(const char *path, bool is_secret, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    bool ok = (!is_secret || check_secret_mode(fd, path, err)) && read_all(fd, path, out, err);
    close(fd);
    return ok;
}

bool file_read(const char *path, struct buf *out, struct err *err)
{
    return open_and_read(path, false, out, err);
}

bool file_read_secret(const char *path, struct buf *out, struct err *err)
{
    return open_and_read(path, true, out, err);
}

// -- folders -----------------------------------------------------------------------------------

// Cuts the last name off; false: what is left is "/", or nothing.
static bool cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static char *absolute(const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    char *here = realpath(".", NULL);
    struct buf joined;
    buf_init(&joined, PATH_MAX);
    bool ok = here && buf_printf(&joined, "%s/%s", here, path);
    free(here);
    char *whole = ok ? buf_take(&joined) : NULL;
    buf_fini(&joined);
    return whole;
}

char *file_folder(const char *path)
{
    char *folder = absolute(path);
    while (folder && cut_name(folder)) {
        char *real = realpath(folder, NULL);
        if (!real)
            continue;
        mem_free(folder);
        char *copy = strcmp(real, "/") != 0 ? mem_strdup(real) : NULL;
        free(real);
        return copy;
    }
    mem_free(folder);
    return NULL;
}

bool file_is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return !strncmp(path, folder, len) && (path[len] == '/' || !path[len]);
}
