// SPDX-License-Identifier: MIT
// What one exchange adds to its worker's meter, and what its line in the access log says. Times are
// the loop's, read once a turn, so that they cost nothing: a request begins when the turn begins in
// which its head is complete. The end alone is read from the clock.
#ifndef PROXY_MEASURE_H
#define PROXY_MEASURE_H

#include "base/loop.h"
#include "proxy/meter.h"

struct measure {
    struct meter *meter;
    struct loop *loop;
    struct traffic *cell;
    const struct config_upstream *upstream;
    const struct config_route *route;
    bool is_waiting, is_tunnel;
    size_t waiting_slot;
    enum traffic_replay replay; // TRAFFIC_REPLAYS: none was thought of
    uint64_t start_us, sent_us, wait_us;
    // For the log. 0: there was none.
    uint64_t total_us, first_byte_us, waited_us, body_in, body_out;
};

// One-time; the object is used for one exchange after the other.
void measure_init(struct measure *measure, struct loop *loop, struct meter *meter);
void measure_begin(struct measure *measure);
void measure_choose(struct measure *measure, const struct config_upstream *upstream,
                    const struct config_route *route);
void measure_wait(struct measure *measure, size_t slot); // for its token …
void measure_waited(struct measure *measure);            // … no more; no-op when not waiting
void measure_sent(struct measure *measure);              // on to the upstream
// The upstream's answer has begun, or there is none, or it broke off. was_retried: the request was
// sent again because a pooled connection was dead.
void measure_head(struct measure *measure, bool was_retried);
void measure_fail(struct measure *measure, enum forward_error error, bool was_retried,
                  const char *why);
void measure_cut(struct measure *measure, const char *why);
void measure_body_in(struct measure *measure, uint64_t len);
void measure_body_out(struct measure *measure, uint64_t len);
void measure_tunnel(struct measure *measure); // it has become one
// How it stands with sending the request once more; the last word counts. TAKEN: it was sent.
void measure_replay(struct measure *measure, enum traffic_replay replay);
// status: of the answer; 0: none went out. is_problem: it is our own.
void measure_end(struct measure *measure, int status, bool is_problem, bool is_complete);

#endif
