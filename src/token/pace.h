// SPDX-License-Identifier: MIT
// How often an authorization server may be asked: the floor between two fetches of a slot, and the
// hold-off after a failure. Pure: counts and jitter are arguments.
#ifndef TOKEN_PACE_H
#define TOKEN_PACE_H

#include <stdint.h>

#include "token/token.h"

struct pace {
    uint64_t floor_min_ms, floor_max_ms; // between fetches: a tenth of the lifetime, within these
    uint64_t backoff_min_ms, backoff_max_ms; // passing failures: doubled each time
    uint64_t refused_min_ms, refused_max_ms; // refusals, likewise: asking again hardly helps
    uint64_t local_max_ms; // our own failures: looking again costs nobody anything
    uint64_t recheck_ms;   // while refused: how often to look whether the secret has changed
};

// 1-10 s, 1-60 s, 60-300 s, 5 s, 5 s.
extern const struct pace pace_default;

uint64_t pace_floor_ms(const struct pace *pace, uint64_t lifetime_ms);
// After the failed_count-th failure in a row (1 = first). jitter 0 to 1 takes away up to a quarter;
// never less than what the server asked for with Retry-After.
// How far apart token requests made for refusals by an upstream must be: none before the second,
// then ten seconds, doubled each time.
uint64_t pace_refused_ms(const struct pace *pace, unsigned refused_count);
uint64_t pace_hold_off_ms(const struct pace *pace, enum token_failure_kind kind,
                          unsigned failed_count, double jitter, uint64_t retry_after_ms);

#endif
