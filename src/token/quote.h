// SPDX-License-Identifier: MIT
// Internal to token/: text as it stands in a JSON string. Pure. What jansson would make of it can
// not be wiped, and these texts may be secrets.
#ifndef TOKEN_QUOTE_H
#define TOKEN_QUOTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"

// Escaped, without the quotes round it. False: out is full, or text is not UTF-8.
bool quote_json(struct str text, struct buf *out) WARN_UNUSED;
// The same with the quotes.
bool quote_json_string(struct str text, struct buf *out) WARN_UNUSED;

#endif
