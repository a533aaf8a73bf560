// SPDX-License-Identifier: MIT
// The strict second look at a request head that the HTTP server library let through: everything
// two readers could frame or route differently is refused (RFC 9112). Pure. Not its business: what
// the target says (see target.h), whether the caller may, Expect, how many fields there are.
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "http/headers.h"

struct guard_input {
    const char *method;          // NUL-terminated, at the start of the head's bytes
    const char *target;          // where the raw request target lay; may have been modified since
    size_t target_len;           // its length when it was first seen
    const char *version;         // "HTTP/1.1"
    size_t head_len;             // bytes from method to the end of the blank line; 0 = unknown
    bool in_place;               // the library parsed in place: check the layout, too
    const struct fields *fields; // name and value pointers into the same bytes, in order; values
                                 // with the trailing white space the library left on them
};

struct guard_verdict {
    int status;      // 0: fine; else 400, 501 or 505
    const char *why; // static text; NULL when fine
};

struct guard_verdict guard_check(const struct guard_input *input);

#endif
