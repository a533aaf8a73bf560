// SPDX-License-Identifier: MIT
// The request head that goes upstream: what is dropped, kept, set. Pure.
#ifndef PROXY_INJECT_H
#define PROXY_INJECT_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"
#include "http/headers.h"
#include "token/token.h"

struct inject_input {
    struct str method;
    struct str rest;           // raw path behind mount or base path
    struct str query;
    bool has_query;
    const struct fields *fields;              // the client's
    const struct config_upstream *upstream;
    const struct config_route *route;         // NULL: unmatched = pass
    const struct token *const *tokens;        // route->slot_count of them
    bool has_length;                          // body framing decided by the caller
    uint64_t content_length;
    bool is_chunked;
    bool via_http_proxy;                      // upstream proxy without tunnel: absolute-form
    bool client_is_http10;
};

// Appends the whole head ("GET /x HTTP/1.1\r\n…\r\n\r\n") to out. False when it would pass out's ceiling.
bool inject_head(const struct inject_input *input, struct buf *out) WARN_UNUSED;

#endif
