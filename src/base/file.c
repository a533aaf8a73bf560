// SPDX-License-Identifier: MIT
// See file.h.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
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
