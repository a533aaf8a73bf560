// SPDX-License-Identifier: MIT
// The composition root: listeners, control loop, keeper, workers, signals, reload, drain. Built and
// run on one thread, the control thread.
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "config/config.h"
#include "token/keeper.h"

struct daemon;

// What a service does beyond serving: it takes sockets that are handed over, tells a service
// manager how it fares, reloads on SIGHUP, hands over to a successor on SIGUSR2, writes pid_file.
struct daemon_service {
    char *const *argv; // to start the successor with, which is the same program
};

// Opens the listeners and builds everything; no thread runs yet. The config is referenced. service:
// NULL for one that belongs to a terminal and ends with it.
struct daemon *daemon_new(struct config *config, const struct daemon_service *service,
                          struct err *err) WARN_UNUSED;
// Starts the workers, then runs the control loop until SIGTERM, SIGINT, SIGQUIT or daemon_stop();
// drains; all workers have ended when it returns. True: stopped as asked.
bool daemon_run(struct daemon *daemon, struct err *err) WARN_UNUSED;
void daemon_free(struct daemon *daemon);

// Any thread. The first time it drains (drain_delay, then drain_timeout), the second time it ends
// at once.
void daemon_stop(struct daemon *daemon);
// Is a load balancer to send requests here? Not before the workers run, and not from the moment it
// is told to stop, though for drain_delay requests are still taken. Control thread.
bool daemon_is_ready(const struct daemon *daemon);

// The address that the i-th `listen` was bound to ("127.0.0.1:40123" for port 0); NULL past the
// end.
const char *daemon_address(const struct daemon *daemon, size_t i);

// Reads the configuration file again and puts it in force: each worker takes it up within a turn of
// its loop, for the requests that begin from then on. False: *faults (zeroed by the caller) says
// why, and the one before stays, whole. Control thread.
bool daemon_reload(struct daemon *daemon, struct config_faults *faults) WARN_UNUSED;

// The same for who wants to know when it is done. Memory is the caller's, zeroed.
struct daemon_reload_wait {
    // Exactly once, later, from the control loop: every worker has taken up the configuration, or
    // faults->count is above 0.
    void (*on_done)(struct daemon_reload_wait *wait, const struct config_faults *faults);
    struct list link; // the daemon's
};
// Control thread. While another reload is under way it waits for its end, and reads the file then.
void daemon_reload_start(struct daemon *daemon, struct daemon_reload_wait *wait);
void daemon_reload_cancel(struct daemon_reload_wait *wait); // on_done does not come; no-op after it

struct daemon_reload_stats {
    uint64_t done, refused; // since the start
    int64_t done_s;         // when a configuration was last put in force (UTC, the start counts)
    bool was_refused;       // the last attempt …
    char why[448];          // … for this, and maybe more
};
struct daemon_reload_stats daemon_reload_stats(const struct daemon *daemon);

// Process-wide preparation, once, before any thread: ignores SIGPIPE, umask, core dumps off, clears
// environment variables that would change what libraries do, initialises libcurl.
bool daemon_prepare_process(struct err *err) WARN_UNUSED;

// Unmaps the pages of programs and libraries that starting needed and running does not.
void daemon_let_pages_go(void);

#endif
