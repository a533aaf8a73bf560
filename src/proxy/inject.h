// SPDX-License-Identifier: MIT
// The request head that goes upstream: what is dropped, kept, set. Pure.
#ifndef PROXY_INJECT_H
#define PROXY_INJECT_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"
#include "http/headers.h"
#include "proxy/caller.h"
#include "token/token.h"

struct inject_input {
    struct str method;
    struct str rest; // raw path behind mount or base path; "*" for OPTIONS *
    struct str query;
    bool has_query;
    const struct fields
        *fields; // the client's; names are tokens, values without control characters
    const struct config_upstream *upstream;
    const struct config_route *route;  // NULL: unmatched = pass
    const struct token *const *tokens; // route->slot_count of them
    // Our name in Via. A chain of proxies of this kind is no loop, so it must tell one process from
    // another: "bearerd-" and random hex digits, made once per process. Empty: "bearerd".
    struct str pseudonym;
    struct str proof; // of possession of a token's key (the DPoP field); empty: none
    // What the upstream is told of the request, where that is wanted.
    struct str peer;        // the client's address; empty: a unix socket (forwarded, x_forwarded)
    struct str host;        // what the client asked for: normalised authority; may be empty
    struct str request_id;  // instead of the client's X-Request-Id; empty: that stands
    struct str traceparent; // instead of the client's; empty: that stands
    bool drops_tracestate;
    bool has_length; // body framing decided by the caller
    uint64_t content_length;
    bool is_chunked;
    bool client_is_http10;
    struct str offer; // protocols for Upgrade; empty: none
    bool has_hops;    // Max-Forwards is ours to say
    uint64_t hops_left;
};

// May the request go on to this route, before any token is asked for? Status 0: yes. Else 400 (the
// client brings a credential that the route refuses, or an access_token in the query of a route
// that injects one), 508 (it has been here before).
struct caller_verdict inject_check(const struct inject_input *input);
// Does the configuration keep this field of the client's from the upstream? route may be NULL.
bool inject_removes(const struct config_upstream *upstream, const struct config_route *route,
                    struct str name);
// Do the Via fields name this pseudonym?
bool inject_is_loop(const struct fields *fields, struct str pseudonym);

// Appends the URL the request goes to, without its query: what a proof of possession is for.
bool inject_url(const struct inject_input *input, struct buf *out) WARN_UNUSED;

// Appends the client's trailer fields that may go on, as lines. input->tokens is not looked at.
// False as below.
bool inject_trailers(const struct inject_input *input, const struct fields *trailers,
                     struct buf *out) WARN_UNUSED;

// Appends the whole head ("GET /x HTTP/1.1\r\n…\r\n\r\n") to out. False when it would pass out's
// ceiling, or when a field holds a CR, LF or NUL, which those before us have not let through.
bool inject_head(const struct inject_input *input, struct buf *out) WARN_UNUSED;

#endif
