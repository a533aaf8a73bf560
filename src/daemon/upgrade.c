// SPDX-License-Identifier: MIT
// Another process of the same program takes the place of this one, without a moment in which nobody
// listens: it is started with the listening sockets themselves, not copies of their addresses, so
// that whoever stands in a queue is served by one of the two. Once it says that it takes requests,
// this one drains. If it does not come up, nothing has changed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/env.h"
#include "base/helper.h"
#include "base/log.h"
#include "daemon/daemon_private.h"

#define PATIENCE_MS 60000 // for its word
#define END_MS      2000  // for its end, once it is killed

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
        if (i == 0 || !listen_path(listening->items[i].bound))
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

// The helper does it: this process may not. What it shall know and the helper does not is said in
// its environment. -1 and err: it cannot be asked.
static int handover_start(struct handover *handover, struct err *err)
{
    size_t count = handover->own_count + handover->lent_count + 1;
    char *names = buf_take(&handover->names);
    const char *const more[] = {handover->numbers, names, NULL};
    char **env = env_secret_list(more);
    int line = helper_restart(handover->fds, count, (const char *const *)env, err);
    mem_free(env);
    mem_free(names);
    return line;
}

// -- its end of the story ----------------------------------------------------------------------

bool upgrade_is_under_way(const struct daemon *daemon)
{
    return daemon->upgrade.word.fd >= 0;
}

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
}

// From here on they are another process's, or may be.
static void hand_over(struct daemon *daemon)
{
    listeners_give_away(&daemon->listeners);
    listeners_give_away(&daemon->desk.listeners);
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_lend_sockets(daemon->workers[i], true);
    desk_hand_over(daemon);
}

static void kill_successor(const struct daemon *daemon)
{
    (void)!send(daemon->upgrade.line.fd, "!", 1, MSG_NOSIGNAL); // which has the helper do it
}

// The stop that made it unwanted has waited for this.
static void go_on_stopping(struct daemon *daemon, bool is_dead)
{
    daemon->upgrade.is_unwanted = false;
    timer_disarm(&daemon->upgrade.timer);
    if (!is_dead)
        hand_over(daemon);
    if (daemon->phase == DAEMON_DRAINING)
        daemon_drain_workers(daemon);
}

// What the helper says: that it was started, and in the end that it has ended.
static void hear(struct daemon *daemon)
{
    struct upgrade *upgrade = &daemon->upgrade;
    struct helper_report report;
    ssize_t got = recv(upgrade->line.fd, &report, sizeof report, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got == (ssize_t)sizeof report && report.outcome == HELPER_STARTED) {
        upgrade->pid = report.code;
        log_info("upgrading", F_NUM("pid", upgrade->pid));
        return;
    }
    bool is_dead = got == (ssize_t)sizeof report; // else the helper has gone
    bool is_told = is_dead && report.outcome == HELPER_NOT_STARTED;
    close_watch(daemon, &upgrade->line);
    if (upgrade->word.fd >= 0)
        upgrade_fail(daemon, is_told ? report.why.text : "it has ended; its own words stand above");
    upgrade->pid = 0;
    if (upgrade->is_unwanted)
        go_on_stopping(daemon, is_dead);
}

static void on_line(struct watch *watch, unsigned ready)
{
    (void)ready;
    hear(CONTAINER_OF(watch, struct daemon, upgrade.line));
}

static void upgrade_succeed(struct daemon *daemon)
{
    char state[64];
    close_watch(daemon, &daemon->upgrade.word);
    timer_disarm(&daemon->upgrade.timer);
    log_info("upgraded", F_NUM("pid", daemon->upgrade.pid));
    // From here on the other one speaks to the service manager.
    snprintf(state, sizeof state, "MAINPID=%d", (int)daemon->upgrade.pid);
    notify_send(&daemon->notify, state);
    notify_fini(&daemon->notify);
    daemon->upgrade.is_done = true;
    hand_over(daemon);
    daemon_begin_stop(daemon);
}

static void look_for_word(struct daemon *daemon)
{
    char word;
    ssize_t got = read(daemon->upgrade.word.fd, &word, 1);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (!daemon->upgrade.pid)
        hear(daemon); // that it was started, which has been said before
    if (got == 1)
        upgrade_succeed(daemon);
    else if (upgrade_is_under_way(daemon))
        upgrade_fail(daemon, "it went without a word");
}

static void on_word(struct watch *watch, unsigned ready)
{
    (void)ready;
    look_for_word(CONTAINER_OF(watch, struct daemon, upgrade.word));
}

static void on_patience_over(struct timer *timer)
{
    struct daemon *daemon = CONTAINER_OF(timer, struct daemon, upgrade.timer);
    if (daemon->upgrade.is_unwanted) {
        go_on_stopping(daemon, false);
        return;
    }
    upgrade_fail(daemon, "it said nothing for a minute");
    kill_successor(daemon);
}

