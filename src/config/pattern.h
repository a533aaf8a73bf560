// SPDX-License-Identifier: MIT
// The text of a `match =` line, `[METHOD …] PATTERN`, taken apart and checked. Pure: views.
#ifndef CONFIG_PATTERN_H
#define CONFIG_PATTERN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

// As deep as a lookup may recurse.
#define PATTERN_SEGMENTS_MAX 64

struct pattern {
    struct str methods; // words; empty: any method
    struct str path;    // "/…"
};

enum pattern_part { PATTERN_LITERAL, PATTERN_ONE, PATTERN_REST };

// A literal segment holds only bytes that can be read in one way. An escape or a ';' never could:
// some server decodes or cuts it, so the path would be refused as ambiguous on every request.
bool pattern_parse(struct str text, struct pattern *out, struct err *err) WARN_UNUSED;

// Cuts the next segment off *rest, which starts as pattern.path. False at the end.
bool pattern_next(struct str *rest, enum pattern_part *out_part, struct str *out_literal);

// Is this a base path or mount: literal segments only, no empty one?
bool pattern_is_prefix(struct str path);

#endif
