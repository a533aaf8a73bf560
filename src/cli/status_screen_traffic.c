// SPDX-License-Identifier: MIT
// Routes, upstreams and the latest failures of `bearerd status`.
#include "cli/status_screen.h"

#include <stdio.h>

#include "http/traffic.h"

enum { UPSTREAM_WIDTH = 12, NUMBER_WIDTH = 8, NOW_WIDTH = 5, CHART_WIDTH = 20 };
#define FAILURES_SHOWN  5
#define RATE_STEPS      12 // a minute of them
#define FAILURE_COLUMNS 4

struct lately { // of a route, from its steps of the last five minutes
    size_t steps;
    double requests, failed;
    double rate; // of the last minute, a second
};

// So many of the latest steps make the rate: a minute of them, or the whole ones since the start.
static size_t rate_steps(double step_s, double up_s)
{
    double steps = step_s > 0 ? up_s / step_s : RATE_STEPS;
    return steps < 1 ? 1 : steps < RATE_STEPS ? (size_t)steps : RATE_STEPS;
}

static struct lately lately_of(const struct json_t *route, double up_s)
{
    struct lately lately = {.steps = json_in_count(route, "recent.requests")};
    double step_s = json_in_number(route, "recent.step_s"), minute = 0;
    size_t wanted = rate_steps(step_s, up_s), counted = 0;
    for (size_t i = 0; i < lately.steps; i++) {
        double count = json_in_value(json_in_at(route, "recent.requests", i));
        lately.requests += count;
        lately.failed += json_in_value(json_in_at(route, "recent.failed", i));
        if (i + wanted >= lately.steps) {
            minute += count;
            counted++;
        }
    }
    lately.rate = counted && step_s > 0 ? minute / ((double)counted * step_s) : 0;
    return lately;
}

static double requests_of(const struct json_t *route)
{
    const struct json_t *requests = json_in_get(route, "requests");
    double sum = 0;
    for (size_t i = 0; i < TRAFFIC_CLASSES; i++)
        sum += json_in_number(requests, traffic_class_name(i));
    return sum;
}

static void number(struct screen *screen, unsigned width, int digits, double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.*f", digits, value);
    screen_cell_right(screen, str_of(text), width);
}

static void write_share(struct screen *screen, double requests, double failed)
{
    char text[32] = "-";
    double share = requests > 0 ? 100 * failed / requests : 0;
    if (requests > 0)
        snprintf(text, sizeof text, "%.1f %%", share);
    if (share > 0 && share < 0.1) // few of many are not none
        snprintf(text, sizeof text, "< 0.1 %%");
    if (failed > 0)
        screen_paint(screen, PAINT_RED);
    screen_cell_right(screen, str_of(text), NUMBER_WIDTH);
    if (failed > 0)
        screen_paint(screen, PAINT_PLAIN);
}

static double sum_of_steps(const struct json_t *route, size_t from, size_t to)
{
    double sum = 0;
    for (; from < to; from++)
        sum += json_in_value(json_in_at(route, "recent.requests", from));
    return sum;
}

// Heights are shares of the route's own highest column; anything at all shows.
static void write_chart(struct screen *screen, const struct json_t *route, size_t steps)
{
    size_t each = steps / CHART_WIDTH;
    double highest = 0;
    for (size_t i = 0; each && i < CHART_WIDTH; i++) {
        double sum = sum_of_steps(route, i * each, (i + 1) * each);
        highest = sum > highest ? sum : highest;
    }
    for (size_t i = 0; each && i < CHART_WIDTH; i++) {
        double sum = sum_of_steps(route, i * each, (i + 1) * each);
        screen_level(screen, sum > 0 ? 1 + (unsigned)(7 * sum / highest) : 0);
    }
}

static unsigned route_width(const struct screen *screen)
{
    unsigned others = UPSTREAM_WIDTH + 4 * NUMBER_WIDTH + NOW_WIDTH + 6 * 2;
    others += screen->width >= STATUS_SCREEN_WIDE ? CHART_WIDTH + 2 : 0;
    return screen->width > others + 8 ? screen->width - others : 8;
}

static void write_route_head(struct screen *screen)
{
    screen_paint(screen, PAINT_DIM);
    screen_cell(screen, STR("route"), route_width(screen));
    screen_cell(screen, STR("upstream"), UPSTREAM_WIDTH);
    screen_cell_right(screen, STR("a second"), NUMBER_WIDTH);
    screen_cell_right(screen, STR("errors"), NUMBER_WIDTH);
    screen_cell_right(screen, STR("p50 ms"), NUMBER_WIDTH);
    screen_cell_right(screen, STR("p99 ms"), NUMBER_WIDTH);
    screen_cell_right(screen, STR("now"), NOW_WIDTH);
    if (screen->width >= STATUS_SCREEN_WIDE)
        screen_text(screen, STR("last five minutes"));
    screen_paint(screen, PAINT_PLAIN);
    screen_line(screen);
}