// The pipe goes first: what it may say from here on it sees that nobody hears.
void upgrade_give_up(struct daemon *daemon)
{
    struct upgrade *upgrade = &daemon->upgrade;
    if (upgrade_is_under_way(daemon))
        look_for_word(daemon); // it may have come in this turn
    if (!upgrade_is_under_way(daemon))
        return;
    log_warn("upgrade.given_up", F_NUM("pid", upgrade->pid),
             F_TEXT("why", "this process is told to stop"));
    close_watch(daemon, &upgrade->word);
    kill_successor(daemon);
    upgrade->is_unwanted = true;
    timer_start(daemon->loop, &upgrade->timer, END_MS);
}

// -- ours --------------------------------------------------------------------------------------

static bool upgrade_watch(struct daemon *daemon, int line, int word_fd, struct err *err)
{
    struct upgrade *upgrade = &daemon->upgrade;
    upgrade->word.on_ready = on_word;
    upgrade->line.on_ready = on_line;
    if (!watch_start(daemon->loop, &upgrade->line, line, LOOP_READ, err)) {
        close(line);
        return false;
    }
    if (!watch_start(daemon->loop, &upgrade->word, word_fd, LOOP_READ, err)) {
        kill_successor(daemon);
        return false;
    }
    timer_start(daemon->loop, &upgrade->timer, PATIENCE_MS);
    return true;
}

static bool upgrade_begin(struct daemon *daemon, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return err_errno(err, "cannot make a pipe");
    struct handover *handover = mem_alloc(sizeof *handover);
    buf_init(&handover->names, (size_t)PASSED_MAX * 300);
    int line = handover_fill(handover, daemon, ends[1], err) ? handover_start(handover, err) : -1;
    bool ok = line >= 0 && upgrade_watch(daemon, line, ends[0], err);
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
    if (upgrade_is_under_way(daemon) || daemon->phase >= DAEMON_DELAYING ||
        daemon->reload.workers_left) {
        log_warn("upgrade.refused", F_TEXT("why", "something else is under way"));
        return;
    }
    close_watch(daemon, &daemon->upgrade.line); // of one that failed, and is about to end
    daemon->upgrade.pid = 0;
    if (!helper_is_used())
        err_set(&err, "there is no process that could start it");
    if (!helper_is_used() || !upgrade_begin(daemon, &err))
        log_error("upgrade.failed", F_TEXT("why", err.text));
}

// Our predecessor's, of addresses that were taken out.
static void upgrade_drop_unused(struct passed *passed, bool is_ours)
{
    for (size_t i = 0; i < passed->count; i++) {
        struct passed_socket *socket = &passed->items[i];
        if (socket->is_used || !socket->is_own)
            continue;
        const char *path = listen_path(socket->bound);
        close(socket->fd);
        socket->fd = -1;
        socket->is_used = true; // should its address come back, it is opened anew
        if (is_ours && path)
            unlink(path);
    }
}

static void take_over(struct daemon *daemon)
{
    listeners_take_over(&daemon->listeners);
    listeners_take_over(&daemon->desk.listeners);
    listeners_set_mode(&daemon->listeners, (unsigned)daemon->config->listen_mode);
    desk_set_mode(daemon);
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_lend_sockets(daemon->workers[i], false);
}

bool upgrade_has_predecessor(const struct daemon *daemon)
{
    return daemon->passed.parent_fd >= 0;
}

// Until it has heard us, all that it gave us is its own. If it cannot hear us it has gone, or it
// has given us up and goes on: then nothing of it is ours to shut or to remove.
void upgrade_tell_predecessor(struct daemon *daemon)
{
    int *fd = &daemon->passed.parent_fd;
    if (!upgrade_has_predecessor(daemon))
        return;
    bool is_heard = write(*fd, "!", 1) == 1;
    close(*fd);
    *fd = -1;
    upgrade_drop_unused(&daemon->passed, is_heard);
    if (is_heard)
        take_over(daemon);
    else
        log_debug("upgrade.alone");
}

void upgrade_init(struct daemon *daemon)
{
    struct upgrade *upgrade = &daemon->upgrade;
    upgrade->word.fd = upgrade->line.fd = -1;
    timer_init(&upgrade->timer, on_patience_over);
}

void upgrade_fini(struct daemon *daemon)
{
    struct upgrade *upgrade = &daemon->upgrade;
    if (daemon->loop) {
        timer_stop(daemon->loop, &upgrade->timer);
        close_watch(daemon, &upgrade->word);
        close_watch(daemon, &upgrade->line);
    }
}
