// SPDX-License-Identifier: MIT
// /status.json for people: who runs there, its tokens as bars, routes, upstreams, what failed last.
// Pure: from a document to lines. What it does not know, or misses, it leaves out.
#ifndef CLI_STATUS_SCREEN_H
#define CLI_STATUS_SCREEN_H

#include "cli/json_in.h"
#include "cli/screen.h"

// From so many columns on there is room for what is nice to know; so many rows of a table are shown
// even if nothing happens in them.
enum { STATUS_SCREEN_WIDE = 100, STATUS_SCREEN_ROWS = 20 };

void status_screen_write(struct screen *screen, const struct json_t *document);

// Its parts (status_screen_tokens.c, status_screen_traffic.c); now: the server's clock.
void status_screen_tokens(struct screen *screen, const struct json_t *document, double now);
void status_screen_routes(struct screen *screen, const struct json_t *document, double now);
void status_screen_upstreams(struct screen *screen, const struct json_t *document);
void status_screen_failures(struct screen *screen, const struct json_t *document, double now);

// A length of time in the two units that say most: "3 h 12 min".
struct span {
    char text[32];
};
struct span span_of(double seconds);
void status_screen_title(struct screen *screen, const char *title, const char *more);

#endif
