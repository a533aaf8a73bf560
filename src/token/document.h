// SPDX-License-Identifier: MIT
// Internal to token/: JSON that somebody else sent. Bounded in size and depth before it is parsed,
// no member twice, and its memory is wiped, since tokens are among what it holds. The control
// thread's alone.
#ifndef TOKEN_DOCUMENT_H
#define TOKEN_DOCUMENT_H

#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct json_t; // jansson's; json_decref() it

struct document_limits {
    size_t size_max;
    unsigned depth_max;
};

// NULL and the reason (which quotes nothing of the body) unless the body is one JSON object.
struct json_t *document_parse(struct str body, const struct document_limits *limits, char *why,
                              size_t why_size) WARN_UNUSED;
// As document_parse, without a reason: for JSON of our own configuration, of any type.
struct json_t *document_parse_own(struct str text) WARN_UNUSED;

// A member that is a string; empty if it is not there or of another type.
struct str document_text(const struct json_t *object, const char *name);

#endif
