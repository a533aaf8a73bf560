// SPDX-License-Identifier: MIT
// See landlock.h. libc has no functions for these system calls, and the kernel's header of the day
// may be older than the kernel: both are made up for here.
#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Each version of the interface knows more kinds of access; unknown ones would be refused.
#define ACCESS_V1        ((UINT64_C(1) << 13) - 1) // all up to MAKE_SYM
#define ACCESS_REFER     (UINT64_C(1) << 13)       // 2
#define ACCESS_TRUNCATE  (UINT64_C(1) << 14)       // 3
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15)       // 5
#define SCOPE_SIGNAL     (UINT64_C(1) << 1)        // 6: signals to processes outside

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                      \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | ACCESS_TRUNCATE)
#define SOCKET (LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE)
// Of those, what can be said of a single file.
#define FILE_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

struct ruleset { // struct landlock_ruleset_attr as of version 6
    uint64_t fs, net, scoped;
};

struct landlock {
    int fd;
    uint64_t handled;
};

unsigned landlock_version(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (unsigned)version;
}

struct landlock *landlock_new(struct err *err)
{
    unsigned version = landlock_version();
    struct ruleset rules = {.fs = ACCESS_V1};
    rules.fs |= version >= 2 ? ACCESS_REFER : 0;
    rules.fs |= version >= 3 ? ACCESS_TRUNCATE : 0;
    rules.fs |= version >= 5 ? ACCESS_IOCTL_DEV : 0;
    rules.scoped = version >= 6 ? SCOPE_SIGNAL : 0;
    size_t size = version >= 6 ? sizeof rules : sizeof rules.fs;
    long fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0) {
        err_errno(err, "this kernel has no Landlock, or it is switched off");
        return NULL;
    }
    struct landlock *landlock = mem_alloc(sizeof *landlock);
    *landlock = (struct landlock){.fd = (int)fd, .handled = rules.fs};
    return landlock;
}

void landlock_free(struct landlock *landlock)
{
    if (!landlock)
        return;
    close(landlock->fd);
    mem_free(landlock);
}

bool landlock_allow(struct landlock *landlock, const char *path, unsigned rights)
{
    struct stat st;
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return false;
    uint64_t access = (rights & LANDLOCK_READ ? READ : 0) | (rights & LANDLOCK_WRITE ? WRITE : 0) |
                      (rights & LANDLOCK_SOCKET ? SOCKET : 0);
    if (fstat(rule.parent_fd, &st) || !S_ISDIR(st.st_mode))
        access &= FILE_ACCESS;
    rule.allowed_access = access & landlock->handled;
    bool ok = !syscall(SYS_landlock_add_rule, landlock->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int saved = errno;
    close(rule.parent_fd);
    errno = saved;
    return ok;
}

bool landlock_enforce(struct landlock *landlock, struct err *err)
{
    return !syscall(SYS_landlock_restrict_self, landlock->fd, 0) ||
           err_errno(err, "cannot restrict files by Landlock");
}
