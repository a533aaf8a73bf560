// SPDX-License-Identifier: MIT
// All workers' meters, read together, on the control thread. Workers come and go with their meters
// when a configuration is replaced: what an ended one has counted is kept here, by the names of
// routes and upstreams, as long as the present configuration has them.
#ifndef PROXY_LEDGER_H
#define PROXY_LEDGER_H

#include "base/loop.h"
#include "proxy/meter.h"

struct ledger_failure { // of an upstream; borrowed for the call
    const char *upstream;
    enum traffic_failure failure;
    uint64_t count;    // of this kind, since it was told last
    const char *why;   // of the latest; NULL: they came soon after one that was told
    const char *route; // likewise; NULL: a request without one
};

struct ledger *ledger_new(struct loop *loop, struct config *config) WARN_UNUSED;
void ledger_free(struct ledger *ledger); // after its loop and all meters; NULL is fine
// From now on this is the configuration (referenced) that names and indices are of.
void ledger_set_config(struct ledger *ledger, struct config *config);
// Who is told of failures; NULL: nobody.
void ledger_set_listener(struct ledger *ledger,
                         void (*on_failure)(void *arg, const struct ledger_failure *failure),
                         void *arg);

// Sums of all workers, by the indices of the configuration that was set last.
void ledger_read_cell(const struct ledger *ledger, size_t cell, struct traffic *out);
void ledger_read_upstream(const struct ledger *ledger, size_t upstream,
                          struct traffic_upstream *out);
// Exchanges that wait for the slot's token, or for what an older configuration calls so.
uint64_t ledger_read_waiting(const struct ledger *ledger, size_t slot);

// Internal to the meter; any thread.
void ledger_add(struct ledger *ledger, struct meter *meter);
void ledger_take(struct ledger *ledger, struct meter *meter);                  // ownership moves
void ledger_tell(struct ledger *ledger, const struct ledger_failure *failure); // copied
void meter_dispose(struct meter *meter); // meter.c's, for the ledger

#endif
