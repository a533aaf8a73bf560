// SPDX-License-Identifier: MIT
// A worker's connections to one upstream: a pool of links, most recently used first, idle ones
// watched, a ceiling on all, and a bounded queue for those who wait. One pool per upstream and
// worker; it knows no HTTP.
#ifndef HTTP_TRANSPORT_H
#define HTTP_TRANSPORT_H

#include <stddef.h>

#include "base/list.h"
#include "http/link.h"

struct pool;

struct pool_config {
    struct link_target target; // copied
    const char *tls_mark;      // of what is in the target's files, copied; NULL: it has none
    size_t connections_max;    // all: on their way up, in use, idle
    size_t idle_max;
    size_t waiting_max;       // leases that wait while connections_max is reached
    uint64_t idle_timeout_ms; // an idle one is closed after that
};

// Counted, so that what two configurations connect to alike stays connected; the loop's thread.
struct pool *pool_new(struct loop *loop, struct link_context *context,
                      const struct pool_config *config) WARN_UNUSED;
struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool); // the last: all leases are over; NULL is fine
// Are these connections what the configuration asks for, its limits apart?
bool pool_fits(const struct pool *pool, const struct pool_config *config) WARN_UNUSED;
void pool_limit(struct pool *pool, const struct pool_config *config); // takes over its limits

// One borrowed link, or the wait for it. Memory and callbacks are the borrower's.
struct lease {
    struct list queue_link;
    struct pool *pool;
    struct link *link; // while it is out
    bool is_announced; // will be taken
    bool is_reused;    // the link may have been given up by the upstream: it is not new
    bool wants_fresh;  // only a connection that is new
    // Exactly one of both, later, from the loop; only if lease_take() said LEASE_LATER.
    void (*on_link)(struct lease *lease);
    void (*on_failed)(struct lease *lease, enum link_error error, const char *why);
    // While it is out.
    void (*on_ready)(struct lease *lease, bool is_hangup);
};

// It will be taken soon: a connection that it will need is opened now, if there is room. Does
// nothing for a lease that is announced, waiting or out.
void lease_announce(struct pool *pool, struct lease *lease);

enum lease_result {
    LEASE_NOW,    // lease->link is set
    LEASE_LATER,  // on_link or on_failed follows
    LEASE_REFUSED // too many wait already; the lease is not out
};
enum lease_result lease_take(struct pool *pool, struct lease *lease) WARN_UNUSED;
// Of one that waits: until somebody gives a connection back, since no more may be opened?
bool lease_is_queued(const struct lease *lease);
// Ends the lease, or the wait for it, or what was announced. is_reusable: the link is exactly
// between two messages.
void lease_end(struct lease *lease, bool is_reusable);

struct pool_counts {
    size_t idle, in_use, connecting, waiting, announced;
    uint64_t connects; // since the start
};
struct pool_counts pool_count(const struct pool *pool);

#endif
