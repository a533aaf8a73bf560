// SPDX-License-Identifier: MIT
// See traffic.h.
#include "http/traffic.h"

void traffic_sum(struct traffic *to, const struct traffic *from)
{
    _Static_assert(sizeof *to % sizeof(uint64_t) == 0, "counters alone");
    stats_sum((uint64_t *)to, (const uint64_t *)from, TRAFFIC_WORDS(struct traffic));
}

void traffic_upstream_sum(struct traffic_upstream *to, const struct traffic_upstream *from)
{
    stats_sum((uint64_t *)to, (const uint64_t *)from, TRAFFIC_WORDS(struct traffic_upstream));
}

uint64_t traffic_ended(const struct traffic *traffic)
{
    uint64_t count = 0;
    for (size_t i = 0; i < TRAFFIC_CLASSES; i++)
        count += traffic->requests[i];
    return count;
}

const char *traffic_class_name(size_t class)
{
    static const char *const names[TRAFFIC_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    return names[class];
}

const char *traffic_replay_name(enum traffic_replay replay)
{
    static const char *const names[TRAFFIC_REPLAYS] = {
        [TRAFFIC_REPLAY_TAKEN] = "taken",
        [TRAFFIC_REPLAY_REFUSED] = "refused",
        [TRAFFIC_REPLAY_FAILED] = "failed",
        [TRAFFIC_REPLAY_NONE_NEWER] = "none_newer",
        [TRAFFIC_REPLAY_NOT_POSSIBLE] = "not_possible",
        [TRAFFIC_REPLAY_NONCE] = "nonce",
    };
    return names[replay];
}

const char *traffic_failure_name(enum traffic_failure failure)
{
    static const char *const names[TRAFFIC_FAILURES] = {
        [TRAFFIC_UNREACHABLE] = "unreachable",
        [TRAFFIC_TLS] = "tls",
        [TRAFFIC_CONNECT_TIMEOUT] = "connect_timeout",
        [TRAFFIC_BUSY] = "busy",
        [TRAFFIC_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
        [TRAFFIC_IDLE_TIMEOUT] = "idle_timeout",
        [TRAFFIC_CLOSED] = "closed",
        [TRAFFIC_MALFORMED] = "malformed",
        [TRAFFIC_HEAD_TOO_LARGE] = "head_too_large",
        [TRAFFIC_EXHAUSTED] = "exhausted",
        [TRAFFIC_LOCAL] = "local",
        [TRAFFIC_CUT] = "cut",
    };
    return names[failure];
}
