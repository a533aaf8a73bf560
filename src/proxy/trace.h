// SPDX-License-Identifier: MIT
// W3C Trace Context: are traceparent and tracestate of a request fit to be passed on? bearerd makes
// no span of its own, so what is valid goes on as it came. Pure.
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include <stdbool.h>

#include "http/headers.h"

#define TRACE_PARENT_LEN 55 // of version 00
#define TRACE_STATES_MAX 32 // members of tracestate

enum trace_parent {
    TRACE_VALID,  // version 00
    TRACE_LATER,  // of a version to come: rendered as 00 from its first four parts
    TRACE_BROKEN, // none, two, or malformed: a new one must be made, and tracestate dropped
};

// out: for TRACE_LATER.
enum trace_parent trace_parent(const struct fields *fields, char out[TRACE_PARENT_LEN]);
// May tracestate go on? Not with more members than there may be: part of it would be lost
// somewhere.
bool trace_state_fits(const struct fields *fields);

#endif
