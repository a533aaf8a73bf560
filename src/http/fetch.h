// SPDX-License-Identifier: MIT
// Small bounded HTTP requests of our own (token endpoint): ordinary libcurl transfers on a loop.
// Never follows redirects, never uses proxies or other settings from the environment, always
// verifies TLS.
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "http/tls.h"

struct fetcher; // one per loop
struct fetch;   // one request under way

struct fetcher *fetcher_new(struct loop *loop, struct err *err) WARN_UNUSED;
void fetcher_free(struct fetcher *fetcher); // no fetch may be under way
// Files of certification authorities are read anew by the fetches that start from now on.
void fetcher_refresh(struct fetcher *fetcher);

enum fetch_error {
    FETCH_OK,          // a whole response came, whatever its status
    FETCH_UNREACHABLE, // DNS, connect
    FETCH_TLS,
    FETCH_TIMEOUT,
    FETCH_TOO_LARGE,
    FETCH_BROKEN, // cut off, not HTTP
};

struct fetch_request {  // everything is copied by fetch_start
    const char *method; // "POST", "GET"
    const char *url;
    const char *const *headers; // "Name: value", NULL-terminated; checked for CR, LF, NUL
    struct str body;            // sent with Content-Length; only with POST
    struct tls_options tls;
    const char *proxy; // NULL: none
    uint64_t connect_timeout_ms, timeout_ms;
    size_t body_max;
};

struct fetch_response { // borrowed for the call
    enum fetch_error error;
    char error_text[256]; // printable ASCII, no URL query, no secrets
    int status;
    struct str body;                             // wiped after the call
    struct str content_type;                     // as sent; empty if none
    struct str retry_after, cache_control, date; // likewise
    struct str www_authenticate;                 // likewise; several lines as one, with commas
    struct str dpop_nonce; // likewise; empty also when it was sent more than once
    uint64_t sent_ms;      // loop clock, when the request was started
    uint64_t took_us;
};

typedef void fetch_done_fn(void *arg, const struct fetch_response *response);

// NULL and err when the request itself is unusable (bad URL, header with control characters,
// missing TLS file); otherwise done is called exactly once, later, from the loop, unless
// fetch_cancel() came before.
struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
                          fetch_done_fn *done, void *arg, struct err *err) WARN_UNUSED;
void fetch_cancel(struct fetch *fetch);

#endif
