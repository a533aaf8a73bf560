// SPDX-License-Identifier: MIT
// Forwarded (RFC 7239) and X-Forwarded-…: what an upstream that wants to know is told of the
// client. Off by default, and what the client says itself is dropped then: anybody can say
// anything. Pure.
#ifndef PROXY_FORWARDED_H
#define PROXY_FORWARDED_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"
#include "http/headers.h"

struct forwarded {
    const struct config_upstream *upstream;
    const struct fields *fields; // the client's
    struct str peer;             // its address; empty: a unix socket
    struct str host;             // what it asked for: normalised authority; may be empty
};

// Does the client's field of this name pass as it came? Only asked of names that are dropped
// otherwise.
bool forwarded_keeps(const struct config_upstream *upstream, struct str name);
// Appends a field line for each that is sent and not in `but_not` (set_header says otherwise).
bool forwarded_put(const struct forwarded *forwarded,
                   bool (*is_set)(const void *arg, struct str name), const void *arg,
                   struct buf *out) WARN_UNUSED;

#endif
