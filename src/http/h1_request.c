// SPDX-License-Identifier: MIT
// A request head, for the few connections that libmicrohttpd has no part in. As strict as the
// response's parser; what its fields mean for framing and routing is the guard's to say.
#include "http/h1.h"

static enum h1_result refuse(const char **out_why, const char *why)
{
    *out_why = why;
    return H1_ERROR;
}

// "METHOD TARGET HTTP/1.1", one space between.
static bool parse_request_line(struct str line, struct h1_request *out)
{
    size_t first, second;
    if (!str_find(line, ' ', &first))
        return false;
    struct str rest = str_from(line, first + 1);
    if (!str_find(rest, ' ', &second))
        return false;
    out->method = (struct str){line.ptr, first};
    out->target = (struct str){rest.ptr, second};
    out->version = str_from(rest, second + 1);
    return str_is_token(out->method) && out->target.len && field_value_is_valid(out->target) &&
           !str_has(out->target, '\t') && out->version.len == 8 &&
           str_starts(out->version, STR("HTTP/")) && !str_has(out->version, ' ') &&
           field_value_is_valid(out->version);
}

enum h1_result h1_parse_request(struct str bytes, struct h1_request *out, struct fields *fields,
                                const char **out_why)
{
    struct str line;
    size_t at = 0;
    fields->count = 0;
    *out_why = NULL;
    enum h1_result result = h1_take_line(bytes, &at, &line, out_why);
    if (result != H1_DONE)
        return result;
    if (!parse_request_line(line, out))
        return refuse(out_why, "malformed request line");
    for (;;) {
        struct field field;
        result = h1_take_line(bytes, &at, &line, out_why);
        if (result != H1_DONE)
            return result;
        if (!line.len) {
            out->head_len = at;
            return H1_DONE;
        }
        *out_why = h1_cut_field(line, fields->count == 0, &field);
        if (*out_why)
            return H1_ERROR;
        if (!fields_add(fields, field.name, field.value))
            return refuse(out_why, "too many fields");
    }
}
