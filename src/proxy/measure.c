// SPDX-License-Identifier: MIT
// See measure.h. Every request, whatever becomes of it, ends in exactly one cell; only those that
// found an upstream count as in flight, for the others are answered at once.
#include "proxy/measure.h"

void measure_init(struct measure *measure, struct loop *loop, struct meter *meter)
{
    *measure = (struct measure){.loop = loop, .meter = meter};
}

void measure_begin(struct measure *measure)
{
    const struct config *config = measure->meter->config;
    *measure = (struct measure){
        .loop = measure->loop,
        .meter = measure->meter,
        .cell = &measure->meter->cells[meter_cell(config, NULL, NULL)],
        .replay = TRAFFIC_REPLAYS,
        .start_us = loop_now_us(measure->loop),
    };
}

void measure_choose(struct measure *measure, const struct config_upstream *upstream,
                    const struct config_route *route)
{
    measure->cell = &measure->meter->cells[meter_cell(measure->meter->config, upstream, route)];
    measure->upstream = upstream;
    measure->route = route;
    if (upstream)
        stat_add(&measure->cell->in_flight, 1);
}

void measure_wait(struct measure *measure, size_t slot)
{
    measure_waited(measure);
    measure->is_waiting = true;
    measure->waiting_slot = slot;
    measure->wait_us = loop_now_us(measure->loop);
    stat_add(&measure->cell->waiting, 1);
    stat_add(&measure->meter->waiting[slot], 1);
}

void measure_waited(struct measure *measure)
{
    if (!measure->is_waiting)
        return;
    uint64_t took_us = loop_now_us(measure->loop) - measure->wait_us;
    measure->is_waiting = false;
    measure->waited_us += took_us;
    histogram_add(&measure->cell->token_wait, took_us);
    stat_sub(&measure->cell->waiting, 1);
    stat_sub(&measure->meter->waiting[measure->waiting_slot], 1);
}

void measure_sent(struct measure *measure)
{
    measure->sent_us = loop_now_us(measure->loop);
}

void measure_head(struct measure *measure, bool was_retried)
{
    if (was_retried)
        stat_add(&measure->cell->retries, 1);
    measure->first_byte_us = loop_now_us(measure->loop) - measure->sent_us;
    histogram_add(&measure->cell->first_byte, measure->first_byte_us);
}

void measure_fail(struct measure *measure, enum forward_error error, bool was_retried,
                  const char *why)
{
    if (was_retried)
        stat_add(&measure->cell->retries, 1);
    meter_fail(measure->meter, measure->upstream, measure->route, error, false, why);
}

void measure_cut(struct measure *measure, const char *why)
{
    meter_fail(measure->meter, measure->upstream, measure->route, FORWARD_LOCAL, true, why);
}

void measure_body_in(struct measure *measure, uint64_t len)
{
    measure->body_in += len;
    stat_add(&measure->cell->body_in, len);
}

void measure_body_out(struct measure *measure, uint64_t len)
{
    measure->body_out += len;
    stat_add(&measure->cell->body_out, len);
}

void measure_tunnel(struct measure *measure)
{
    measure->is_tunnel = true;
}

void measure_replay(struct measure *measure, enum traffic_replay replay)
{
    measure->replay = replay;
}

static enum traffic_replay replay_outcome(enum traffic_replay said, int status, bool is_problem)
{
    if (said != TRAFFIC_REPLAY_TAKEN)
        return said;
    if (!status || is_problem)
        return TRAFFIC_REPLAY_FAILED;
    return status == 401 ? TRAFFIC_REPLAY_REFUSED : TRAFFIC_REPLAY_TAKEN;
}

static void measure_broken(struct traffic *cell, unsigned class)
{
    stat_add(&cell->broken, 1);
    if (class != TRAFFIC_CLASSES - 1)
        stat_add(&cell->broken_else, 1);
}

void measure_end(struct measure *measure, int status, bool is_problem, bool is_complete)
{
    struct traffic *cell = measure->cell;
    unsigned class = (unsigned)status / 100;
    class = class < TRAFFIC_CLASSES ? class : TRAFFIC_CLASSES - 1;
    measure_waited(measure);
    measure->total_us = clock_boottime_us() - measure->start_us;
    if (measure->replay != TRAFFIC_REPLAYS)
        stat_add(&cell->replays[replay_outcome(measure->replay, status, is_problem)], 1);
    if (measure->upstream)
        stat_sub(&cell->in_flight, 1);
    if (class && !is_complete)
        measure_broken(cell, class);
    stat_add(&cell->requests[class], 1);
    if (!measure->is_tunnel) // how long a tunnel stays open says nothing about how fast answers are
        histogram_add(&cell->total, measure->total_us);
}
