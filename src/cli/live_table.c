// SPDX-License-Identifier: MIT
// The table of `check --live`: plain ASCII, 100 columns, a line of dashes under the head. A cell
// that is too long goes on in the next line, the reason of a failure stands under its row. Only
// prints; whatever a server said comes out printable.
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "cli/live.h"

enum { COLUMNS = 7, REASON_INDENT = 4, WIDTH = 100 };
static const struct {
    const char *head;
    size_t width;
    bool is_number;
} columns[COLUMNS] = {
    {"credential", 15, false}, {"scopes asked", 22, false}, {"result", 11, false},
    {"lifetime", 9, true},     {"granted", 16, false},      {"token", 8, false},
    {"took", 7, true},
};

struct row {
    struct str cells[COLUMNS];
};

// Cuts off what goes into one line: whole words if a word fits at all.
static struct str line_take(struct str *rest, size_t width)
{
    size_t len = rest->len < width ? rest->len : width;
    if (len < rest->len) {
        size_t at = len;
        while (at && rest->ptr[at] != ' ')
            at--;
        len = at ? at : len;
    }
    struct str line = {rest->ptr, len};
    *rest = str_trim(str_from(*rest, len));
    return line;
}

static void put(FILE *to, struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        fputc(text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?', to);
}

static void put_spaces(FILE *to, size_t count)
{
    fprintf(to, "%*s", (int)count, "");
}

static bool is_empty(const struct row *row)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (row->cells[i].len)
            return false;
    return true;
}

// Spaces are put when something follows them, so that no line ends in one.
static void print_row(FILE *to, struct row row)
{
    while (!is_empty(&row)) {
        size_t owed = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            struct str text = line_take(&row.cells[i], columns[i].width);
            size_t blank = columns[i].width - text.len;
            size_t before = columns[i].is_number ? blank : 0;
            if (text.len) {
                put_spaces(to, owed + before);
                put(to, text);
                owed = 0;
            } else {
                owed += before;
            }
            owed += blank - before + 2;
        }
        fputc('\n', to);
    }
}

static void print_reason(FILE *to, const struct token_failure *failure)
{
    struct str rest = str_of(failure->text);
    while (rest.len) {
        put_spaces(to, REASON_INDENT);
        put(to, line_take(&rest, WIDTH - REASON_INDENT));
        fputc('\n', to);
    }
}

static void write_lifetime(const struct live_token *live, char *out, size_t size)
{
    const struct config_credential *credential = live->slot->credential;
    const struct token *token = live->token;
    if (credential->source == SOURCE_STATIC && !credential->token_expires_s)
        snprintf(out, size, "no end");
    else
        snprintf(out, size, "%" PRIu64 " s", (token->expires_ms - token->fetched_ms + 500) / 1000);
}

static void print_token(FILE *to, const struct live_token *live)
{
    const struct token *token = live->token;
    char lifetime[24] = "", took[24];
    snprintf(took, sizeof took, "%" PRIu64 " ms", live->took_ms);
    struct row row = {{[0] = str_of(live->slot->credential->name),
                       [1] = *live->slot->scope ? str_of(live->slot->scope) : STR("(none)"),
                       [2] = str_of(token ? "ok" : token_failure_name(live->failure->kind)),
                       [6] = str_of(took)}};
    if (token) {
        write_lifetime(live, lifetime, sizeof lifetime);
        row.cells[3] = str_of(lifetime);
        row.cells[4] = token->granted_scope ? str_of(token->granted_scope) : STR("as asked");
        row.cells[5] = str_of(token->fingerprint);
    }
    print_row(to, row);
    if (!token)
        print_reason(to, live->failure);
}

void live_table_print(FILE *to, const struct live_token *tokens, size_t count)
{
    struct row head = {{{0}}};
    for (size_t i = 0; i < COLUMNS; i++)
        head.cells[i] = str_of(columns[i].head);
    print_row(to, head);
    for (size_t i = 0; i < COLUMNS; i++) {
        for (size_t n = 0; n < columns[i].width; n++)
            fputc('-', to);
        fputs(i + 1 < COLUMNS ? "  " : "\n", to);
    }
    for (size_t i = 0; i < count; i++)
        print_token(to, &tokens[i]);
}
