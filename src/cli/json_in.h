// SPDX-License-Identifier: MIT
// JSON that a running bearerd answered, to be read: values by their path. What is not there, or is
// of another type, reads as empty, so that an older or newer bearerd is no error. The layer's door
// to jansson.
#ifndef CLI_JSON_IN_H
#define CLI_JSON_IN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct json_t; // jansson's

// One object or array; its parts live as long as it does. The caller bounds the text.
struct json_t *json_in_parse(struct str text, struct err *err) WARN_UNUSED;
void json_in_free(struct json_t *root); // NULL is fine

// path: names of members, with dots between them. NULL: not there, or null.
const struct json_t *json_in_get(const struct json_t *node, const char *path);
struct str json_in_text(const struct json_t *node, const char *path); // UTF-8, any character
double json_in_number(const struct json_t *node, const char *path);
bool json_in_is_true(const struct json_t *node, const char *path);
// The array there, and its elements.
size_t json_in_count(const struct json_t *node, const char *path);
const struct json_t *json_in_at(const struct json_t *node, const char *path, size_t index);
struct str json_in_string(const struct json_t *node); // the node itself
double json_in_value(const struct json_t *node);

#endif
