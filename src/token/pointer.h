// SPDX-License-Identifier: MIT
// Internal to token/: JSON pointers (RFC 6901). Pure.
#ifndef TOKEN_POINTER_H
#define TOKEN_POINTER_H

#include "base/mem.h"

struct json_t; // jansson's

// What the pointer points at, borrowed from the document; NULL: nothing, or it is no pointer.
const struct json_t *pointer_get(const struct json_t *document, const char *pointer) WARN_UNUSED;

#endif
