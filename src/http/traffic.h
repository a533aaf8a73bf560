// SPDX-License-Identifier: MIT
// What is counted of HTTP traffic, for those who count it (proxy/meter.h) and those who show it
// (admin/). Each struct is nothing but counters, all of them uint64_t, so that stats_sum() sums it.
#ifndef HTTP_TRAFFIC_H
#define HTTP_TRAFFIC_H

#include "base/stats.h"

// What became of an exchange whose tokens the upstream refused with 401.
enum traffic_replay {
    TRAFFIC_REPLAY_TAKEN,        // sent once more with newer tokens, and not refused again
    TRAFFIC_REPLAY_REFUSED,      // likewise, and refused again
    TRAFFIC_REPLAY_FAILED,       // likewise, and the upstream gave no answer
    TRAFFIC_REPLAY_NONE_NEWER,   // there was no newer token: the 401 was passed on
    TRAFFIC_REPLAY_NOT_POSSIBLE, // too large a body, a route that forbids it: passed on
    TRAFFIC_REPLAY_NONCE, // sent once more because a proof of possession lacked the server's nonce
    TRAFFIC_REPLAYS
};

#define TRAFFIC_CLASSES 6

struct traffic {                        // of a route, or of requests that have none
    uint64_t requests[TRAFFIC_CLASSES]; // ended, by hundreds of the status; 0: without an answer
    uint64_t broken;                    // of those with an answer: it was not sent to its end
    uint64_t in_flight, waiting;        // now; waiting: for a token
    uint64_t body_in, body_out;         // bytes passed on
    uint64_t retries;                   // sent again because a pooled connection was dead
    uint64_t replays[TRAFFIC_REPLAYS];
    struct histogram total;      // from the head's arrival to the answer's end, tunnels left out
    struct histogram first_byte; // from sending it on to the head of the upstream's answer
    struct histogram token_wait; // of waits for a token; those who had it at hand did not wait
    uint64_t broken_else;        // of those that are broken: with another status than 5xx
};

enum traffic_failure { // why the upstream gave no answer, or not all of it
    TRAFFIC_UNREACHABLE,
    TRAFFIC_TLS,
    TRAFFIC_CONNECT_TIMEOUT,
    TRAFFIC_BUSY,
    TRAFFIC_FIRST_BYTE_TIMEOUT,
    TRAFFIC_IDLE_TIMEOUT,
    TRAFFIC_CLOSED,
    TRAFFIC_MALFORMED,
    TRAFFIC_HEAD_TOO_LARGE,
    TRAFFIC_EXHAUSTED,
    TRAFFIC_LOCAL,
    TRAFFIC_CUT, // within the body
    TRAFFIC_FAILURES
};

struct traffic_upstream {                       // of the connections to an upstream
    uint64_t idle, in_use, connecting, waiting; // now
    uint64_t connects;                          // begun since the start
    uint64_t failures[TRAFFIC_FAILURES];        // of requests
};

struct traffic_clients { // connections of clients
    uint64_t open, accepted;
};

#define TRAFFIC_WORDS(type) (sizeof(type) / sizeof(uint64_t))

// Adds; `from` may be written to by another thread meanwhile.
void traffic_sum(struct traffic *to, const struct traffic *from);
void traffic_upstream_sum(struct traffic_upstream *to, const struct traffic_upstream *from);
uint64_t traffic_ended(const struct traffic *traffic); // requests of all classes

// For labels.
const char *traffic_class_name(size_t class);                   // "none", "1xx", …
const char *traffic_replay_name(enum traffic_replay replay);    // "taken", …
const char *traffic_failure_name(enum traffic_failure failure); // "unreachable", …

#endif
