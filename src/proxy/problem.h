// SPDX-License-Identifier: MIT
// Every answer that bearerd makes itself: application/problem+json (RFC 9457) with a stable type,
// and Proxy-Status (RFC 9209). Texts are escaped here; secrets, query strings and file names have
// no place in them.
#ifndef PROXY_PROBLEM_H
#define PROXY_PROBLEM_H

#include "base/buf.h"
#include "http/server.h"

struct problem { // NOLINT(clang-analyzer-optin.performance.Padding): positional
    int status;
    const char *type;       // the last part of the type URN: "no-route"
    const char *detail;     // what happened and what to do; may hold a peer's words
    uint64_t retry_after_s; // 0: no Retry-After
    bool close;             // what follows on the connection is not to be trusted
};

struct problem_about {     // the request, where it got that far
    struct str request_id; // empty: none
    struct str origin;     // of a web page that may read the answer; empty: none
};

// Answers the request. storage holds the body and must live until the request's on_end.
void problem_reply(struct request *request, const struct problem *problem,
                   const struct problem_about *about, struct buf *storage);

// The kinds, for documentation and for `explain`: NULL past the end.
struct problem_kind {
    const char *type, *title;
    const char *proxy_error; // RFC 9209 2.3 error type
};
#define PROBLEM_METHODS "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" // for Allow
const struct problem_kind *problem_kind_at(size_t i);

#endif
