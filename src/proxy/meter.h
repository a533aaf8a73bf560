// SPDX-License-Identifier: MIT
// The counters of one worker's proxy: an array of cells, one for each route, one for each
// upstream's requests that have no route, one for those that never got so far. The worker writes
// them, the control thread reads them (proxy/ledger.h). No other worker's are near them in memory.
#ifndef PROXY_METER_H
#define PROXY_METER_H

#include "config/config.h"
#include "http/traffic.h"
#include "proxy/forward.h"

struct ledger;
struct pool;

struct meter {
    struct config *config; // referenced: whose indices these are
    struct ledger *ledger; // NULL: nobody reads it
    struct traffic *cells; // as many as meter_cell_count() says
    struct traffic_upstream *upstreams;
    uint64_t *waiting;       // by slot: exchanges that wait for its token
    struct meter_news *news; // by upstream and kind of failure
    bool has_untold;         // there is something in those
    uint64_t *connects;      // by upstream: of the pool, as of the last look at it
    void *memory;
};

static inline size_t meter_cell_count(const struct config *config)
{
    return config->route_count + config->upstream_count + 1;
}

static inline size_t meter_cell(const struct config *config, const struct config_upstream *upstream,
                                const struct config_route *route)
{
    return route      ? route->index
           : upstream ? config->route_count + upstream->index
                      : config->route_count + config->upstream_count;
}

// Any thread; then the caller's. The ledger reads it from now on, until meter_free(), which may be
// called on any thread when nobody writes any more: the ledger keeps what was counted.
// pools: by upstream; what was counted of them before is not this meter's. NULL: there are none.
struct meter *meter_new(struct ledger *ledger, struct config *config,
                        struct pool *const *pools) WARN_UNUSED;
void meter_free(struct meter *meter); // NULL is fine

// What the pools say, once in a while: their counts are not worth a store with each request. The
// ledger is told what it has not been told of failures.
void meter_sample(struct meter *meter, struct pool *const *pools);
// For the last time: others look at these pools from now on.
void meter_end_samples(struct meter *meter, struct pool *const *pools);

// The upstream gave no answer, or not all of it. The ledger is told why, once a second at most for
// each upstream and kind; and of the others how many they were. is_cut: within the body; else the
// error says which.
void meter_fail(struct meter *meter, const struct config_upstream *upstream,
                const struct config_route *route, enum forward_error error, bool is_cut,
                const char *why);

#endif
