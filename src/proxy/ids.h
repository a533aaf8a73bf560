// SPDX-License-Identifier: MIT
// Names for requests and traces: unlike any other, and telling nothing (no count, no time). They
// are no secrets: whoever has seen some may guess the next. Pure but for the seed.
#ifndef PROXY_IDS_H
#define PROXY_IDS_H

#include <stdint.h>

#include "base/str.h"

#define IDS_LEN       32 // hex digits of an id
#define IDS_TRACE_LEN 55 // of a traceparent
#define IDS_GIVEN_MAX 128

struct ids {
    uint64_t seeds[2], count;
};

void ids_init(struct ids *ids); // from the kernel's random numbers
void ids_make(struct ids *ids, char out[IDS_LEN]);
// The beginning of a trace: a traceparent of version 00, sampled (W3C Trace Context, 3.2).
void ids_start_trace(struct ids *ids, char out[IDS_TRACE_LEN]);
// Is an id that a peer gave fit to be repeated: not long, and of letters, digits and -._~+/=:@
// only?
bool ids_is_fit(struct str given);

#endif
