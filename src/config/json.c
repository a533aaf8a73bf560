// SPDX-License-Identifier: MIT
// See json.h. The layer's door to jansson.
#include "config/json.h"

#include <jansson.h>
#include <stdlib.h>

// Depth of the deepest bracket, strings passed over. jansson's own limit is 2048, on the stack.
static unsigned depth_of(struct str text)
{
    unsigned depth = 0, deepest = 0;
    bool is_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' && is_string)
            i++;
        else if (c == '"')
            is_string = !is_string;
        else if (!is_string && (c == '[' || c == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!is_string && (c == ']' || c == '}') && depth)
            depth--;
    }
    return deepest;
}

static json_t *parse(struct str text, struct err *err)
{
    json_error_t error;
    if (depth_of(text) > JSON_DEPTH_MAX) {
        err_set(err, "the JSON text is nested deeper than %d", JSON_DEPTH_MAX);
        return NULL;
    }
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        err_set(err, "this is no valid JSON, as seen at character %d", error.position);
    return root;
}

bool json_check(struct str text, struct err *err)
{
    json_t *root = parse(text, err);
    json_decref(root);
    return root != NULL;
}

static bool check_details(const json_t *root, struct err *err)
{
    if (!json_is_array(root) || !json_array_size(root))
        return err_set(err, "it must be a JSON array of objects, as in [{\"type\":\"…\"}] (RFC "
                            "9396, 2)");
    for (size_t i = 0; i < json_array_size(root); i++) {
        const json_t *type = json_object_get(json_array_get(root, i), "type");
        if (!json_string_length(type))
            return err_set(err, "element %zu is no object with a string \"type\" (RFC 9396, 2)",
                           i + 1);
    }
    return true;
}

char *json_authorization_details(struct str text, struct err *err)
{
    json_t *root = parse(text, err);
    char *out = NULL;
    if (root && check_details(root, err)) {
        char *dump = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
        out = dump ? mem_strdup(dump) : NULL;
        free(dump); // jansson's memory
    }
    json_decref(root);
    return out;
}
