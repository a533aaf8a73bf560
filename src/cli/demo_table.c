// SPDX-License-Identifier: MIT
// The demo's table: two lines a request, 99 columns, drawn with boxes where the terminal shows
// them. Only prints; knows of requests and results what demo.h says.
#include <inttypes.h>
#include <string.h>

#include "cli/demo.h"

enum { COLUMNS = 4, CELL_MAX = 64 };
static const int widths[COLUMNS] = {32, 32, 11, 11};

struct frame { // what the lines are drawn with
    const char *bar, *dash;
    const char *corners[3][3]; // top, between, bottom: left, middle, right
    const char *micro;
};

static const struct frame ascii = {
    "|", "-", {{"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}}, "us"};
static const struct frame boxes = {
    "│", "─", {{"┌", "┬", "┐"}, {"├", "┼", "┤"}, {"└", "┴", "┘"}}, "µs"};

static void print_rule(FILE *to, const struct frame *frame, int which)
{
    for (int i = 0; i < COLUMNS; i++) {
        fputs(frame->corners[which][i ? 1 : 0], to);
        for (int n = 0; n < widths[i] + 2; n++)
            fputs(frame->dash, to);
    }
    fprintf(to, "%s\n", frame->corners[which][2]);
}

static void print_line(FILE *to, const struct frame *frame, const char cells[COLUMNS][CELL_MAX])
{
    for (int i = 0; i < COLUMNS; i++) {
        size_t len = 0, shown = 0; // bytes, columns: the bytes that continue a character take none
        for (; cells[i][len] && shown < (size_t)widths[i]; len++)
            shown += (cells[i][len + 1] & 0xc0) != 0x80;
        fprintf(to, "%s %.*s%*s ", frame->bar, (int)len, cells[i], widths[i] - (int)shown, "");
    }
    fprintf(to, "%s\n", frame->bar);
}

static void print_row(FILE *to, const struct frame *frame, const struct demo_request *request,
                      const struct demo_result *result)
{
    char top[COLUMNS][CELL_MAX] = {0}, below[COLUMNS][CELL_MAX] = {0};
    snprintf(top[0], CELL_MAX, "%s %s", request->method, request->target);
    snprintf(below[0], CELL_MAX, "%s%s", request->authorization ? "Authorization: " : "",
             request->authorization ? request->authorization : "(no Authorization)");
    if (result->status == 200) {
        struct str scopes = str_of(result->scope), scope = STR_NONE;
        snprintf(top[1], CELL_MAX, "%s", result->upstream_line);
        snprintf(below[1], CELL_MAX, "Authorization: Bearer [%s]", result->fingerprint);
        if (str_word(&scopes, &scope))
            snprintf(top[2], CELL_MAX, "%.*s", STR_ARG(scope));
        if (str_word(&scopes, &scope))
            snprintf(below[2], CELL_MAX, "%.*s", STR_ARG(scope));
        snprintf(top[3], CELL_MAX, "%s", result->is_new ? "fetched" : "from cache");
        snprintf(below[3], CELL_MAX, "%8" PRIu64 " %s", result->took_us, frame->micro);
    } else {
        snprintf(top[1], CELL_MAX, "(nothing)");
    }
    print_line(to, frame, top);
    print_line(to, frame, below);
}

void demo_table_print(FILE *to, bool use_utf8, const struct demo_request *requests,
                      const struct demo_result *results, size_t count)
{
    static const char head[COLUMNS][CELL_MAX] = {"the client sent", "the upstream got", "scope set",
                                                 "token"};
    const struct frame *frame = use_utf8 ? &boxes : &ascii;
    print_rule(to, frame, 0);
    print_line(to, frame, head);
    for (size_t i = 0; i < count; i++) {
        print_rule(to, frame, 1);
        print_row(to, frame, &requests[i], &results[i]);
    }
    print_rule(to, frame, 2);
    for (size_t i = 0; i < count; i++)
        if (!results[i].is_right)
            fprintf(to, "  request %zu went wrong: %s\n", i + 1, results[i].problem);
}
