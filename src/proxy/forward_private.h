// SPDX-License-Identifier: MIT
// What forward.c (the connection, the request), forward_resend.c (the request once more),
// forward_head.c (the response head) and forward_body.c (the response body) share; nobody else
// includes this.
#ifndef PROXY_FORWARD_PRIVATE_H
#define PROXY_FORWARD_PRIVATE_H

#include "proxy/forward.h"

#define READ_SIZE ((size_t)16 * 1024)

// Takes a connection of the pool, a new one if asked, and sends what is in `out`.
void forward_open(struct forward *forward, bool wants_fresh);
// Takes the first len bytes, which hold the head, out of `out` without a trace.
void forward_drop_head(struct forward *forward, size_t len);
// Empties a buffer; its memory stays for the next request unless it is large.
void forward_recycle(struct buf *buf);
// The leg is over without a response.
void forward_fail(struct forward *forward, enum forward_error error, const char *why);
// The connection broke before a response: once more on another one, or forward_fail().
void forward_broke(struct forward *forward, const char *why);
// Reads the response head, as far as it is here.
void forward_read_head(struct forward *forward);
// Reads once and appends to `in`: the count, or LINK_EOF, LINK_AGAIN, LINK_FAILED.
ssize_t forward_fill(struct forward *forward);
// The exchange with the upstream is over: gives the connection back, for use again if it is clean.
void forward_release(struct forward *forward);
// The body broke off; returns FORWARD_CUT.
ssize_t forward_cut(struct forward *forward, const char *why);

#endif
