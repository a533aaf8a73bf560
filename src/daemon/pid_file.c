// SPDX-License-Identifier: MIT
// The process's number in a file, whole from its first moment on, for whoever wants to send
// signals.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/daemon_private.h"

bool pid_file_write(const char *path, struct err *err)
{
    char beside[4096], text[24];
    int len = snprintf(beside, sizeof beside, "%s.%d", path, (int)getpid());
    if (len < 0 || (size_t)len >= sizeof beside)
        return err_set(err, "pid_file: the path is too long");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, "pid_file: cannot write %s", beside);
    // It is no secret, whatever the umask.
    len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    bool ok = !fchmod(fd, 0644) && write(fd, text, (size_t)len) == len;
    ok = !close(fd) && ok && !rename(beside, path);
    if (!ok) {
        err_errno(err, "pid_file: cannot write %s", path);
        unlink(beside);
    }
    return ok;
}

void pid_file_remove(const char *path)
{
    struct buf text;
    uint64_t pid;
    buf_init(&text, 32);
    bool is_read = file_read(path, &text, NULL) && text.len;
    text.len -= is_read; // the line's end
    if (is_read && str_to_u64(buf_str(&text), &pid) && pid == (uint64_t)getpid())
        unlink(path);
    buf_fini(&text);
}
