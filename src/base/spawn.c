// SPDX-License-Identifier: MIT
// See spawn.h. posix_spawn() does the work: it neither copies this process's memory nor runs any of
// our code in the new one.
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

// Whoever may write to the file may do what we may. A group of ours, or root's, is let pass: where
// every user has a group of his own, files come like that.
static bool is_open_to_others(const struct stat *file)
{
    bool is_own_group = file->st_gid == 0 || file->st_gid == getegid();
    return (file->st_mode & S_IWOTH) || ((file->st_mode & S_IWGRP) && !is_own_group);
}

bool spawn_check(const char *path, struct err *err)
{
    struct stat file;
    if (path[0] != '/')
        return err_set(err, "cannot start %s: it is no absolute path", path);
    if (stat(path, &file))
        return err_errno(err, "cannot start %s", path);
    if (!S_ISREG(file.st_mode))
        return err_set(err, "cannot start %s: it is no regular file", path);
    if (file.st_uid != 0 && file.st_uid != geteuid())
        return err_set(err, "cannot start %s: it belongs to another user", path);
    if (file.st_mode & S_IWOTH)
        return err_set(err, "cannot start %s: everybody may write to it", path);
    return !is_open_to_others(&file) ||
           err_set(err, "cannot start %s: its group may write to it", path);
}

static int set_up_ends(posix_spawn_file_actions_t *actions, const struct spawn_ends *ends)
{
    int failed = posix_spawn_file_actions_adddup2(actions, ends->input, STDIN_FILENO);
    if (!failed && ends->output >= 0)
        failed = posix_spawn_file_actions_adddup2(actions, ends->output, STDOUT_FILENO);
    else if (!failed)
        failed = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, ends->errors, STDERR_FILENO);
    return failed ? failed : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

static int spawn(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
                 pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none); // ours are blocked or ignored
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    int failed = set_up_ends(&actions, ends);
    if (!failed)
        failed = posix_spawn(out_pid, argv[0], &actions, &attributes, mem_unconst(argv),
                             mem_unconst(env));
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

bool spawn_start(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
                 pid_t *out_pid, struct err *err)
{
    const char *all[SPAWN_ENV_MAX + 4] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
    const char *home = getenv("HOME");
    char *home_line = NULL;
    struct buf line;
    buf_init(&line, 4096);
    size_t count = 2;
    if (home && buf_printf(&line, "HOME=%s", home))
        all[count++] = home_line = buf_take(&line);
    for (size_t i = 0; env && env[i] && i < SPAWN_ENV_MAX; i++)
        all[count++] = env[i];
    errno = spawn(argv, all, ends, out_pid);
    bool ok = !errno || err_errno(err, "cannot start %s", argv[0]);
    mem_free(home_line);
    buf_fini(&line);
    return ok;
}

void spawn_kill(pid_t pid)
{
    if (pid > 1) // 0 would be our own group, 1 everybody
        kill(-pid, SIGKILL);
}
