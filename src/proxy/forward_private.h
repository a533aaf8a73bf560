// SPDX-License-Identifier: MIT
// What forward.c (the connection, the request, the response head) and forward_body.c (the response
// body) share; nobody else includes this.
#ifndef PROXY_FORWARD_PRIVATE_H
#define PROXY_FORWARD_PRIVATE_H

#include "proxy/forward.h"

#define READ_SIZE ((size_t)16 * 1024)

// Reads once and appends to `in`: the count, or LINK_EOF, LINK_AGAIN, LINK_FAILED.
ssize_t forward_fill(struct forward *forward);
// The exchange with the upstream is over: gives the connection back, for use again if it is clean.
void forward_release(struct forward *forward);
// The body broke off; returns FORWARD_CUT.
ssize_t forward_cut(struct forward *forward, const char *why);

#endif
