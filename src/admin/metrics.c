// SPDX-License-Identifier: MIT
// /metrics of the process and the traffic, in Prometheus' words; metrics_tokens.c has the tokens.
// Labels come from the configuration alone. A route that nobody has used has its counters, but no
// histograms, so that ten thousand routes do not make a hundred lines each.
#include "admin/metrics.h"

#include <inttypes.h>

#include "base/log.h"
#include "http/multi.h"

#define LABELS 2 // upstream, route: those that a family adds come behind

// -- the process -------------------------------------------------------------------------------

static void one_number(struct exposition *exposition, const char *name, const char *kind,
                       const char *help, uint64_t value)
{
    exposition_family(exposition, name, kind, help);
    exposition_number(exposition, value);
}

static void one_time(struct exposition *exposition, const char *name, const char *kind,
                     const char *help, int64_t microseconds)
{
    exposition_family(exposition, name, kind, help);
    exposition_seconds_us(exposition, microseconds);
}

static void write_build(struct exposition *exposition)
{
    exposition_family(exposition, "bearerd_build_info", "gauge",
                      "Versions of bearerd and its libraries; always 1.");
    exposition_label(exposition, 0, "version", BEARERD_VERSION);
    exposition_label(exposition, 1, "libmicrohttpd", server_library_version());
    exposition_label(exposition, 2, "libcurl", multi_library_version());
    exposition_number(exposition, 1);
}

static void write_machine(struct exposition *exposition, const struct admin *admin)
{
    struct process_facts machine;
    process_read(admin->process, &machine);
    one_time(exposition, "process_cpu_seconds_total", "counter", "Processor time used, in seconds.",
             (int64_t)machine.cpu_us);
    one_number(exposition, "process_resident_memory_bytes", "gauge", "Memory in use.",
               machine.resident_bytes);
    one_number(exposition, "process_open_fds", "gauge", "Descriptors in use.", machine.open_fds);
    one_number(exposition, "process_max_fds", "gauge", "Descriptors that may be in use.",
               machine.max_fds);
    one_number(exposition, "bearerd_log_dropped_total", "counter",
               "Lines of the log that whoever reads it did not take in time.", log_dropped());
}

static void write_reloads(struct exposition *exposition, const struct facts_reloads *reloads)
{
    one_number(exposition, "bearerd_config_last_reload_successful", "gauge",
               "Whether the configuration in force is what its file said when it was last read.",
               !reloads->last_failed);
    one_number(exposition, "bearerd_config_last_reload_success_timestamp_seconds", "gauge",
               "When the configuration in force was loaded.", (uint64_t)reloads->done_at_s);
    exposition_family(exposition, "bearerd_config_reloads_total", "counter",
                      "Reloads asked for, by what came of them.");
    exposition_label(exposition, 0, "result", "done");
    exposition_number(exposition, reloads->done);
    exposition_label(exposition, 0, "result", "failed");
    exposition_number(exposition, reloads->failed);
}

static void write_process(struct exposition *exposition, const struct admin *admin)
{
    struct facts_process process;
    struct traffic_clients clients = {0};
    admin->facts.process(admin->facts.arg, &process);
    admin->facts.clients(admin->facts.arg, &clients);
    write_build(exposition);
    one_number(exposition, "process_start_time_seconds", "gauge",
               "When the process started, seconds since 1970.", (uint64_t)process.started_at_s);
    write_machine(exposition, admin);
    one_number(exposition, "bearerd_workers", "gauge", "Threads that move requests.",
               process.workers);
    one_number(
        exposition, "bearerd_ready", "gauge",
        "Whether /readyz says so: 1 when requests are taken and no required token is missing.",
        health_is_ready(admin));
    one_number(exposition, "bearerd_draining", "gauge", "Whether it is about to stop.",
               process.phase == FACTS_DRAINING);
    write_reloads(exposition, &process.reloads);
    one_number(exposition, "bearerd_client_connections", "gauge",
               "Open connections of clients, as of a second ago at most.", clients.open);
    one_number(exposition, "bearerd_client_connections_total", "counter",
               "Connections of clients that were taken.", clients.accepted);
    one_number(exposition, "bearerd_client_connections_max", "gauge", "max_connections.",
               process.clients_max);
}

// -- requests ----------------------------------------------------------------------------------
// A family's samples stand together, so each family goes through all the cells.

struct cells {
    const struct config *config;
    struct traffic *items; // routes, upstreams without a route, neither
    size_t count;
};

