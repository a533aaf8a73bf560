// SPDX-License-Identifier: MIT
// See trace.h; 3.2.2 (traceparent), 3.3.1 (tracestate) and 4.3 (later versions) of the standard.
#include "proxy/trace.h"

#include <string.h>

// Lower-case hex only.
static bool is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (str_hex_digit(text.ptr[i]) < 0 || (text.ptr[i] >= 'A' && text.ptr[i] <= 'F'))
            return false;
    return true;
}

static bool is_id(struct str text)
{
    size_t zeros = 0;
    while (zeros < text.len && text.ptr[zeros] == '0')
        zeros++;
    return is_hex(text) && zeros < text.len;
}

// version "-" trace-id "-" parent-id "-" flags: 2, 32, 16 and 2 digits.
static bool has_shape(struct str text)
{
    return text.len >= TRACE_PARENT_LEN && text.ptr[2] == '-' && text.ptr[35] == '-' &&
           text.ptr[52] == '-' && is_hex((struct str){text.ptr, 2}) &&
           is_id((struct str){text.ptr + 3, 32}) && is_id((struct str){text.ptr + 36, 16}) &&
           is_hex((struct str){text.ptr + 53, 2});
}

enum trace_parent trace_parent(const struct fields *fields, char out[TRACE_PARENT_LEN])
{
    const struct field *field = fields_find(fields, STR("traceparent"));
    if (!field || fields_count(fields, STR("traceparent")) > 1 || !has_shape(field->value))
        return TRACE_BROKEN;
    struct str text = field->value;
    if (str_starts(text, STR("00-")))
        return text.len == TRACE_PARENT_LEN ? TRACE_VALID : TRACE_BROKEN;
    if (str_starts(text, STR("ff-")) ||
        (text.len > TRACE_PARENT_LEN && text.ptr[TRACE_PARENT_LEN] != '-'))
        return TRACE_BROKEN;
    memcpy(out, text.ptr, TRACE_PARENT_LEN);
    out[0] = out[1] = '0';
    // Of the flags, version 00 knows one.
    out[53] = '0';
    out[54] = (char)('0' + (str_hex_digit(text.ptr[54]) & 1));
    return TRACE_LATER;
}

bool trace_state_fits(const struct fields *fields)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        struct str item, rest = fields->items[i].value;
        if (!str_eq_nocase(fields->items[i].name, STR("tracestate")))
            continue;
        while (field_list_next(&rest, &item))
            count++;
    }
    return count <= TRACE_STATES_MAX;
}
