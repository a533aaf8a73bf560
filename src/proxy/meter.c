// SPDX-License-Identifier: MIT
// See meter.h. One block of memory that begins on a cache line and ends on one. Large ones come
// zeroed from the kernel and are not resident before they are written to, so that ten thousand
// routes cost what is used of them.
#include "proxy/meter.h"

#include "proxy/ledger.h"

#define NEWS_APART_MS 1000

struct meter_news {   // about an upstream's failures of one kind
    uint64_t next_ms; // none before
    uint64_t untold;  // since the last
};

static size_t whole_lines(size_t size)
{
    return (size + STATS_LINE - 1) / STATS_LINE * STATS_LINE;
}

struct meter *meter_new(struct ledger *ledger, struct config *config, struct pool *const *pools)
{
    struct meter *meter = mem_alloc(sizeof *meter);
    size_t cells = whole_lines(meter_cell_count(config) * sizeof(struct traffic));
    size_t upstreams = whole_lines(config->upstream_count * sizeof(struct traffic_upstream));
    size_t waiting = whole_lines(config->slot_count * sizeof(uint64_t));
    meter->memory = mem_alloc(cells + upstreams + waiting + STATS_LINE);
    char *at = (char *)meter->memory + (STATS_LINE - (uintptr_t)meter->memory % STATS_LINE);
    meter->cells = (struct traffic *)(void *)at;
    meter->upstreams = (struct traffic_upstream *)(void *)(at + cells);
    meter->waiting = (uint64_t *)(void *)(at + cells + upstreams);
    meter->news = mem_array(config->upstream_count * TRAFFIC_FAILURES, sizeof *meter->news);
    meter->connects = mem_array(config->upstream_count, sizeof *meter->connects);
    for (size_t i = 0; pools && i < config->upstream_count; i++)
        meter->connects[i] = pool_count(pools[i]).connects;
    meter->config = config_ref(config);
    meter->ledger = ledger;
    if (ledger)
        ledger_add(ledger, meter);
    return meter;
}

void meter_dispose(struct meter *meter)
{
    config_unref(meter->config);
    mem_free(meter->news);
    mem_free(meter->connects);
    mem_free(meter->memory);
    mem_free(meter);
}

// A burst that is over has nothing behind it that could tell how large it was.
static void meter_tell_untold(struct meter *meter)
{
    for (size_t i = 0; meter->has_untold && i < meter->config->upstream_count; i++)
        for (unsigned kind = 0; kind < TRAFFIC_FAILURES; kind++) {
            struct meter_news *news = &meter->news[i * TRAFFIC_FAILURES + kind];
            if (news->untold)
                ledger_tell(meter->ledger, &(struct ledger_failure){
                                               .upstream = meter->config->upstreams[i]->name,
                                               .failure = (enum traffic_failure)kind,
                                               .count = news->untold,
                                           });
            news->untold = 0;
        }
    meter->has_untold = false;
}

void meter_free(struct meter *meter)
{
    if (!meter)
        return;
    meter_tell_untold(meter);
    if (meter->ledger)
        ledger_take(meter->ledger, meter);
    else
        meter_dispose(meter);
}

void meter_sample(struct meter *meter, struct pool *const *pools)
{
    for (size_t i = 0; i < meter->config->upstream_count; i++) {
        struct pool_counts counts = pool_count(pools[i]);
        struct traffic_upstream *upstream = &meter->upstreams[i];
        stat_set(&upstream->idle, counts.idle);
        stat_set(&upstream->in_use, counts.in_use);
        stat_set(&upstream->connecting, counts.connecting);
        stat_set(&upstream->waiting, counts.waiting);
        stat_add(&upstream->connects, counts.connects - meter->connects[i]);
        meter->connects[i] = counts.connects;
    }
    meter_tell_untold(meter);
}

void meter_end_samples(struct meter *meter, struct pool *const *pools)
{
    meter_sample(meter, pools);
    for (size_t i = 0; i < meter->config->upstream_count; i++) {
        struct traffic_upstream *upstream = &meter->upstreams[i];
        stat_set(&upstream->idle, 0);
        stat_set(&upstream->in_use, 0);
        stat_set(&upstream->connecting, 0);
        stat_set(&upstream->waiting, 0);
    }
}

static enum traffic_failure failure_of(enum forward_error error)
{
    switch (error) {
    case FORWARD_UNREACHABLE:
        return TRAFFIC_UNREACHABLE;
    case FORWARD_TLS:
        return TRAFFIC_TLS;
    case FORWARD_CONNECT_TIMEOUT:
        return TRAFFIC_CONNECT_TIMEOUT;
    case FORWARD_BUSY:
        return TRAFFIC_BUSY;
    case FORWARD_FIRST_BYTE_TIMEOUT:
        return TRAFFIC_FIRST_BYTE_TIMEOUT;
    case FORWARD_IDLE_TIMEOUT:
        return TRAFFIC_IDLE_TIMEOUT;
    case FORWARD_CLOSED:
        return TRAFFIC_CLOSED;
    case FORWARD_MALFORMED:
        return TRAFFIC_MALFORMED;
    case FORWARD_HEAD_TOO_LARGE:
        return TRAFFIC_HEAD_TOO_LARGE;
    case FORWARD_EXHAUSTED:
        return TRAFFIC_EXHAUSTED;
    case FORWARD_LOCAL:
        break;
    }
    return TRAFFIC_LOCAL;
}

void meter_fail(struct meter *meter, const struct config_upstream *upstream,
                const struct config_route *route, enum forward_error error, bool is_cut,
                const char *why)
{
    enum traffic_failure failure = is_cut ? TRAFFIC_CUT : failure_of(error);
    struct meter_news *news = &meter->news[upstream->index * TRAFFIC_FAILURES + failure];
    uint64_t now_ms = clock_boottime_us() / 1000;
    stat_add(&meter->upstreams[upstream->index].failures[failure], 1);
    if (!meter->ledger)
        return;
    if (now_ms < news->next_ms) {
        news->untold++;
        meter->has_untold = true;
        return;
    }
    ledger_tell(meter->ledger, &(struct ledger_failure){
                                   .upstream = upstream->name,
                                   .failure = failure,
                                   .count = 1 + news->untold,
                                   .why = why,
                                   .route = route ? route->name : NULL,
                               });
    *news = (struct meter_news){.next_ms = now_ms + NEWS_APART_MS};
}
