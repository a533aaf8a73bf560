// SPDX-License-Identifier: MIT
// See json_out.h.
#include "base/json_out.h"

#include <inttypes.h>
#include <string.h>

#define REPLACEMENT 0xfffd

// -- characters --------------------------------------------------------------------------------

size_t utf8_decode(struct str text, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || len > text.len)
        return 0;
    uint32_t code = lead & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        unsigned char next = (unsigned char)text.ptr[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    *out = code;
    return code < least[len] || code > 0x10ffff || is_surrogate ? 0 : len;
}

static size_t put_unit(char *out, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    const char text[6] = {'\\',
                          'u',
                          digits[unit >> 12 & 15],
                          digits[unit >> 8 & 15],
                          digits[unit >> 4 & 15],
                          digits[unit & 15]};
    memcpy(out, text, sizeof text);
    return sizeof text;
}

static size_t put_code(char *out, uint32_t code)
{
    if (code < 0x10000)
        return put_unit(out, code);
    code -= 0x10000;
    size_t len = put_unit(out, 0xd800 | code >> 10);
    return len + put_unit(out + len, 0xdc00 | (code & 0x3ff));
}

size_t json_char(struct str *text, char out[JSON_CHAR_MAX])
{
    char c = text->ptr[0];
    uint32_t code = (unsigned char)c;
    size_t taken = 1;
    if (code >= 0x80 && !(taken = utf8_decode(*text, &code))) {
        taken = 1;
        code = REPLACEMENT;
    }
    *text = str_from(*text, taken);
    if (code < 0x20 || code >= 0x7f)
        return put_code(out, code);
    size_t len = 0;
    if (c == '"' || c == '\\')
        out[len++] = '\\';
    out[len++] = c;
    return len;
}

// -- values ------------------------------------------------------------------------------------

static void put(struct json_out *json, struct str text)
{
    json->has_failed = json->has_failed || !buf_append(json->out, text);
}

// How many bytes stand for themselves.
static size_t plain_len(struct str text)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] >= 0x20 && text.ptr[len] < 0x7f &&
           text.ptr[len] != '"' && text.ptr[len] != '\\')
        len++;
    return len;
}

static void put_quoted(struct json_out *json, struct str text)
{
    char bytes[JSON_CHAR_MAX];
    put(json, STR("\""));
    while (text.len && !json->has_failed) {
        size_t plain = plain_len(text), len;
        put(json, (struct str){text.ptr, plain});
        text = str_from(text, plain);
        if (text.len) {
            len = json_char(&text, bytes);
            put(json, (struct str){bytes, len});
        }
    }
    put(json, STR("\""));
}

static void begin_value(struct json_out *json, const char *name)
{
    if (!json->is_first)
        put(json, STR(","));
    json->is_first = false;
    if (!name)
        return;
    put_quoted(json, str_of(name));
    put(json, STR(":"));
}

void json_out_init(struct json_out *json, struct buf *out)
{
    *json = (struct json_out){.out = out, .is_first = true};
}

void json_open(struct json_out *json, const char *name, char bracket)
{
    begin_value(json, name);
    put(json, (struct str){&bracket, 1});
    json->is_first = true;
}

void json_close(struct json_out *json, char bracket)
{
    put(json, (struct str){&bracket, 1});
    json->is_first = false;
}

void json_text(struct json_out *json, const char *name, const char *text)
{
    if (text)
        json_str(json, name, str_of(text));
    else
        json_null(json, name);
}

void json_str(struct json_out *json, const char *name, struct str text)
{
    begin_value(json, name);
    put_quoted(json, text);
}

void json_number(struct json_out *json, const char *name, uint64_t number)
{
    begin_value(json, name);
    json->has_failed = json->has_failed || !buf_append_u64(json->out, number);
}

void json_signed(struct json_out *json, const char *name, int64_t number)
{
    begin_value(json, name);
    json->has_failed = json->has_failed || !buf_printf(json->out, "%" PRId64, number);
}

void json_seconds(struct json_out *json, const char *name, int64_t milliseconds)
{
    int64_t size = milliseconds < 0 ? -milliseconds : milliseconds;
    begin_value(json, name);
    json->has_failed = json->has_failed ||
                       !buf_printf(json->out, "%s%" PRId64 ".%03d", milliseconds < 0 ? "-" : "",
                                   size / 1000, (int)(size % 1000));
}

void json_bool(struct json_out *json, const char *name, bool value)
{
    begin_value(json, name);
    put(json, value ? STR("true") : STR("false"));
}

void json_null(struct json_out *json, const char *name)
{
    begin_value(json, name);
    put(json, STR("null"));
}

bool json_end(struct json_out *json)
{
    put(json, STR("\n"));
    return !json->has_failed;
}
