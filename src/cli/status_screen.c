// SPDX-License-Identifier: MIT
// See status_screen.h. The head, and in which order the rest follows.
#include "cli/status_screen.h"

#include <stdio.h>

#define LABEL_WIDTH 13

struct span span_of(double seconds)
{
    static const struct {
        double size;
        const char *name, *part;
        double part_size;
    } units[] = {{86400, "d", "h", 3600}, {3600, "h", "min", 60}, {60, "min", NULL, 1}};
    struct span span;
    // Also what is no number, or none that a clock could give.
    if (!(seconds >= 0 && seconds < 1e9))
        seconds = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        unsigned count = (unsigned)(seconds / units[i].size);
        if (!count)
            continue;
        unsigned part = (unsigned)((seconds - count * units[i].size) / units[i].part_size);
        if (part && units[i].part)
            snprintf(span.text, sizeof span.text, "%u %s %u %s", count, units[i].name, part,
                     units[i].part);
        else
            snprintf(span.text, sizeof span.text, "%u %s", count, units[i].name);
        return span;
    }
    snprintf(span.text, sizeof span.text, "%u s", (unsigned)seconds);
    return span;
}

void status_screen_title(struct screen *screen, const char *title, const char *more)
{
    screen_line(screen);
    screen_paint(screen, PAINT_BOLD);
    screen_text(screen, str_of(title));
    screen_paint(screen, PAINT_PLAIN);
    screen_paint(screen, PAINT_DIM);
    screen_text(screen, str_of(more));
    screen_paint(screen, PAINT_PLAIN);
    screen_line(screen);
}

static void write_state(struct screen *screen, const struct json_t *document)
{
    struct str phase = json_in_text(document, "process.phase");
    bool is_running = str_eq(phase, STR("running"));
    if (json_in_is_true(document, "process.ready")) {
        screen_paint(screen, PAINT_GREEN);
        screen_text(screen, STR("ready"));
    } else {
        screen_paint(screen, is_running ? PAINT_RED : PAINT_YELLOW);
        screen_text(screen, is_running ? STR("not ready") : phase);
    }
    screen_paint(screen, PAINT_PLAIN);
}

static void write_first_line(struct screen *screen, const struct json_t *document, double now)
{
    struct span up = span_of(now - json_in_number(document, "process.started_at"));
    screen_paint(screen, PAINT_BOLD);
    screen_text(screen, STR("bearerd "));
    screen_text(screen, json_in_text(document, "process.version"));
    screen_paint(screen, PAINT_PLAIN);
    screen_space(screen, 2);
    write_state(screen, document);
    screen_printf(screen, "  process %.0f, up %s, %.0f workers",
                  json_in_number(document, "process.pid"), up.text,
                  json_in_number(document, "process.workers"));
    screen_line(screen);
}

static void label(struct screen *screen, const char *text)
{
    screen_paint(screen, PAINT_DIM);
    screen_cell(screen, str_of(text), LABEL_WIDTH);
    screen_paint(screen, PAINT_PLAIN);
}

static void write_listen(struct screen *screen, const struct json_t *document)
{
    static const char path[] = "process.listen";
    label(screen, "listens on");
    for (size_t i = 0; i < json_in_count(document, path); i++) {
        screen_text(screen, i ? STR(", ") : STR_NONE);
        screen_text(screen, json_in_string(json_in_at(document, path, i)));
    }
    screen_line(screen);
}

static void write_config(struct screen *screen, const struct json_t *document, double now)
{
    struct span loaded = span_of(now - json_in_number(document, "config.loaded_at"));
    label(screen, "configuration");
    screen_text(screen, json_in_text(document, "config.path"));
    screen_printf(screen, ", in force for %s", loaded.text);
    screen_line(screen);
    if (!json_in_is_true(document, "config.reloads.last_failed"))
        return;
    screen_wrapped(screen, PAINT_RED, LABEL_WIDTH + 2,
                   STR("the last reload was refused, what ran before goes on:"));
    screen_wrapped(screen, PAINT_RED, LABEL_WIDTH + 2,
                   json_in_text(document, "config.reloads.last_error"));
}

static void write_process(struct screen *screen, const struct json_t *document)
{
    label(screen, "clients");
    screen_printf(screen, "%.0f connected, %.0f at most, %.0f so far",
                  json_in_number(document, "clients.open"), json_in_number(document, "clients.max"),
                  json_in_number(document, "clients.accepted"));
    screen_line(screen);
    label(screen, "process");
    screen_printf(screen, "%.1f MiB, %.0f of %.0f descriptors, %.1f s of processor time",
                  json_in_number(document, "process.resident_bytes") / (1024.0 * 1024),
                  json_in_number(document, "process.open_fds"),
                  json_in_number(document, "process.max_fds"),
                  json_in_number(document, "process.cpu_s"));
    screen_line(screen);
}

static void write_store(struct screen *screen, const struct json_t *document)
{
    bool is_up = json_in_is_true(document, "store.up");
    if (!json_in_get(document, "store"))
        return;
    label(screen, "store");
    screen_paint(screen, is_up ? PAINT_GREEN : PAINT_RED);
    screen_text(screen, is_up ? STR("up") : STR("away: everybody carries on alone"));
    screen_paint(screen, PAINT_PLAIN);
    screen_printf(screen, ", %.0f read, %.0f written, %.0f errors, %.0f not readable",
                  json_in_number(document, "store.loads"), json_in_number(document, "store.puts"),
                  json_in_number(document, "store.errors"),
                  json_in_number(document, "store.unreadable"));
    screen_line(screen);
}

void status_screen_write(struct screen *screen, const struct json_t *document)
{
    double now = json_in_number(document, "now");
    write_first_line(screen, document, now);
    write_listen(screen, document);
    write_config(screen, document, now);
    write_process(screen, document);
    write_store(screen, document);
    status_screen_tokens(screen, document, now);
    status_screen_routes(screen, document, now);
    status_screen_upstreams(screen, document);
    status_screen_failures(screen, document, now);
}
