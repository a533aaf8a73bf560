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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define FDS_BESIDE 64 // what a program needs to get as far as raising its own limit

// Whoever may write to the file may do what we may. A group of ours, or root's, is let pass: where
// every user has a group of his own, files come like that.
static bool is_open_to_group(const struct stat *file)
{
    bool is_own_group = file->st_gid == 0 || file->st_gid == getegid();
    return (file->st_mode & S_IWGRP) && !is_own_group;
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
    return !is_open_to_group(&file) ||
           err_set(err, "cannot start %s: its group may write to it", path);
}

// -- the limit of open files -------------------------------------------------------------------

static struct rlimit given; // what we were started with; rlim_max 0: not raised

void spawn_raise_limit(void)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &given) || given.rlim_cur >= given.rlim_max)
        return;
    most = given;
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
}

// As posix_spawn(), with the limit that we were given, or `needed` if that is more: programs that
// use select() break when it is high. Ours is low meanwhile, which does no harm to what is open.
static int spawn_limited(pid_t *out_pid, const char *path,
                         const posix_spawn_file_actions_t *actions,
                         const posix_spawnattr_t *attributes, char *const *argv, char *const *env,
                         rlim_t needed)
{
    struct rlimit ours, low = given;
    bool is_raised = given.rlim_max && !getrlimit(RLIMIT_NOFILE, &ours);
    if (low.rlim_cur < needed)
        low.rlim_cur = needed;
    if (low.rlim_cur > low.rlim_max)
        low.rlim_cur = low.rlim_max;
    if (is_raised)
        setrlimit(RLIMIT_NOFILE, &low);
    int failed = posix_spawn(out_pid, path, actions, attributes, argv, env);
    if (is_raised)
        setrlimit(RLIMIT_NOFILE, &ours);
    return failed;
}

// -- commands ----------------------------------------------------------------------------------

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

// Of a process that has nothing from us: our signals are blocked or ignored.
static void set_up_signals(posix_spawnattr_t *attributes, short flags)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setflags(attributes,
                             (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags));
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
                 pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    set_up_signals(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    int failed = set_up_ends(&actions, ends);
    if (!failed)
        failed = spawn_limited(out_pid, argv[0], &actions, &attributes, mem_unconst(argv),
                               mem_unconst(env), 0);
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

// -- programs ----------------------------------------------------------------------------------

// Copies with numbers that no place of theirs has, so that putting one in its place overwrites no
// other. NULL and errno.
static int *move_up(const int *fds, size_t count)
{
    int *moved = mem_array(count, sizeof *moved);
    for (size_t i = 0; i < count; i++) {
        moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, SPAWN_FD_FIRST + (int)count);
        if (moved[i] >= 0)
            continue;
        int saved = errno;
        while (i-- > 0)
            close(moved[i]);
        mem_free(moved);
        errno = saved;
        return NULL;
    }
    return moved;
}

static int spawn_with(const char *program, char *const *argv, char *const *env, const int *fds,
                      size_t count, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = 0;
    posix_spawn_file_actions_init(&actions);
    set_up_signals(&attributes, 0);
    for (size_t i = 0; !failed && i < count; i++)
        failed = posix_spawn_file_actions_adddup2(&actions, fds[i], SPAWN_FD_FIRST + (int)i);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, SPAWN_FD_FIRST + (int)count);
    if (!failed)
        failed = spawn_limited(out_pid, program, &actions, &attributes, argv, env,
                               SPAWN_FD_FIRST + count + FDS_BESIDE);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

bool spawn_program(const char *program, char *const *argv, char *const *env, const int *fds,
                   size_t fd_count, pid_t *out_pid, struct err *err)
{
    int *moved = move_up(fds, fd_count);
    if (!moved)
        return err_errno(err, "cannot start %s", program);
    int failed = spawn_with(program, argv, env, moved, fd_count, out_pid);
    for (size_t i = 0; i < fd_count; i++)
        close(moved[i]);
    mem_free(moved);
    errno = failed;
    return !failed || err_errno(err, "cannot start %s", program);
}

void spawn_kill(pid_t pid)
{
    if (pid > 1) // 0 would be our own group, 1 everybody
        kill(-pid, SIGKILL);
}
