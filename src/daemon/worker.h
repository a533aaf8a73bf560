// SPDX-License-Identifier: MIT
// A worker: one thread with an event loop, a server, upstream connections and a proxy for each
// configuration that still has requests, none of them shared. Everything here is called on the
// control thread.
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>

#include "base/err.h"
#include "proxy/ledger.h"
#include "proxy/policy.h"
#include "token/keeper.h"

struct worker;

struct worker_socket {
    int fd;       // borrowed: stays open while the worker listens on it
    bool is_lent; // see server_lend()
};

struct worker_config {
    struct policy *policy; // referenced
    struct keeper *keeper; // of the same configuration
    struct ledger *ledger; // reads what its proxies count
    const char *instance;  // of this process, for Via
    const struct worker_socket *sockets;
    size_t socket_count;
    bool lends_sockets;   // from the start, see below
    size_t worker_count;  // that share …
    uint64_t clients_max; // … these client connections
    struct crowd *crowd;  // of all workers; NULL: no limit per client
    // Called on the worker's thread when its loop has ended.
    void (*on_stopped)(void *arg);
    void *arg;
};

struct worker *worker_new(const struct worker_config *config, struct err *err) WARN_UNUSED;
bool worker_start(struct worker *worker, struct err *err) WARN_UNUSED;

// Another configuration, in force for every request that begins after it; the keeper has it
// already. `added` is listened on, `removed` no more. on_done follows on the worker's thread.
struct worker_change {
    struct policy *policy; // referenced
    uint64_t clients_max;  // as in worker_config
    const struct worker_socket *added;
    const int *removed;
    size_t added_count, removed_count;
    void (*on_done)(void *arg);
    void *arg;
};
void worker_reload(struct worker *worker, const struct worker_change *change);

// fn(arg) is called on the worker's thread, between two turns of its loop.
void worker_post(struct worker *worker, void (*fn)(void *arg), void *arg);
// Another process accepts beside us and may go on when we end: the queues of all sockets are left
// to it. Or it does so no more.
void worker_lend_sockets(struct worker *worker, bool is_lent);
// Lets the requests under way end, for limit_ms at most; 0 breaks them off. May be called again.
void worker_stop(struct worker *worker, uint64_t limit_ms);
// What was counted of its clients a second ago at most; added to *to.
void worker_count_clients(const struct worker *worker, struct traffic_clients *to);
void worker_free(struct worker *worker); // joins the thread; NULL is fine

#endif
