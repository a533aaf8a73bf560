// SPDX-License-Identifier: MIT
// A worker: one thread with an event loop, a server, a proxy, upstream connections and a view of
// the tokens, none of them shared. Everything here is called on the control thread.
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>

#include "base/err.h"
#include "proxy/ledger.h"
#include "proxy/policy.h"
#include "token/keeper.h"

struct worker;

struct worker_config {
    const struct policy *policy;
    struct keeper *keeper;
    struct ledger *ledger;
    const char *instance;  // of this process, for Via
    const int *listen_fds; // borrowed; must stay open while the worker lives
    size_t listen_fd_count;
    size_t worker_count; // that share max_connections
    // Called on the worker's thread when its loop has ended.
    void (*on_stopped)(void *arg);
    void *arg;
};

struct worker *worker_new(const struct worker_config *config, struct err *err) WARN_UNUSED;
bool worker_start(struct worker *worker, struct err *err) WARN_UNUSED;
// Lets the requests under way end, for limit_ms at most; 0 breaks them off. May be called again.
void worker_stop(struct worker *worker, uint64_t limit_ms);
// What was counted of its clients a second ago at most; added to *to.
void worker_count_clients(const struct worker *worker, struct traffic_clients *to);
void worker_free(struct worker *worker); // joins the thread; NULL is fine

#endif
