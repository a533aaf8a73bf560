// SPDX-License-Identifier: MIT
// When libmicrohttpd runs. It is in external epoll mode: its epoll descriptor is one of our
// watches, and it runs at the end of each turn that gave it reason to. Requests that wait for their
// answer without being suspended (parked) make it say that there is always work, so what really
// makes another run necessary is counted.
#include <microhttpd.h>

#include "http/server_private.h"

#define TICK_MS      1000
#define WEIGHED_RUNS 64
#define PARKED_PAYS  32

void server_want_run(struct server *server)
{
    loop_defer(server->loop, &server->run_task);
}

void server_owe_runs(struct server *server, unsigned count)
{
    if (server->runs_owed < count)
        server->runs_owed = count;
}

static bool server_has_work(struct server *server)
{
    if (server->open_head) // it takes another read or more
        server_owe_runs(server, HEAD_READS);
    if (server->parked_count && !server->runs_owed)
        return false; // what that overlooks waits for the park timer
    // Connections are edge-triggered inside: what was not consumed is remembered there only.
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    return MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

// Being suspended costs a request as much as being asked after in PARKED_PAYS runs, so that the
// busier a worker is, and the more requests a run has to do with, the more may be parked.
static void server_weigh_parking(struct server *server)
{
    if (!server->parses_in_place || ++server->weighed_runs < WEIGHED_RUNS)
        return;
    size_t pays = (size_t)server->weighed_asks * PARKED_PAYS / WEIGHED_RUNS;
    pays = pays < PARKED_MAX ? pays : PARKED_MAX;
    server->parked_max = pays > PARKED_MIN ? pays : PARKED_MIN;
    server->weighed_runs = server->weighed_asks = 0;
}

static void on_run(struct task *task)
{
    struct server *server = CONTAINER_OF(task, struct server, run_task);
    server->open_head = NULL;
    if (server->runs_owed)
        server->runs_owed--;
    server_queue_answered(server);
    MHD_run(server->daemon);
    server->given_count = 0; // it has looked at all
    server_weigh_parking(server);
    if (server->reserve.count < server->reserve.wanted)
        reserve_fill(&server->reserve); // before others take what was closed
    if (server_has_work(server))
        server_want_run(server);
}

static void on_epoll_ready(struct watch *watch, unsigned ready)
{
    (void)ready;
    server_want_run(CONTAINER_OF(watch, struct server, epoll_watch));
}

// Those that have been parked for long are asked once more, and are suspended then.
static void on_park_timer(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, park_timer);
    if (!server->parked_count)
        return;
    server_want_run(server);
    timer_start(server->loop, timer, PARK_MS);
}

static void on_tick(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, tick_timer);
    reserve_fill(&server->reserve);
    server_want_run(server);
    timer_start(server->loop, timer, TICK_MS);
}

// -- life --------------------------------------------------------------------------------------

void server_init_runs(struct server *server)
{
    server->parked_max = server->parses_in_place ? PARKED_MIN : 0; // tried with 0.9.75 alone
    list_init(&server->answered);
    task_init(&server->run_task, on_run);
    timer_init(&server->tick_timer, on_tick);
    timer_init(&server->park_timer, on_park_timer);
    server->epoll_watch.on_ready = on_epoll_ready;
}

bool server_start_runs(struct server *server, struct err *err)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return err_set(err, "libmicrohttpd %s has no epoll descriptor", MHD_get_version());
    timer_start(server->loop, &server->tick_timer, TICK_MS);
    return watch_start(server->loop, &server->epoll_watch, info->epoll_fd, LOOP_READ, err);
}

void server_stop_runs(struct server *server)
{
    watch_stop(server->loop, &server->epoll_watch);
    timer_stop(server->loop, &server->tick_timer);
    timer_stop(server->loop, &server->park_timer);
}
