// SPDX-License-Identifier: MIT
// The latest failures, with their causes and what to do about them. One that comes again and again
// takes one place.
#ifndef ADMIN_FAILURES_H
#define ADMIN_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "http/traffic.h"
#include "token/token.h"

#define FAILURES_MAX 20

struct failure {
    int64_t first_at_ms, at_ms; // UTC, since the epoch; of the last
    uint64_t count;
    bool is_token;     // else an upstream's
    char subject[128]; // credential or upstream
    char part[256];    // scope, or route of the last; "" for none
    char kind[32];
    char error[64];  // the authorization server's word for it; "" for none
    char cause[512]; // of the last
    const char *remedy;
};

struct failures {
    struct failure items[FAILURES_MAX]; // the latest first
    size_t count;
};

void failures_add_token(struct failures *failures, const char *credential, const char *scope,
                        const struct token_failure *failure);
// count: so many of the kind. why: the last one's cause, in words; NULL: they are some more of what
// was added before.
void failures_add_upstream(struct failures *failures, const char *upstream, const char *route,
                           enum traffic_failure failure, const char *why, uint64_t count);

#endif
