// SPDX-License-Identifier: MIT
// From request to route: compiled tables, immutable, shared by all workers. The cost of a lookup
// grows with the path's length, not with the number of routes. Pure.
//
// Paths are compared by whole segments, byte for byte and case-sensitive; methods likewise. `/a`
// and `/a/` are different paths: the pattern `/a` takes only the first, `/a/` only the second,
// `/a/**` both and everything below. `*` and `{name}` take one segment that is not empty. The
// pattern `/` takes the base path itself, with and without a slash at its end. GET does not imply
// HEAD.
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/config.h"
#include "proxy/caller.h"
#include "proxy/target.h"

struct route_table;

// Compiles the routes of a config (which must outlive the table). Faults (bad pattern, two equal
// ones: both lines named; two upstreams with the same mount or host and base path; a set_header
// that bearerd itself decides) are added to faults, and NULL returned. An upstream whose mount is
// NULL is not mounted.
struct route_table *route_table_new(const struct config *config,
                                    struct config_faults *faults) WARN_UNUSED;
void route_table_free(struct route_table *table); // NULL is fine
size_t route_table_bytes(const struct route_table *table);

enum route_verdict {
    ROUTE_FOUND,       // route set
    ROUTE_PASS,        // upstream set, no route, unmatched = pass: forward without a token
    ROUTE_UNMATCHED,   // upstream set, no route: 403
    ROUTE_NO_UPSTREAM, // 404
    ROUTE_AMBIGUOUS,   // readings of the path disagree: 400
};

struct route_choice {
    enum route_verdict verdict;
    const struct config_upstream *upstream;
    const struct config_route *route;
    const struct config_match *match; // the rule that decided, for `explain`
    struct str rest; // raw path behind what was stripped (mount or base path): "", "/…", or "*"
};

// `host` is the normalised authority of the Host field (origin-form) or of the target
// (absolute-form). No allocation when target->is_simple.
struct route_choice route_find(const struct route_table *table, struct str method,
                               const struct target *target, struct str host);

// What the client is told: status 0 for FOUND and PASS.
struct caller_verdict route_refusal(enum route_verdict verdict);

#endif