static void write_route(struct screen *screen, const struct json_t *route, double up_s)
{
    struct lately lately = lately_of(route, up_s);
    bool is_known = lately.steps > 0; // else all since the start is all there is
    screen_cell(screen, json_in_text(route, "name"), route_width(screen));
    screen_cell(screen, json_in_text(route, "upstream"), UPSTREAM_WIDTH);
    if (is_known)
        number(screen, NUMBER_WIDTH, 2, lately.rate);
    else
        screen_cell_right(screen, STR("-"), NUMBER_WIDTH);
    write_share(screen, is_known ? lately.requests : requests_of(route),
                is_known ? lately.failed : json_in_number(route, "failed"));
    number(screen, NUMBER_WIDTH, 1, json_in_number(route, "duration.p50_ms"));
    number(screen, NUMBER_WIDTH, 1, json_in_number(route, "duration.p99_ms"));
    number(screen, NOW_WIDTH, 0, json_in_number(route, "in_flight"));
    if (screen->width >= STATUS_SCREEN_WIDE)
        write_chart(screen, route, lately.steps);
    screen_line(screen);
}

void status_screen_routes(struct screen *screen, const struct json_t *document, double now)
{
    double up_s = now - json_in_number(document, "process.started_at");
    size_t count = json_in_count(document, "routes"), left_out = 0;
    status_screen_title(screen, "ROUTES", count ? "" : "  none");
    if (count)
        write_route_head(screen);
    for (size_t i = 0; i < count; i++) {
        const struct json_t *route = json_in_at(document, "routes", i);
        bool is_idle = requests_of(route) + json_in_number(route, "in_flight") <= 0;
        if (is_idle && count > STATUS_SCREEN_ROWS)
            left_out++;
        else
            write_route(screen, route, up_s);
    }
    if (!left_out)
        return;
    screen_printf(screen, "and %zu without a request so far", left_out);
    screen_line(screen);
}

static double failures_of(const struct json_t *upstream)
{
    const struct json_t *failures = json_in_get(upstream, "failures");
    double sum = 0;
    for (unsigned kind = 0; kind < TRAFFIC_FAILURES; kind++)
        sum += json_in_number(failures, traffic_failure_name((enum traffic_failure)kind));
    return sum;
}

static void write_upstream(struct screen *screen, const struct json_t *upstream)
{
    double failures = failures_of(upstream);
    char url[300];
    snprintf(url, sizeof url, "%s://%.*s", json_in_is_true(upstream, "tls") ? "https" : "http",
             STR_ARG(json_in_text(upstream, "authority")));
    screen_cell(screen, json_in_text(upstream, "name"), UPSTREAM_WIDTH);
    screen_cell(screen, str_of(url), screen->width > 78 ? screen->width - 68 : 10);
    number(screen, NUMBER_WIDTH, 0, json_in_number(upstream, "connections.busy"));
    number(screen, NUMBER_WIDTH, 0, json_in_number(upstream, "connections.idle"));
    number(screen, NUMBER_WIDTH, 0, json_in_number(upstream, "connections.waiting"));
    number(screen, NUMBER_WIDTH, 0, json_in_number(upstream, "connections.max"));
    if (failures > 0)
        screen_paint(screen, PAINT_RED);
    number(screen, NUMBER_WIDTH, 0, failures);
    if (failures > 0)
        screen_paint(screen, PAINT_PLAIN);
    screen_line(screen);
}

void status_screen_upstreams(struct screen *screen, const struct json_t *document)
{
    static const char *const heads[] = {"busy", "idle", "waiting", "at most", "failures"};
    size_t count = json_in_count(document, "upstreams");
    status_screen_title(screen, "UPSTREAMS", count ? "" : "  none");
    if (!count)
        return;
    screen_paint(screen, PAINT_DIM);
    screen_cell(screen, STR("upstream"), UPSTREAM_WIDTH);
    screen_cell(screen, STR("connections to"), screen->width > 78 ? screen->width - 68 : 10);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        screen_cell_right(screen, str_of(heads[i]), NUMBER_WIDTH);
    screen_paint(screen, PAINT_PLAIN);
    screen_line(screen);
    for (size_t i = 0; i < count; i++)
        write_upstream(screen, json_in_at(document, "upstreams", i));
}

static void write_failure(struct screen *screen, const struct json_t *failure, double now)
{
    bool is_token = str_eq(json_in_text(failure, "of"), STR("token"));
    struct span ago = span_of(now - json_in_number(failure, "at"));
    double count = json_in_number(failure, "count");
    screen_paint(screen, PAINT_RED);
    screen_text(screen, json_in_text(failure, "kind"));
    screen_paint(screen, PAINT_PLAIN);
    screen_text(screen, is_token ? STR(": token of ") : STR(": upstream "));
    screen_text(screen, json_in_text(failure, is_token ? "credential" : "upstream"));
    screen_text(screen, is_token ? STR(" for ") : STR(" for route "));
    struct str part = json_in_text(failure, is_token ? "scope" : "route");
    screen_text(screen, part.len ? part : is_token ? STR("no scope") : STR("-"));
    screen_printf(screen, ", %s ago", ago.text);
    if (count > 1)
        screen_printf(screen, ", %.0f times", count);
    screen_line(screen);
    screen_wrapped(screen, PAINT_PLAIN, FAILURE_COLUMNS, json_in_text(failure, "cause"));
    screen_wrapped(screen, PAINT_DIM, FAILURE_COLUMNS, json_in_text(failure, "remedy"));
}

void status_screen_failures(struct screen *screen, const struct json_t *document, double now)
{
    size_t count = json_in_count(document, "failures");
    status_screen_title(screen, "LATEST FAILURES", count ? "" : "  none");
    for (size_t i = 0; i < count && i < FAILURES_SHOWN; i++)
        write_failure(screen, json_in_at(document, "failures", i), now);
}
