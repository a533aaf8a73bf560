// SPDX-License-Identifier: MIT
// The tokens of `bearerd status`. A bar is a token's life, from when it was fetched to when it is
// not used any more: what is over, what is left, and a mark where it is due to be renewed.
#include "cli/status_screen.h"

#include <stdio.h>

enum { NAME_WIDTH = 14, STATE_WIDTH = 8, BAR_WIDTH = 18, LEFT_WIDTH = 10 };
#define NO_END_S (10.0 * 365 * 86400) // as the page has it

static enum paint paint_of(struct str state)
{
    if (str_eq(state, STR("valid")))
        return PAINT_GREEN;
    if (str_eq(state, STR("failed")))
        return PAINT_RED;
    return str_eq(state, STR("none")) ? PAINT_DIM : PAINT_YELLOW;
}

static unsigned place_of(double at, double begin, double end)
{
    double share = end > begin ? (at - begin) / (end - begin) : 1;
    return share <= 0 ? 0 : share >= 1 ? BAR_WIDTH : (unsigned)(share * BAR_WIDTH);
}

static void write_bar(struct screen *screen, const struct json_t *token, double now,
                      enum paint paint)
{
    double begin = json_in_number(token, "token.fetched_at");
    double end = json_in_number(token, "token.unusable_at");
    unsigned over = place_of(now, begin, end);
    unsigned due = place_of(json_in_number(token, "token.renew_at"), begin, end);
    screen_paint(screen, paint);
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        screen_mark(screen, i == due ? MARK_DUE : i < over ? MARK_EMPTY : MARK_FULL);
    screen_paint(screen, PAINT_PLAIN);
    screen_space(screen, 2);
    struct span left = span_of(end - now);
    bool is_endless = end - begin > NO_END_S;
    screen_cell_right(screen, is_endless ? STR("no end") : str_of(left.text), LEFT_WIDTH);
}

static void write_users(struct screen *screen, const struct json_t *token)
{
    for (size_t i = 0; i < json_in_count(token, "routes"); i++) {
        screen_text(screen, i ? STR(" ") : STR_NONE);
        screen_text(screen, json_in_string(json_in_at(token, "routes", i)));
    }
}

static unsigned scope_width(const struct screen *screen)
{
    unsigned others = NAME_WIDTH + STATE_WIDTH + BAR_WIDTH + LEFT_WIDTH + 4 * 2;
    others += screen->width >= STATUS_SCREEN_WIDE ? 22 : 0; // who uses it
    return screen->width > others + 10 ? screen->width - others : 10;
}

static void write_failure(struct screen *screen, const struct json_t *token, double now,
                          enum paint paint)
{
    char retry[64];
    double left_s = json_in_number(token, "failure.retry_at") - now;
    if (!json_in_get(token, "failure"))
        return;
    screen_wrapped(screen, paint, 4, json_in_text(token, "failure.cause"));
    snprintf(retry, sizeof retry, "%.0f in a row; may be tried again %s%s",
             json_in_number(token, "failure.in_a_row"), left_s > 0 ? "in " : "now",
             left_s > 0 ? span_of(left_s).text : "");
    screen_wrapped(screen, PAINT_DIM, 4, str_of(retry));
}

static void write_token(struct screen *screen, const struct json_t *token, double now)
{
    struct str state = json_in_text(token, "state"), scope = json_in_text(token, "scope");
    enum paint paint = paint_of(state);
    screen_cell(screen, json_in_text(token, "credential"), NAME_WIDTH);
    screen_cell(screen, scope.len ? scope : STR("(no scope)"), scope_width(screen));
    screen_paint(screen, paint);
    screen_cell(screen, state, STATE_WIDTH);
    screen_paint(screen, PAINT_PLAIN);
    if (json_in_get(token, "token"))
        write_bar(screen, token, now, paint);
    else
        screen_space(screen, BAR_WIDTH + LEFT_WIDTH + 4);
    if (screen->width >= STATUS_SCREEN_WIDE)
        write_users(screen, token);
    screen_line(screen);
    write_failure(screen, token, now, paint);
}

void status_screen_tokens(struct screen *screen, const struct json_t *document, double now)
{
    size_t count = json_in_count(document, "tokens"), left_out = 0;
    status_screen_title(screen, "TOKENS", count ? "" : "  none");
    for (size_t i = 0; i < count; i++) {
        const struct json_t *token = json_in_at(document, "tokens", i);
        bool is_idle = str_eq(json_in_text(token, "state"), STR("none"));
        if (is_idle && count > STATUS_SCREEN_ROWS)
            left_out++;
        else
            write_token(screen, token, now);
    }
    if (!left_out)
        return;
    screen_printf(screen, "and %zu that nobody has asked for", left_out);
    screen_line(screen);
}
