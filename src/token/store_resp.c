// SPDX-License-Identifier: MIT
// See store_resp.h. Owns the grammar; refuses to know sockets and what commands mean. Invariant:
// nothing but a whole, exact reply is RESP_DONE, and what is broken stays broken with more bytes.
#include "token/store_resp.h"

#include <string.h>

bool resp_command(struct buf *out, const struct str *words, size_t count)
{
    bool ok = buf_printf(out, "*%zu\r\n", count);
    for (size_t i = 0; ok && i < count; i++)
        ok = buf_printf(out, "$%zu\r\n", words[i].len) && buf_append(out, words[i]) &&
             buf_append(out, STR("\r\n"));
    return ok;
}

// The line without its first byte and its end; *rest: what is behind it.
static enum resp_result take_line(struct str bytes, struct str *out_line, struct str *rest)
{
    size_t end;
    if (!str_find(bytes, '\r', &end))
        return bytes.len > RESP_LINE_MAX ? RESP_BROKEN : RESP_MORE;
    if (end > RESP_LINE_MAX || end == 0)
        return RESP_BROKEN;
    if (end + 1 == bytes.len)
        return RESP_MORE;
    if (bytes.ptr[end + 1] != '\n')
        return RESP_BROKEN;
    *out_line = (struct str){bytes.ptr + 1, end - 1};
    *rest = str_from(bytes, end + 2);
    return RESP_DONE;
}

static bool parse_number(struct str line, int64_t *out)
{
    bool is_negative = line.len && line.ptr[0] == '-';
    uint64_t number;
    if (!str_to_u64(str_from(line, is_negative), &number) || number > INT64_MAX)
        return false;
    *out = is_negative ? -(int64_t)number : (int64_t)number;
    return true;
}

static enum resp_result parse_bulk(struct str line, struct str rest, size_t bulk_max,
                                   struct resp *out)
{
    int64_t len;
    if (str_eq(line, STR("-1"))) {
        out->kind = RESP_NIL;
        return rest.len ? RESP_BROKEN : RESP_DONE;
    }
    if (!parse_number(line, &len) || len < 0 || (uint64_t)len > bulk_max)
        return RESP_BROKEN;
    size_t size = (size_t)len;
    if (rest.len > size + 2 || (rest.len > size && rest.ptr[size] != '\r') ||
        (rest.len == size + 2 && rest.ptr[size + 1] != '\n'))
        return RESP_BROKEN;
    out->kind = RESP_BULK;
    out->text = (struct str){rest.ptr, size};
    return rest.len == size + 2 ? RESP_DONE : RESP_MORE;
}

enum resp_result resp_parse(struct str bytes, size_t bulk_max, struct resp *out)
{
    struct str line, rest;
    *out = (struct resp){0};
    if (!bytes.len)
        return RESP_MORE;
    char type = bytes.ptr[0];
    if (!strchr("+-:$", type) || !type)
        return RESP_BROKEN;
    enum resp_result result = take_line(bytes, &line, &rest);
    if (result != RESP_DONE)
        return result;
    if (type == '$')
        return parse_bulk(line, rest, bulk_max, out);
    out->kind = type == '+' ? RESP_STATUS : type == '-' ? RESP_ERROR : RESP_NUMBER;
    out->text = line;
    return rest.len || (type == ':' && !parse_number(line, &out->number)) ? RESP_BROKEN : RESP_DONE;
}
