// SPDX-License-Identifier: MIT
// Trailer fields (RFC 9110 6.5), and which of them may go on: whoever merges them into the head
// must not get another framing, route, identity or content from them. Pure.
#ifndef PROXY_TRAILER_H
#define PROXY_TRAILER_H

#include <stdbool.h>

#include "base/str.h"

// May a field of this name stand in a trailer section that goes on, either way?
bool trailer_may_pass(struct str name);
// The same for all names in a Trailer field's value.
bool trailer_names_may_pass(struct str value);

#endif