static void cells_read(struct cells *cells, const struct admin *admin)
{
    const struct facts *facts = &admin->facts;
    const struct config *config = facts->config(facts->arg);
    size_t at = 0;
    *cells = (struct cells){.config = config};
    cells->count = config->route_count + config->upstream_count + 1;
    cells->items = mem_array(cells->count, sizeof *cells->items);
    for (size_t i = 0; i < config->route_count; i++)
        facts->traffic(facts->arg, config->routes[i]->upstream, config->routes[i],
                       &cells->items[at++]);
    for (size_t i = 0; i < config->upstream_count; i++)
        facts->traffic(facts->arg, config->upstreams[i], NULL, &cells->items[at++]);
    facts->traffic(facts->arg, NULL, NULL, &cells->items[at]);
}

// "-", as in the log, for what a request did not find.
static void label_cell(struct exposition *exposition, const struct cells *cells, size_t i)
{
    const struct config *config = cells->config;
    const char *upstream = "-", *route = "-";
    if (i < config->route_count) {
        upstream = config->routes[i]->upstream->name;
        route = config->routes[i]->name;
    } else if (i - config->route_count < config->upstream_count) {
        upstream = config->upstreams[i - config->route_count]->name;
    }
    exposition_label(exposition, 0, "upstream", upstream);
    exposition_label(exposition, 1, "route", route);
}

static void write_requests(struct exposition *exposition, const struct cells *cells)
{
    exposition_family(exposition, "bearerd_requests_total", "counter",
                      "Requests that ended, by the class of the answer's status; none: the client "
                      "went away before it had one.");
    for (size_t i = 0; i < cells->count; i++) {
        label_cell(exposition, cells, i);
        for (size_t class = 0; class < TRAFFIC_CLASSES; class ++) {
            if (class == 1 && !cells->items[i].requests[1])
                continue; // there are none, but for a switch of protocols
            exposition_label(exposition, LABELS, "class", traffic_class_name(class));
            exposition_number(exposition, cells->items[i].requests[class]);
        }
    }
}

static void write_cells(struct exposition *exposition, const struct cells *cells, const char *name,
                        const char *kind, const char *help, size_t offset)
{
    exposition_family(exposition, name, kind, help);
    for (size_t i = 0; i < cells->count; i++) {
        label_cell(exposition, cells, i);
        const char *cell = (const char *)&cells->items[i];
        exposition_number(exposition, *(const uint64_t *)(const void *)(cell + offset));
    }
}

static void write_histogram(struct exposition *exposition, const struct cells *cells,
                            const char *name, const char *help, size_t offset)
{
    exposition_family(exposition, name, "histogram", help);
    for (size_t i = 0; i < cells->count; i++) {
        const char *cell = (const char *)&cells->items[i];
        const struct histogram *histogram = (const void *)(cell + offset);
        if (!histogram_count(histogram))
            continue;
        label_cell(exposition, cells, i);
        exposition_histogram(exposition, histogram);
    }
}

// A counter that appears with a one is a rise that nobody sees: those that alerts watch begin at
// zero with the route's first request.
static bool is_replay_shown(const struct traffic *cell, enum traffic_replay replay)
{
    bool is_watched = replay == TRAFFIC_REPLAY_REFUSED || replay == TRAFFIC_REPLAY_NONE_NEWER;
    return cell->replays[replay] || (is_watched && traffic_ended(cell));
}

static void write_replays(struct exposition *exposition, const struct cells *cells)
{
    exposition_family(
        exposition, "bearerd_replays_total", "counter",
        "Requests whose token an upstream refused (401), by what came of sending them "
        "once more; those without such a request are left out, but for refused and none_newer.");
    for (size_t i = 0; i < cells->count; i++)
        for (unsigned replay = 0; replay < TRAFFIC_REPLAYS; replay++) {
            if (!is_replay_shown(&cells->items[i], (enum traffic_replay)replay))
                continue;
            label_cell(exposition, cells, i);
            exposition_label(exposition, LABELS, "outcome",
                             traffic_replay_name((enum traffic_replay)replay));
            exposition_number(exposition, cells->items[i].replays[replay]);
        }
}

