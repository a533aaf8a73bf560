// SPDX-License-Identifier: MIT
// See history.h. A step is the difference of two readings of counters that only grow. What is kept
// goes by names, so that it outlives a configuration.
#include "admin/history.h"

#include <string.h>

struct cell {
    char *upstream, *route;     // route "": none
    uint64_t requests, failed;  // as read last
    struct history_steps steps; // a ring: the oldest is at history->at
};

struct history {
    struct loop *loop;
    const struct facts *facts;
    struct config *config; // what the cells were made of; referenced
    struct timer timer;
    struct cell *cells;
    size_t count, at;
};

uint64_t history_failed(const struct traffic *traffic)
{
    return traffic->requests[0] + traffic->requests[5] + traffic->broken_else;
}

static struct cell *find(struct cell *cells, size_t count, const char *upstream, const char *route)
{
    for (size_t i = 0; cells && i < count; i++)
        if (!strcmp(cells[i].upstream, upstream) && !strcmp(cells[i].route, route))
            return &cells[i];
    return NULL;
}

static void read_cell(const struct history *history, struct cell *cell,
                      const struct config_upstream *upstream, const struct config_route *route,
                      bool is_first)
{
    struct traffic now;
    history->facts->traffic(history->facts->arg, upstream, route, &now);
    uint64_t requests = traffic_ended(&now), failed = history_failed(&now);
    // A counter that fell began anew.
    bool is_known = !is_first && requests >= cell->requests && failed >= cell->failed;
    uint64_t more = is_known ? requests - cell->requests : 0;
    uint64_t more_failed = is_known ? failed - cell->failed : 0;
    // Read while it is written to: what is ahead of its request counts in the next step.
    uint64_t early = more_failed > more ? more_failed - more : 0;
    cell->steps.requests[history->at] = (uint32_t)more;
    cell->steps.failed[history->at] = (uint32_t)(more_failed - early);
    cell->requests = requests;
    cell->failed = failed - early;
}

static void free_cells(struct cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(cells[i].upstream);
        mem_free(cells[i].route);
    }
    mem_free(cells);
}

static size_t cell_count(const struct config *config)
{
    size_t count = config->route_count + config->upstream_count;
    return count < HISTORY_CELLS_MAX ? count : HISTORY_CELLS_MAX;
}

static const struct config_route *route_at(const struct config *config, size_t i)
{
    return i < config->route_count ? config->routes[i] : NULL;
}

static const struct config_upstream *upstream_at(const struct config *config, size_t i)
{
    return i < config->route_count ? config->routes[i]->upstream
                                   : config->upstreams[i - config->route_count];
}

static void history_rebuild(struct history *history, struct config *config)
{
    config_unref(history->config);
    struct cell *before = history->cells;
    size_t before_count = history->count;
    history->count = cell_count(config);
    history->cells = mem_array(history->count, sizeof *history->cells);
    history->config = config_ref(config);
    for (size_t i = 0; i < history->count; i++) {
        const struct config_route *route = route_at(config, i);
        const struct config_upstream *upstream = upstream_at(config, i);
        struct cell *cell = &history->cells[i];
        const struct cell *same =
            find(before, before_count, upstream->name, route ? route->name : "");
        if (same)
            *cell = *same;
        cell->upstream = mem_strdup(upstream->name);
        cell->route = mem_strdup(route ? route->name : "");
        if (!same)
            read_cell(history, cell, upstream, route, true);
    }
    free_cells(before, before_count);
}

static void on_step(struct timer *timer)
{
    struct history *history = CONTAINER_OF(timer, struct history, timer);
    struct config *config = history->facts->config(history->facts->arg);
    timer_start(history->loop, timer, HISTORY_STEP_MS);
    if (config != history->config)
        history_rebuild(history, config);
    for (size_t i = 0; i < history->count; i++)
        read_cell(history, &history->cells[i], upstream_at(config, i), route_at(config, i), false);
    history->at = (history->at + 1) % HISTORY_STEPS;
}

struct history *history_new(struct loop *loop, const struct facts *facts)
{
    struct history *history = mem_alloc(sizeof *history);
    history->loop = loop;
    history->facts = facts;
    history_rebuild(history, facts->config(facts->arg));
    timer_init(&history->timer, on_step);
    timer_start(loop, &history->timer, HISTORY_STEP_MS);
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    timer_stop(history->loop, &history->timer);
    free_cells(history->cells, history->count);
    config_unref(history->config);
    mem_free(history);
}

bool history_read(const struct history *history, const struct config_upstream *upstream,
                  const struct config_route *route, struct history_steps *out)
{
    size_t place = route ? route->index : history->config->route_count + upstream->index;
    const struct cell *cell = place < history->count ? &history->cells[place] : NULL;
    if (!cell && history->config == history->facts->config(history->facts->arg))
        return false;
    // With another configuration than at the last step, the places are others.
    if (!cell || strcmp(cell->upstream, upstream->name) != 0 ||
        strcmp(cell->route, route ? route->name : "") != 0)
        cell = find(history->cells, history->count, upstream->name, route ? route->name : "");
    if (!cell)
        return false;
    for (size_t i = 0; i < HISTORY_STEPS; i++) {
        size_t from = (history->at + i) % HISTORY_STEPS;
        out->requests[i] = cell->steps.requests[from];
        out->failed[i] = cell->steps.failed[from];
    }
    return true;
}
