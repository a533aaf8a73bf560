// SPDX-License-Identifier: MIT
// See json_in.h. Only reads; jansson itself bounds the depth.
#include "cli/json_in.h"

#include <jansson.h>
#include <stdio.h>

struct json_t *json_in_parse(struct str text, struct err *err)
{
    json_error_t error;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_ALLOW_NUL, &error);
    if (!root)
        err_set(err, "the answer is no valid JSON, as seen at character %d", error.position);
    return root;
}

void json_in_free(struct json_t *root)
{
    json_decref(root);
}

const struct json_t *json_in_get(const struct json_t *node, const char *path)
{
    struct str rest = str_of(path), name;
    char member[64];
    while (node && str_split(&rest, '.', &name)) {
        snprintf(member, sizeof member, "%.*s", STR_ARG(name));
        node = json_object_get(node, member);
    }
    return json_is_null(node) ? NULL : node;
}

struct str json_in_string(const struct json_t *node)
{
    return json_is_string(node) ? (struct str){json_string_value(node), json_string_length(node)}
                                : STR_NONE;
}

double json_in_value(const struct json_t *node)
{
    return json_number_value(node);
}

struct str json_in_text(const struct json_t *node, const char *path)
{
    return json_in_string(json_in_get(node, path));
}

double json_in_number(const struct json_t *node, const char *path)
{
    return json_in_value(json_in_get(node, path));
}

bool json_in_is_true(const struct json_t *node, const char *path)
{
    return json_is_true(json_in_get(node, path));
}

size_t json_in_count(const struct json_t *node, const char *path)
{
    return json_array_size(json_in_get(node, path));
}

const struct json_t *json_in_at(const struct json_t *node, const char *path, size_t index)
{
    return json_array_get(json_in_get(node, path), index);
}
