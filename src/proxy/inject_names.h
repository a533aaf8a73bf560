// SPDX-License-Identifier: MIT
// Names of fields as CGI and its heirs see them, who cannot tell `_` from `-`; and those that never
// go on to an upstream. Pure. See inject.h for the rest.
#ifndef PROXY_INJECT_NAMES_H
#define PROXY_INJECT_NAMES_H

#include <stdbool.h>

#include "base/str.h"

// In any case, too.
bool inject_names_are_alike(struct str a, struct str b);
// Belongs to the connection, frames the body, is meant for us, or is what upstreams take for a
// proxy's word about the client or the URL.
bool inject_drops(struct str name);

#endif
