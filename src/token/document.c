// SPDX-License-Identifier: MIT
// See document.h. Owns how hostile JSON is read; refuses to know what it means. Invariant: whatever
// jansson allocated is wiped when it is freed.
#include "token/document.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL)

// jansson copies strings of the body: its memory is wiped on free, for which its size must be
// known.
static void *json_memory_new(size_t size)
{
    max_align_t *block = mem_alloc(sizeof *block + size);
    memcpy(block, &size, sizeof size);
    return block + 1;
}

static void json_memory_free(void *ptr)
{
    if (!ptr)
        return;
    max_align_t *block = (max_align_t *)ptr - 1;
    size_t size;
    memcpy(&size, block, sizeof size);
    mem_wipe(block, sizeof *block + size);
    mem_free(block);
}

// jansson recurses per level; this keeps it shallow. Brackets inside strings do not count.
static bool is_shallow(struct str body, unsigned depth_max)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && depth)
            depth--;
        if (depth > depth_max)
            return false;
    }
    return true;
}

struct json_t *document_parse(struct str body, const struct document_limits *limits, char *why,
                              size_t why_size)
{
    why[0] = '\0';
    if (!body.len)
        snprintf(why, why_size, "the body is empty");
    else if (body.len > limits->size_max)
        snprintf(why, why_size, "the body is larger than %zu bytes", limits->size_max);
    else if (!is_shallow(body, limits->depth_max))
        snprintf(why, why_size, "the JSON is nested deeper than %u levels", limits->depth_max);
    if (why[0])
        return NULL;
    // The same pair each time.
    json_set_alloc_funcs(json_memory_new, json_memory_free);
    json_error_t error;
    // Integers as reals: a number too large for 64 bits is then a large number, not an error.
    json_t *root = json_loadb(body.ptr, body.len, FLAGS, &error);
    if (json_is_object(root))
        return root;
    // jansson's own text may quote the body, so its position alone is told.
    if (root)
        snprintf(why, why_size, "the body is not a JSON object");
    else
        snprintf(why, why_size, "the body is not valid JSON (line %d, column %d)", error.line,
                 error.column);
    json_decref(root);
    return NULL;
}

struct json_t *document_parse_own(struct str text)
{
    json_set_alloc_funcs(json_memory_new, json_memory_free);
    return json_loadb(text.ptr, text.len, FLAGS, NULL);
}

struct str document_text(const struct json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return (struct str){json_string_value(member), json_string_length(member)};
}
