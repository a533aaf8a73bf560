// SPDX-License-Identifier: MIT
// See log.h.
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

#define LINE_MAX_LEN 4096

static _Atomic int min_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
};

// Leaves room for the newline; what does not fit is cut.
static void line_add(struct line *line, const char *bytes, size_t len)
{
    size_t room = sizeof line->text - 1 - line->len;
    if (len > room)
        len = room;
    for (size_t i = 0; i < len; i++)
        line->text[line->len++] = bytes[i];
}

static bool needs_quotes(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
            return true;
    }
    return value.len == 0;
}

static void line_add_quoted(struct line *line, struct str value)
{
    line_add(line, "\"", 1);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '"' || c == '\\') {
            const char escape[2] = {'\\', (char)c};
            line_add(line, escape, 2);
        } else if (c < 0x20 || c >= 0x7f) {
            char hex[8];
            int len = snprintf(hex, sizeof hex, "\\x%02x", c);
            line_add(line, hex, (size_t)len);
        } else {
            line_add(line, &value.ptr[i], 1);
        }
    }
    line_add(line, "\"", 1);
}

static bool is_plain_ascii(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] >= 0x80)
            return false;
    return true;
}

static void line_add_field(struct line *line, const struct log_field *field)
{
    struct str name = str_of(field->name);
    line_add(line, " ", 1);
    line_add(line, name.ptr, name.len);
    line_add(line, "=", 1);
    if (field->is_number) {
        char digits[24];
        int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)field->number);
        line_add(line, digits, (size_t)len);
    } else if (needs_quotes(field->text) || !is_plain_ascii(field->text)) {
        line_add_quoted(line, field->text);
    } else {
        line_add(line, field->text.ptr, field->text.len);
    }
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct line line = {.len = 0};
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char head[96];
    size_t len = strftime(head, sizeof head, "ts=%Y-%m-%dT%H:%M:%S", &utc);
    line_add(&line, head, len);
    int more = snprintf(head, sizeof head, ".%03ldZ level=%s event=%s", now.tv_nsec / 1000000,
                        names[level], event);
    line_add(&line, head, (size_t)more);
    for (; fields->name; fields++)
        line_add_field(&line, fields);
    line.text[line.len++] = '\n';
    // Nobody is left to tell if the log cannot be written.
    if (write(STDERR_FILENO, line.text, line.len) < 0)
        return;
}
