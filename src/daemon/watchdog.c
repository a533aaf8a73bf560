// SPDX-License-Identifier: MIT
// The service manager's watchdog, told that all is well only when it is: in every quarter of its
// period each worker's loop is sent a question, and unless all have answered the last one nothing
// is said. So a loop that hangs, this one or a worker's, gets the process restarted.
#include "base/log.h"
#include "daemon/daemon_private.h"

static void on_pong_here(void *arg)
{
    struct daemon *daemon = arg;
    daemon->watchdog.awaited--;
}

// On the worker's thread.
static void on_ping(void *arg)
{
    struct daemon *daemon = arg;
    loop_post(daemon->loop, on_pong_here, daemon);
}

static void watchdog_ask(struct daemon *daemon)
{
    // Those that have ended answer nothing; how long that takes has a limit of its own.
    if (daemon->phase == DAEMON_DRAINING)
        return;
    daemon->watchdog.awaited = daemon->worker_count;
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_post(daemon->workers[i], on_ping, daemon);
}

static void on_timer(struct timer *timer)
{
    struct daemon *daemon = CONTAINER_OF(timer, struct daemon, watchdog.timer);
    struct watchdog *watchdog = &daemon->watchdog;
    timer_start(daemon->loop, timer, watchdog->period_ms / 4);
    bool is_well = !watchdog->awaited || daemon->phase == DAEMON_DRAINING;
    if (is_well) {
        notify_send(&daemon->notify, "WATCHDOG=1");
        watchdog_ask(daemon);
    } else if (!watchdog->is_late) {
        log_error("watchdog.late", F_NUM("workers", watchdog->awaited));
    }
    watchdog->is_late = !is_well;
}

void watchdog_start(struct daemon *daemon)
{
    timer_init(&daemon->watchdog.timer, on_timer);
    daemon->watchdog.period_ms = daemon->notify.watchdog_ms;
    if (daemon->watchdog.period_ms)
        timer_start(daemon->loop, &daemon->watchdog.timer, 0);
}

void watchdog_stop(struct daemon *daemon)
{
    timer_stop(daemon->loop, &daemon->watchdog.timer);
}
