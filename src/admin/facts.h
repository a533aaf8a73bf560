// SPDX-License-Identifier: MIT
// The one door through which admin/ sees the running program, and gives it orders: functions that
// the daemon provides. Everything is on the control thread, pulled when somebody asks, and borrowed
// until the next turn of its loop.
#ifndef ADMIN_FACTS_H
#define ADMIN_FACTS_H

#include "config/config.h"
#include "http/server.h"
#include "http/traffic.h"
#include "token/keeper.h"

enum facts_phase { FACTS_RUNNING, FACTS_DRAINING }; // nobody is asked before it runs

struct facts_reloads {
    uint64_t done, failed;
    int64_t done_at_s;      // UTC, of the last that was done, or of the start
    bool last_failed;       // the configuration in force is not what its file says
    const char *last_error; // NULL: none
};

struct facts_process {
    const char *instance;
    enum facts_phase phase;
    int64_t started_at_s;
    size_t workers;
    const struct config_strings *listen; // as bound
    uint64_t clients_max;                // connections that are taken at most
    struct facts_reloads reloads;
};

struct facts_caller { // of a request to the admin listener
    int status;       // 0, or it is refused: with this status, …
    const char *type; // … this problem type's last part, …
    const char *why;  // … and this text
    bool may_read;    // key presented, or none is needed
    bool may_change;  // came over a unix socket, or the key was presented
    int64_t uid;      // of a unix socket's peer; -1: not known
};

struct facts_order { // that takes its time; memory is the asker's, zeroed
    // Once, later, from the loop. faults->count above 0: nothing has changed.
    void (*on_done)(struct facts_order *order, const struct config_faults *faults);
    void *pending; // the daemon's
};

struct facts {
    void *arg;
    struct config *(*config)(void *arg);       // in force
    const struct keeper *(*keeper)(void *arg); // its slots are that configuration's
    void (*process)(void *arg, struct facts_process *out);
    void (*clients)(void *arg, struct traffic_clients *out);
    // Of a route; of an upstream's requests without one (route NULL); of those that found neither.
    void (*traffic)(void *arg, const struct config_upstream *upstream,
                    const struct config_route *route, struct traffic *out);
    void (*upstream)(void *arg, const struct config_upstream *upstream,
                     struct traffic_upstream *out);
    uint64_t (*waiting)(void *arg, size_t slot); // requests, for its token
    void (*judge)(void *arg, const struct request *request, struct facts_caller *out);
    // Orders; NULL: this program cannot. cancel: on_done does not come; no-op after it.
    void (*reload)(void *arg, struct facts_order *order);
    void (*cancel)(void *arg, struct facts_order *order);
    void (*drain)(void *arg);
};

#endif
