// SPDX-License-Identifier: MIT
// See hops.h. A number too large to count is one too large to matter: it goes on as the largest
// that is counted.
#include "proxy/hops.h"

#define HOPS_MAX 9999

static bool is_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len > 0;
}

enum hops_verdict hops_read(struct str method, const struct fields *fields, uint64_t *out_left)
{
    const struct str name = STR("Max-Forwards");
    const struct field *field = str_eq(method, STR("OPTIONS")) ? fields_find(fields, name) : NULL;
    if (!field)
        return HOPS_UNLIMITED;
    if (!is_digits(field->value) || fields_count(fields, name) > 1)
        return HOPS_MALFORMED;
    uint64_t hops;
    if (!str_to_u64(field->value, &hops) || hops > HOPS_MAX)
        hops = HOPS_MAX;
    if (!hops)
        return HOPS_OVER;
    *out_left = hops - 1;
    return HOPS_LEFT;
}
