// SPDX-License-Identifier: MIT
// See pointer.h. RFC 6901 section 4, to the letter: no array index with a leading zero, no "-".
#include "token/pointer.h"

#include <jansson.h>
#include <string.h>

#include "base/str.h"

#define STEP_MAX 1024

// ~1 and ~0 written out. False: another "~", or too long.
static bool unescape(struct str step, char *out, size_t *out_len)
{
    size_t len = 0;
    for (size_t i = 0; i < step.len; i++) {
        char c = step.ptr[i];
        if (len == STEP_MAX)
            return false;
        if (c == '~') {
            if (++i == step.len || (step.ptr[i] != '0' && step.ptr[i] != '1'))
                return false;
            c = '/';
            if (step.ptr[i] == '0')
                c = '~';
        }
        out[len++] = c;
    }
    *out_len = len;
    return true;
}

static const json_t *take_element(const json_t *array, struct str step)
{
    uint64_t index;
    if ((step.len > 1 && step.ptr[0] == '0') || !str_to_u64(step, &index) || index > SIZE_MAX)
        return NULL;
    return json_array_get(array, (size_t)index);
}

const json_t *pointer_get(const json_t *document, const char *pointer)
{
    struct str rest = str_of(pointer);
    const json_t *at = document;
    while (at && rest.len) {
        if (rest.ptr[0] != '/')
            return NULL;
        rest = str_from(rest, 1);
        size_t len = 0, end;
        struct str step = rest;
        if (str_find(rest, '/', &end))
            step.len = end;
        rest = str_from(rest, step.len);
        char name[STEP_MAX];
        if (json_is_array(at))
            at = take_element(at, step);
        else if (unescape(step, name, &len))
            at = json_object_getn(at, name, len);
        else
            return NULL;
    }
    return at;
}