static void write_traffic(struct exposition *exposition, const struct admin *admin)
{
    struct cells cells;
    cells_read(&cells, admin);
    write_requests(exposition, &cells);
    write_cells(exposition, &cells, "bearerd_requests_broken_total", "counter",
                "Requests whose answer was not sent to its end.", offsetof(struct traffic, broken));
    write_cells(exposition, &cells, "bearerd_requests_in_flight", "gauge", "Requests under way.",
                offsetof(struct traffic, in_flight));
    write_cells(exposition, &cells, "bearerd_requests_waiting_for_token", "gauge",
                "Requests that wait for a token.", offsetof(struct traffic, waiting));
    write_cells(exposition, &cells, "bearerd_request_body_bytes_total", "counter",
                "Bytes of request bodies passed on.", offsetof(struct traffic, body_in));
    write_cells(exposition, &cells, "bearerd_response_body_bytes_total", "counter",
                "Bytes of response bodies passed on.", offsetof(struct traffic, body_out));
    write_cells(exposition, &cells, "bearerd_retries_total", "counter",
                "Requests sent again because a pooled connection was dead.",
                offsetof(struct traffic, retries));
    write_replays(exposition, &cells);
    write_histogram(exposition, &cells, "bearerd_request_duration_seconds",
                    "From the arrival of a request's head to the end of its answer.",
                    offsetof(struct traffic, total));
    write_histogram(exposition, &cells, "bearerd_upstream_first_byte_seconds",
                    "From sending a request on to the head of the upstream's answer.",
                    offsetof(struct traffic, first_byte));
    write_histogram(exposition, &cells, "bearerd_token_wait_seconds",
                    "How long requests waited for a token; those that had it at hand are not "
                    "counted.",
                    offsetof(struct traffic, token_wait));
    mem_free(cells.items);
}

// -- upstreams ---------------------------------------------------------------------------------

static void write_states(struct exposition *exposition, const struct config *config,
                         const struct traffic_upstream *counts)
{
    exposition_family(exposition, "bearerd_upstream_connections", "gauge",
                      "Connections to an upstream by state, as of a second ago at most.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct traffic_upstream *count = &counts[i];
        const struct {
            const char *name;
            uint64_t value;
        } states[] = {
            {"idle", count->idle}, {"busy", count->in_use}, {"connecting", count->connecting}};
        exposition_label(exposition, 0, "upstream", config->upstreams[i]->name);
        for (size_t state = 0; state < ARRAY_LEN(states); state++) {
            exposition_label(exposition, 1, "state", states[state].name);
            exposition_number(exposition, states[state].value);
        }
    }
}

static void write_upstream_numbers(struct exposition *exposition, const struct config *config,
                                   const struct traffic_upstream *counts)
{
    exposition_family(exposition, "bearerd_upstream_waiting", "gauge",
                      "Requests that wait for a connection, as of a second ago at most.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        exposition_label(exposition, 0, "upstream", config->upstreams[i]->name);
        exposition_number(exposition, counts[i].waiting);
    }
    exposition_family(exposition, "bearerd_upstream_connections_max", "gauge",
                      "max_connections, all workers together.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        exposition_label(exposition, 0, "upstream", config->upstreams[i]->name);
        exposition_number(exposition, config->upstreams[i]->max_connections * config->workers);
    }
    exposition_family(exposition, "bearerd_upstream_connects_total", "counter",
                      "Connections begun.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        exposition_label(exposition, 0, "upstream", config->upstreams[i]->name);
        exposition_number(exposition, counts[i].connects);
    }
}

static void write_upstream_failures(struct exposition *exposition, const struct config *config,
                                    const struct traffic_upstream *counts)
{
    exposition_family(exposition, "bearerd_upstream_failures_total", "counter",
                      "Requests to which the upstream gave no answer, or not all of it.");
    for (size_t i = 0; i < config->upstream_count; i++) {
        exposition_label(exposition, 0, "upstream", config->upstreams[i]->name);
        for (unsigned kind = 0; kind < TRAFFIC_FAILURES; kind++) {
            exposition_label(exposition, 1, "kind",
                             traffic_failure_name((enum traffic_failure)kind));
            exposition_number(exposition, counts[i].failures[kind]);
        }
    }
}

static void write_upstreams(struct exposition *exposition, const struct admin *admin)
{
    const struct facts *facts = &admin->facts;
    const struct config *config = facts->config(facts->arg);
    struct traffic_upstream *counts = mem_array(config->upstream_count, sizeof *counts);
    for (size_t i = 0; i < config->upstream_count; i++)
        facts->upstream(facts->arg, config->upstreams[i], &counts[i]);
    write_states(exposition, config, counts);
    write_upstream_numbers(exposition, config, counts);
    write_upstream_failures(exposition, config, counts);
    mem_free(counts);
}

int metrics_write(const struct admin_call *call, struct buf *out)
{
    struct exposition exposition;
    exposition_init(&exposition, out);
    write_process(&exposition, call->admin);
    write_traffic(&exposition, call->admin);
    write_upstreams(&exposition, call->admin);
    metrics_write_tokens(&exposition, call->admin);
    return exposition.has_failed ? 0 : 200;
}
