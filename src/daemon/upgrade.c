// SPDX-License-Identifier: MIT
// Another process of the same program takes the place of this one, without a moment in which nobody
// listens: it is started with the listening sockets themselves, not copies of their addresses, so
// that whoever stands in a queue is served by one of the two. Once it says that it takes requests,
// this one drains. If it does not come up, nothing has changed.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "daemon/daemon_private.h"

#define PATIENCE_MS 60000 // for its word

// -- what is handed over -----------------------------------------------------------------------

struct handover {
    int fds[2 * PASSED_MAX + 1]; // own ones first, then a service manager's, then the pipe's end
    size_t own_count, lent_count;
    char numbers[64];
    struct buf names;
};

static bool handover_add_own(struct handover *handover, const struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++) {
        if (handover->own_count >= PASSED_MAX)
            return false;
        // What workers share is one queue, and enough to hand over once.
        if (i == 0 || strncmp(listening->items[i].bound, "unix:", 5) != 0)
            handover->fds[handover->own_count++] = listening->items[i].fd;
    }
    return true;
}

static bool handover_fill(struct handover *handover, const struct daemon *daemon, int pipe_end,
                          struct err *err)
{
    const struct passed *passed = &daemon->passed;
    bool ok = buf_printf(&handover->names, PASSED_NAMES_VARIABLE "=");
    const struct listeners *all[] = {&daemon->listeners, &daemon->desk.listeners};
    for (size_t i = 0; ok && i < ARRAY_LEN(all); i++)
        for (size_t j = 0; ok && j < all[i]->count; j++)
            if (!all[i]->items[j]->is_lent)
                ok = handover_add_own(handover, all[i]->items[j]);
    for (size_t i = 0; ok && i < passed->count; i++) {
        if (passed->items[i].is_own)
            continue;
        ok = buf_printf(&handover->names, "%s%s", handover->lent_count ? ":" : "",
                        passed->items[i].name);
        handover->fds[handover->own_count + handover->lent_count++] = passed->items[i].fd;
    }
    handover->fds[handover->own_count + handover->lent_count] = pipe_end;
    passed_describe(handover->own_count, handover->lent_count, handover->numbers,
                    sizeof handover->numbers);
    return ok || err_set(err, "more than %d sockets", PASSED_MAX);
}

// -- starting it -------------------------------------------------------------------------------

// Into numbers that no place of theirs has, so that putting one in its place overwrites no other.
static bool move_up(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PASSED_FD_FIRST + (int)count);
        if (fds[i] < 0) {
            while (i-- > 0)
                close(fds[i]);
            return false;
        }
    }
    return true;
}

