// SPDX-License-Identifier: MIT
// See pace.h. Owns the numbers that keep a broken setup from hammering an authorization server;
// knows no clock and no slot. Invariant: every result is above zero as long as the minima are.
#include "token/pace.h"

const struct pace pace_default = {
    .floor_min_ms = 1000,
    .floor_max_ms = 10000,
    .backoff_min_ms = 1000,
    .backoff_max_ms = 60000,
    .refused_min_ms = 60000,
    .refused_max_ms = 300000,
    .local_max_ms = 5000,
    .recheck_ms = 5000,
};

uint64_t pace_floor_ms(const struct pace *pace, uint64_t lifetime_ms)
{
    uint64_t floor = lifetime_ms / 10;
    if (floor < pace->floor_min_ms)
        return pace->floor_min_ms;
    return floor < pace->floor_max_ms ? floor : pace->floor_max_ms;
}

uint64_t pace_hold_off_ms(const struct pace *pace, enum token_failure_kind kind,
                          unsigned failed_count, double jitter, uint64_t retry_after_ms)
{
    uint64_t wait = kind == FAILURE_REFUSED ? pace->refused_min_ms : pace->backoff_min_ms;
    uint64_t max = kind == FAILURE_REFUSED ? pace->refused_max_ms
                   : kind == FAILURE_LOCAL ? pace->local_max_ms
                                           : pace->backoff_max_ms;
    for (unsigned i = 1; i < failed_count && wait < max; i++)
        wait *= 2;
    wait = wait < max ? wait : max;
    wait -= (uint64_t)((double)wait / 4 * jitter);
    return wait > retry_after_ms ? wait : retry_after_ms;
}

uint64_t pace_refused_ms(const struct pace *pace, unsigned refused_count)
{
    uint64_t apart_ms = pace->floor_max_ms;
    for (unsigned i = 1; i < refused_count && apart_ms < pace->refused_max_ms; i++)
        apart_ms *= 2;
    return apart_ms < pace->refused_max_ms ? apart_ms : pace->refused_max_ms;
}
