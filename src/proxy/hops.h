// SPDX-License-Identifier: MIT
// Max-Forwards (RFC 9110 7.6.2): how many more proxies an OPTIONS request may pass. Other methods
// carry the field through as it is; TRACE goes nowhere. Pure.
#ifndef PROXY_HOPS_H
#define PROXY_HOPS_H

#include <stdint.h>

#include "http/headers.h"

enum hops_verdict {
    HOPS_UNLIMITED, // the request does not say, or is not asked
    HOPS_LEFT,      // *out_left are left behind us
    HOPS_OVER,      // we are the last: the request is ours to answer
    HOPS_MALFORMED,
};

enum hops_verdict hops_read(struct str method, const struct fields *fields, uint64_t *out_left);

#endif
