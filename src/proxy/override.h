// SPDX-License-Identifier: MIT
// X-HTTP-Method-Override and its like: fields by which some servers take a request for one of
// another method than it says. The token was chosen for the method, so such a field passes only if
// the other method leads to the same route. Pure.
#ifndef PROXY_OVERRIDE_H
#define PROXY_OVERRIDE_H

#include "http/headers.h"
#include "proxy/route.h"

struct override_input {
    const struct route_table *table;
    struct str method;
    const struct target *target;
    struct str host; // as for route_find()
    const struct fields *fields;
    const struct route_choice *choice; // what was found for the request as it is
};

// Status 0: there is none, or it changes nothing. Else 400.
struct caller_verdict override_check(const struct override_input *input);

#endif
