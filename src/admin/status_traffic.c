// SPDX-License-Identifier: MIT
// /status.json: routes and upstreams, with what passed there since the start and lately.
#include "admin/status.h"

static void write_classes(struct json_out *json, const struct traffic *traffic)
{
    json_open(json, "requests", '{');
    for (size_t i = 0; i < TRAFFIC_CLASSES; i++)
        json_number(json, traffic_class_name(i), traffic->requests[i]);
    json_close(json, '}');
}

static void write_replays(struct json_out *json, const struct traffic *traffic)
{
    json_open(json, "replays", '{');
    for (unsigned i = 0; i < TRAFFIC_REPLAYS; i++)
        json_number(json, traffic_replay_name((enum traffic_replay)i), traffic->replays[i]);
    json_close(json, '}');
}

static void write_times(struct json_out *json, const char *name, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}};
    uint64_t count = histogram_count(histogram);
    json_open(json, name, '{');
    json_number(json, "count", count);
    // In milliseconds, with three digits behind the point.
    json_seconds(json, "mean_ms", count ? (int64_t)(histogram->sum_us / count) : 0);
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        json_seconds(json, shares[i].name,
                     (int64_t)histogram_quantile_us(histogram, shares[i].share));
    json_close(json, '}');
}

static void write_steps(struct json_out *json, const char *name, const uint32_t *steps)
{
    json_open(json, name, '[');
    for (size_t i = 0; i < HISTORY_STEPS; i++)
        json_number(json, NULL, steps[i]);
    json_close(json, ']');
}

static void write_recent(struct json_out *json, const struct history *history,
                         const struct config_upstream *upstream, const struct config_route *route)
{
    struct history_steps steps;
    if (!upstream || !history_read(history, upstream, route, &steps)) {
        json_null(json, "recent");
        return;
    }
    json_open(json, "recent", '{');
    json_seconds(json, "step_s", HISTORY_STEP_MS);
    write_steps(json, "requests", steps.requests);
    write_steps(json, "failed", steps.failed);
    json_close(json, '}');
}

static void write_cell(struct json_out *json, const struct admin *admin,
                       const struct config_upstream *upstream, const struct config_route *route)
{
    struct traffic traffic;
    admin->facts.traffic(admin->facts.arg, upstream, route, &traffic);
    write_classes(json, &traffic);
    json_number(json, "failed", history_failed(&traffic));
    json_number(json, "broken", traffic.broken);
    json_number(json, "in_flight", traffic.in_flight);
    json_number(json, "waiting_for_token", traffic.waiting);
    json_number(json, "body_in", traffic.body_in);
    json_number(json, "body_out", traffic.body_out);
    json_number(json, "retries", traffic.retries);
    write_replays(json, &traffic);
    write_times(json, "duration", &traffic.total);
    write_times(json, "first_byte", &traffic.first_byte);
    write_times(json, "token_wait", &traffic.token_wait);
    write_recent(json, admin->history, upstream, route);
}

static void write_route(struct json_out *json, const struct admin *admin,
                        const struct config_route *route)
{
    json_open(json, NULL, '{');
    json_text(json, "name", route->name);
    json_text(json, "upstream", route->upstream->name);
    json_open(json, "match", '[');
    for (size_t i = 0; i < route->match_count; i++)
        json_text(json, NULL, route->matches[i].text);
    json_close(json, ']');
    json_open(json, "tokens", '['); // their places in "tokens"
    for (size_t i = 0; i < route->slot_count; i++)
        json_number(json, NULL, route->slots[i]->index);
    json_close(json, ']');
    write_cell(json, admin, route->upstream, route);
    json_close(json, '}');
}

static void write_pool(struct json_out *json, const struct traffic_upstream *counts,
                       const struct config_upstream *upstream, size_t workers)
{
    json_open(json, "connections", '{');
    json_number(json, "idle", counts->idle);
    json_number(json, "busy", counts->in_use);
    json_number(json, "connecting", counts->connecting);
    json_number(json, "waiting", counts->waiting);
    json_number(json, "max", upstream->max_connections * workers);
    json_number(json, "begun", counts->connects);
    json_close(json, '}');
    json_open(json, "failures", '{');
    for (unsigned i = 0; i < TRAFFIC_FAILURES; i++)
        json_number(json, traffic_failure_name((enum traffic_failure)i), counts->failures[i]);
    json_close(json, '}');
}

static void write_upstream(struct json_out *json, const struct admin *admin,
                           const struct config_upstream *upstream, size_t workers)
{
    struct traffic_upstream counts;
    admin->facts.upstream(admin->facts.arg, upstream, &counts);
    json_open(json, NULL, '{');
    json_text(json, "name", upstream->name);
    json_text(json, "authority", upstream->url.authority);
    json_bool(json, "tls", upstream->url.is_https);
    write_pool(json, &counts, upstream, workers);
    json_open(json, "without_route", '{');
    write_cell(json, admin, upstream, NULL);
    json_close(json, '}');
    json_close(json, '}');
}

void status_write_traffic(struct json_out *json, const struct admin *admin)
{
    const struct config *config = admin->facts.config(admin->facts.arg);
    json_open(json, "routes", '[');
    for (size_t i = 0; i < config->route_count; i++)
        write_route(json, admin, config->routes[i]);
    json_close(json, ']');
    json_open(json, "upstreams", '[');
    for (size_t i = 0; i < config->upstream_count; i++)
        write_upstream(json, admin, config->upstreams[i], (size_t)config->workers);
    json_close(json, ']');
    json_open(json, "without_upstream", '{');
    write_cell(json, admin, NULL, NULL);
    json_close(json, '}');
}
