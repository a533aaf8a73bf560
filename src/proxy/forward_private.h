// SPDX-License-Identifier: MIT
// What forward.c (the connection, the request, the response head) and forward_body.c (the response
// body) share; nobody else includes this.
#ifndef PROXY_FORWARD_PRIVATE_H
#define PROXY_FORWARD_PRIVATE_H

#include "proxy/forward.h"

#define READ_SIZE ((size_t)16 * 1024)
#define KEEP_MEM_MAX                                                                               \
    ((size_t)64 * 1024) // buffers up to this stay with the object for the next request

static inline void buf_recycle(struct buf *buf)
{
    if (buf->cap > KEEP_MEM_MAX)
        buf_fini(buf);
    buf_clear(buf);
}

// Reads once and appends to `in`: the count, or LINK_EOF, LINK_AGAIN, LINK_FAILED.
ssize_t forward_fill(struct forward *forward);
// The exchange with the upstream is over: gives the connection back, for use again if it is clean.
void forward_release(struct forward *forward);
// Takes a connection, a new one if wanted, and sends what is in `out`.
void forward_open(struct forward *forward, bool wants_fresh);
// So much of the request's beginning is not needed any more.
void forward_drop_head(struct forward *forward, size_t len);
// For the second try on a new connection. False: there is no head for it.
bool forward_renew_head(struct forward *forward);
// The body broke off; returns FORWARD_CUT.
ssize_t forward_cut(struct forward *forward, const char *why);

#endif