static int spawn(const struct daemon *daemon, const int *fds, size_t count, char **env, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int failed = 0;
    for (size_t i = 0; !failed && i < count; i++)
        failed = posix_spawn_file_actions_adddup2(&actions, fds[i], PASSED_FD_FIRST + (int)i);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, PASSED_FD_FIRST + (int)count);
    if (!failed)
        failed = posix_spawn(out, daemon->upgrade.program, &actions, &attributes,
                             daemon->service.argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static bool handover_start(struct handover *handover, struct daemon *daemon, struct err *err)
{
    size_t count = handover->own_count + handover->lent_count + 1;
    char *names = buf_take(&handover->names);
    const char *const more[] = {handover->numbers, names, NULL};
    char **env = env_list(more);
    int failed = move_up(handover->fds, count) ? 0 : errno;
    if (!failed) {
        failed = spawn(daemon, handover->fds, count, env, &daemon->upgrade.pid);
        for (size_t i = 0; i < count; i++)
            close(handover->fds[i]);
    }
    mem_free(env);
    mem_free(names);
    errno = failed;
    if (failed)
        daemon->upgrade.pid = 0;
    return !failed || err_errno(err, "cannot start %s", daemon->upgrade.program);
}

// -- its end of the story ----------------------------------------------------------------------

static void close_watch(struct daemon *daemon, struct watch *watch)
{
    watch_stop(daemon->loop, watch);
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

static void upgrade_fail(struct daemon *daemon, const char *why)
{
    struct upgrade *upgrade = &daemon->upgrade;
    log_error("upgrade.failed", F_NUM("pid", upgrade->pid), F_TEXT("why", why),
              F_TEXT("text", "this process goes on"));
    close_watch(daemon, &upgrade->word);
    timer_disarm(&upgrade->timer);
    if (upgrade->end.fd < 0)
        upgrade->pid = 0;
}

static void on_end(struct watch *watch, unsigned ready)
{
    struct daemon *daemon = CONTAINER_OF(watch, struct daemon, upgrade.end);
    (void)ready;
    waitpid(daemon->upgrade.pid, NULL, 0);
    close_watch(daemon, watch);
    if (daemon->upgrade.word.fd >= 0)
        upgrade_fail(daemon, "it has ended; its own words stand above");
    daemon->upgrade.pid = 0;
}

static void on_word(struct watch *watch, unsigned ready)
{
    struct daemon *daemon = CONTAINER_OF(watch, struct daemon, upgrade.word);
    char word, state[64];
    (void)ready;
    if (read(watch->fd, &word, 1) != 1) {
        upgrade_fail(daemon, "it went without a word");
        return;
    }
    close_watch(daemon, watch);
    timer_disarm(&daemon->upgrade.timer);
    log_info("upgraded", F_NUM("pid", daemon->upgrade.pid));
    // From here on the other one speaks to the service manager.
    snprintf(state, sizeof state, "MAINPID=%d", (int)daemon->upgrade.pid);
    notify_send(&daemon->notify, state);
    notify_fini(&daemon->notify);
    daemon->upgrade.is_done = true;
    for (size_t i = 0; i < daemon->listeners.count; i++)
        daemon->listeners.items[i]->is_given_away = true;
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_lend_sockets(daemon->workers[i]);
    desk_hand_over(daemon);
    daemon_begin_stop(daemon);
}

static void on_patience_over(struct timer *timer)
{
    struct daemon *daemon = CONTAINER_OF(timer, struct daemon, upgrade.timer);
    if (daemon->upgrade.pid)
        kill(daemon->upgrade.pid, SIGKILL); // unreaped, so it is still that process
    upgrade_fail(daemon, "it said nothing for a minute");
}

// -- ours --------------------------------------------------------------------------------------

static bool upgrade_watch(struct daemon *daemon, int word_fd, struct err *err)
{
    struct upgrade *upgrade = &daemon->upgrade;
    int end_fd = pidfd_open(upgrade->pid, 0);
    upgrade->word.on_ready = on_word;
    upgrade->end.on_ready = on_end;
    if (end_fd < 0 || !watch_start(daemon->loop, &upgrade->end, end_fd, LOOP_READ, err)) {
        kill(upgrade->pid, SIGKILL);
        waitpid(upgrade->pid, NULL, 0);
        upgrade->pid = 0;
        if (end_fd >= 0)
            close(end_fd);
        return err_errno(err, "cannot watch the new process");
    }
    timer_start(daemon->loop, &upgrade->timer, PATIENCE_MS);
    return watch_start(daemon->loop, &upgrade->word, word_fd, LOOP_READ, err);
}

static bool upgrade_begin(struct daemon *daemon, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(err, "cannot make a pipe");
    struct handover *handover = mem_alloc(sizeof *handover);
    buf_init(&handover->names, (size_t)PASSED_MAX * 300);
    bool ok = handover_fill(handover, daemon, ends[1], err) &&
              handover_start(handover, daemon, err) && upgrade_watch(daemon, ends[0], err);
    close(ends[1]);
    if (!ok)
        close(ends[0]);
    buf_fini(&handover->names);
    mem_free(handover);
    return ok;
}

void upgrade_on_signal(struct daemon *daemon)
{
    struct err err = {""};
    if (daemon->upgrade.pid || daemon->phase >= DAEMON_DELAYING || daemon->reload.workers_left) {
        log_warn("upgrade.refused", F_TEXT("why", "something else is under way"));
        return;
    }
    if (upgrade_begin(daemon, &err))
        log_info("upgrading", F_NUM("pid", daemon->upgrade.pid),
                 F_TEXT("program", daemon->upgrade.program));
    else
        log_error("upgrade.failed", F_TEXT("why", err.text));
}

void upgrade_tell_predecessor(struct daemon *daemon)
{
    int *fd = &daemon->passed.parent_fd;
    if (*fd < 0)
        return;
    // If it has gone, that is as good.
    if (write(*fd, "!", 1) != 1)
        log_debug("upgrade.alone");
    close(*fd);
    *fd = -1;
}

void upgrade_init(struct daemon *daemon)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    struct upgrade *upgrade = &daemon->upgrade;
    upgrade->word.fd = upgrade->end.fd = -1;
    timer_init(&upgrade->timer, on_patience_over);
    if (len > 0)
        upgrade->program = mem_strndup(path, (size_t)len);
}

void upgrade_fini(struct daemon *daemon)
{
    struct upgrade *upgrade = &daemon->upgrade;
    if (daemon->loop) {
        timer_stop(daemon->loop, &upgrade->timer);
        close_watch(daemon, &upgrade->word);
        close_watch(daemon, &upgrade->end);
    }
    mem_free(upgrade->program);
}
