// SPDX-License-Identifier: MIT
// See log_line.h. Everything is added in pieces that are written whole or not at all; what ends a
// line has its room kept free from the beginning.
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json_out.h"

#define END_ROOM 3 // quote, brace, newline

// False when it does not fit any more.
static bool line_add(struct log_line *line, struct str piece, size_t keep)
{
    if (piece.len + keep > sizeof line->text - line->len)
        return false;
    if (piece.len)
        memcpy(line->text + line->len, piece.ptr, piece.len);
    line->len += piece.len;
    return true;
}

static struct str number_text(uint64_t number, char out[24])
{
    return (struct str){out, (size_t)snprintf(out, 24, "%llu", (unsigned long long)number)};
}

// -- logfmt ------------------------------------------------------------------------------------

static bool needs_quotes(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
            return true;
    }
    return value.len == 0;
}

static bool is_plain_ascii(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] >= 0x80)
            return false;
    return true;
}

static size_t logfmt_char(unsigned char c, char out[8])
{
    if (c < 0x20 || c >= 0x7f)
        return (size_t)snprintf(out, 8, "\\x%02x", c);
    size_t len = 0;
    if (c == '"' || c == '\\')
        out[len++] = '\\';
    out[len++] = (char)c;
    return len;
}

static void logfmt_quoted(struct log_line *line, struct str value)
{
    char out[8];
    line_add(line, STR("\""), 0);
    for (size_t i = 0; i < value.len; i++) {
        size_t len = logfmt_char((unsigned char)value.ptr[i], out);
        if (!line_add(line, (struct str){out, len}, END_ROOM))
            break;
    }
    line_add(line, STR("\""), 0);
}

static void logfmt_plain(struct log_line *line, struct str value)
{
    size_t room = sizeof line->text - line->len - END_ROOM;
    line_add(line, (struct str){value.ptr, value.len < room ? value.len : room}, END_ROOM);
}

// False when not even its name has room.
static bool logfmt_field(struct log_line *line, const struct log_field *field)
{
    char digits[24];
    struct str name = str_of(field->name);
    if (name.len + 2 + sizeof digits + END_ROOM > sizeof line->text - line->len)
        return false;
    line_add(line, STR(" "), 0);
    line_add(line, name, 0);
    line_add(line, STR("="), 0);
    if (field->is_number)
        line_add(line, number_text(field->number, digits), 0);
    else if (needs_quotes(field->text) || !is_plain_ascii(field->text))
        logfmt_quoted(line, field->text);
    else
        logfmt_plain(line, field->text);
    return true;
}

// -- JSON --------------------------------------------------------------------------------------

static void json_value(struct log_line *line, struct str value)
{
    char out[JSON_CHAR_MAX];
    line_add(line, STR("\""), 0);
    while (value.len) {
        size_t len = json_char(&value, out);
        if (!line_add(line, (struct str){out, len}, END_ROOM))
            break;
    }
    line_add(line, STR("\""), 0);
}

static bool json_field(struct log_line *line, const struct log_field *field)
{
    char digits[24];
    struct str name = str_of(field->name);
    if (name.len + 4 + sizeof digits + END_ROOM > sizeof line->text - line->len)
        return false;
    line_add(line, STR(",\""), 0);
    line_add(line, name, 0);
    line_add(line, STR("\":"), 0);
    if (field->is_number)
        line_add(line, number_text(field->number, digits), 0);
    else
        json_value(line, field->text);
    return true;
}

// -- both --------------------------------------------------------------------------------------

static void line_add_head(struct log_line *line, bool is_json, const struct log_head *head)
{
    static const char priorities[] = "7643"; // sd-daemon(3)
    time_t seconds = (time_t)(head->at_ms / 1000);
    struct tm utc;
    char at[32], text[160];
    gmtime_r(&seconds, &utc);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &utc);
    const char priority[] = {'<', priorities[head->level], '>'};
    line_add(line, (struct str){priority, head->has_priority ? sizeof priority : 0}, 0);
    const char *level = log_level_name(head->level);
    int ms = (int)(head->at_ms % 1000);
    int len = is_json ? snprintf(text, sizeof text,
                                 "{\"ts\":\"%s.%03dZ\",\"level\":\"%s\",\"event\":\"%s\"", at, ms,
                                 level, head->event)
                      : snprintf(text, sizeof text, "ts=%s.%03dZ level=%s event=%s", at, ms, level,
                                 head->event);
    line_add(line, (struct str){text, (size_t)len}, 0);
}

void log_line_write(struct log_line *line, enum log_format format, const struct log_head *head,
                    const struct log_field *fields)
{
    bool is_json = format == LOG_JSON;
    line->len = 0;
    line_add_head(line, is_json, head);
    for (; fields->name; fields++)
        if (!(is_json ? json_field(line, fields) : logfmt_field(line, fields)))
            break;
    if (is_json)
        line_add(line, STR("}"), 0);
    line_add(line, STR("\n"), 0);
}
