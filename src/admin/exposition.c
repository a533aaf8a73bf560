// SPDX-License-Identifier: MIT
// See exposition.h.
#include "admin/exposition.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json_out.h"

static void put(struct exposition *exposition, struct str text)
{
    exposition->has_failed = exposition->has_failed || !buf_append(exposition->out, text);
}

static bool is_plain(char c)
{
    return (unsigned char)c < 0x80 && c != '\n' && c != '"' && c != '\\';
}

// What is not UTF-8 makes a collector refuse all of the page: the replacement character stands for
// it.
static struct str escape_of(struct str text, size_t *taken)
{
    uint32_t code;
    *taken = 1;
    switch (text.ptr[0]) {
    case '\n':
        return STR("\\n");
    case '"':
        return STR("\\\"");
    case '\\':
        return STR("\\\\");
    }
    size_t len = utf8_decode(text, &code);
    *taken = len ? len : 1;
    return len ? (struct str){text.ptr, len} : STR("\xef\xbf\xbd");
}

static void put_escaped(struct exposition *exposition, struct str text)
{
    while (text.len) {
        size_t plain = 0, taken = 0;
        while (plain < text.len && is_plain(text.ptr[plain]))
            plain++;
        put(exposition, (struct str){text.ptr, plain});
        text = str_from(text, plain);
        if (text.len)
            put(exposition, escape_of(text, &taken));
        text = str_from(text, taken);
    }
}

static void put_label(struct exposition *exposition, const char *name, const char *value,
                      bool *has_any)
{
    put(exposition, *has_any ? STR(",") : STR("{"));
    *has_any = true;
    put(exposition, str_of(name));
    put(exposition, STR("=\""));
    put_escaped(exposition, str_of(value));
    put(exposition, STR("\""));
}

// suffix: "", "_bucket", …; more: a label behind the others, or NULL.
static void begin_sample(struct exposition *exposition, const char *suffix, const char *more,
                         const char *more_value)
{
    bool has_any = false;
    put(exposition, str_of(exposition->family));
    put(exposition, str_of(suffix));
    for (const struct exposition_label *label = exposition->labels; label->name; label++)
        if (label->value && *label->value)
            put_label(exposition, label->name, label->value, &has_any);
    if (more)
        put_label(exposition, more, more_value, &has_any);
    put(exposition, has_any ? STR("} ") : STR(" "));
}

static size_t seconds_text(int64_t microseconds, char out[40])
{
    uint64_t size = microseconds < 0 ? 0 - (uint64_t)microseconds : (uint64_t)microseconds;
    int len = snprintf(out, 40, "%s%" PRIu64 ".%06" PRIu64, microseconds < 0 ? "-" : "",
                       size / 1000000, size % 1000000);
    while (out[len - 1] == '0')
        len--;
    len -= out[len - 1] == '.';
    out[len] = '\0';
    return (size_t)len;
}

static void put_number(struct exposition *exposition, uint64_t value)
{
    exposition->has_failed = exposition->has_failed || !buf_append_u64(exposition->out, value);
    put(exposition, STR("\n"));
}

void exposition_init(struct exposition *exposition, struct buf *out)
{
    *exposition = (struct exposition){.out = out};
}

void exposition_family(struct exposition *exposition, const char *name, const char *kind,
                       const char *help)
{
    exposition->family = name;
    exposition->labels[0].name = NULL;
    exposition->has_failed =
        exposition->has_failed ||
        !buf_printf(exposition->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void exposition_label(struct exposition *exposition, size_t i, const char *name, const char *value)
{
    if (i >= EXPOSITION_LABELS)
        return;
    exposition->labels[i] = (struct exposition_label){name, value};
    if (name)
        exposition->labels[i + 1].name = NULL;
}

void exposition_number(struct exposition *exposition, uint64_t value)
{
    begin_sample(exposition, "", NULL, NULL);
    put_number(exposition, value);
}

void exposition_seconds_us(struct exposition *exposition, int64_t microseconds)
{
    char text[40];
    begin_sample(exposition, "", NULL, NULL);
    put(exposition, (struct str){text, seconds_text(microseconds, text)});
    put(exposition, STR("\n"));
}

void exposition_histogram(struct exposition *exposition, const struct histogram *histogram)
{
    uint64_t count = 0;
    char text[40];
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += histogram->buckets[i];
        seconds_text((int64_t)histogram_bounds_us[i], text);
        begin_sample(exposition, "_bucket", "le", text);
        put_number(exposition, count);
    }
    count += histogram->buckets[HISTOGRAM_BOUNDS];
    begin_sample(exposition, "_bucket", "le", "+Inf");
    put_number(exposition, count);
    begin_sample(exposition, "_sum", NULL, NULL);
    put(exposition, (struct str){text, seconds_text((int64_t)histogram->sum_us, text)});
    put(exposition, STR("\n"));
    begin_sample(exposition, "_count", NULL, NULL);
    put_number(exposition, count);
}
