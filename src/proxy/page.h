// SPDX-License-Identifier: MIT
// What browsers are told about web pages that may call (CORS, the Fetch standard): bearerd answers
// for them, since the upstreams know nothing of pages that allow_origins names. Pure.
#ifndef PROXY_PAGE_H
#define PROXY_PAGE_H

#include <stdbool.h>

#include "http/headers.h"

// Is this a response's field of the kind (Access-Control-…)? Then it is dropped where bearerd
// answers.
bool page_is_cors_field(struct str name);
// For each answer to the page: it may read all of it. False: no room.
bool page_add(struct fields *out, struct str origin) WARN_UNUSED;
// For the answer to its preflight: what it asks for in `asked` is granted. Each request is judged
// when it comes.
bool page_add_preflight(struct fields *out, struct str origin,
                        const struct fields *asked) WARN_UNUSED;

#endif
