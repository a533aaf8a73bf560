// SPDX-License-Identifier: MIT
// What daemon.c (building, signals, stopping), reload.c, upgrade.c and watchdog.c share; nobody
// else includes this.
#ifndef DAEMON_DAEMON_PRIVATE_H
#define DAEMON_DAEMON_PRIVATE_H

#include "daemon/daemon.h"
#include "daemon/desk.h"
#include "daemon/listening.h"
#include "daemon/notify.h"
#include "daemon/worker.h"

enum daemon_phase { DAEMON_STARTING, DAEMON_SERVING, DAEMON_DELAYING, DAEMON_DRAINING };

struct reload {
    struct list asked, under_way; // of struct daemon_reload_wait
    struct task task;             // begins the next
    size_t workers_left;          // that have not yet changed; 0: none is under way
    struct listeners removed;     // with what they still hold; closed once all have changed
    struct daemon_reload_stats stats;
};

struct watchdog {
    struct timer timer;
    uint64_t period_ms;
    size_t awaited; // workers that have not yet answered
    bool is_late;   // and that was said
};

struct upgrade {
    pid_t pid;               // of the successor; 0: it has not been started yet
    struct watch word, line; // it is ready; what the helper has to say of it, -1: there is none
    struct timer timer;
    bool is_done;
    bool is_unwanted; // it has our sockets, and its end is waited for
};

struct daemon {
    bool is_service;
    struct daemon_service service;
    struct config *config;
    struct policy *policy;
    struct crowd *crowd;  // NULL without max_connections_per_client
    uint64_t clients_max; // max_connections, or what descriptors suffice for
    struct loop *loop;
    struct keeper *keeper;
    struct ledger *ledger;
    struct desk desk;
    struct passed passed;
    struct listeners listeners;
    struct worker **workers;
    size_t worker_count, workers_running;
    char instance[24];
    enum daemon_phase phase;
    bool is_told_to_stop; // by whoever may: what follows an upgrade is nobody's order
    uint64_t drain_limit_ms;
    struct watch signal_watch;
    struct timer delay_timer;
    struct notify notify;
    struct watchdog watchdog;
    struct reload reload;
    struct upgrade upgrade;
};

// daemon.c
void daemon_take_stop(struct daemon *daemon);  // an order to stop; the second means: at once
void daemon_begin_stop(struct daemon *daemon); // no-op if it has begun
void daemon_drain_workers(struct daemon *daemon);
void daemon_log_warnings(const struct config *config);
void daemon_say_ready(const struct daemon *daemon, const char *state);

// reload.c
void reload_init(struct daemon *daemon);
void reload_fini(struct daemon *daemon);
void reload_on_signal(struct daemon *daemon);

// watchdog.c: pings the service manager for as long as the control loop and all workers turn
void watchdog_start(struct daemon *daemon);
void watchdog_stop(struct daemon *daemon);

// upgrade.c: another process of the same program takes over the sockets, then this one drains
void upgrade_init(struct daemon *daemon);
void upgrade_on_signal(struct daemon *daemon);
bool upgrade_is_under_way(const struct daemon *daemon);
// Ends a successor that has not come up yet: it has our sockets, and we are about to shut them.
void upgrade_give_up(struct daemon *daemon);
bool upgrade_has_predecessor(const struct daemon *daemon); // who goes on if we fail
void upgrade_tell_predecessor(struct daemon *daemon);      // we take requests now
void upgrade_fini(struct daemon *daemon);

// pid_file.c
bool pid_file_write(const char *path, struct err *err) WARN_UNUSED;
void pid_file_remove(const char *path); // unless another process has written its own

#endif
