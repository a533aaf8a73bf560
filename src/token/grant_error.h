// SPDX-License-Identifier: MIT
// Internal to token/: refusals of a token endpoint, put into words for people and into kinds for
// the keeper (RFC 6749 5.2). Pure. What a server says is untrusted text: made printable and
// bounded, and withheld when it repeats a secret.
#ifndef TOKEN_GRANT_ERROR_H
#define TOKEN_GRANT_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "token/grant.h"

struct grant_error { // members of the body as they came; empty if none
    struct str error, description;
};

// For any answer that is not a 200 without `error`.
struct token_failure *grant_error_failure(const struct grant_answer *answer,
                                          const struct grant_error *error) WARN_UNUSED;
// For a 200 that is no token response: `the token response of … cannot be used: <why>`.
struct token_failure *grant_error_malformed(const struct grant_answer *answer,
                                            const char *why) WARN_UNUSED;

// Retry-After: seconds or an HTTP date; 0 when it is neither.
uint64_t grant_error_retry_after(struct str field, int64_t now_s);

// An HTTP date (RFC 9110 5.6.7, its preferred form), seconds since 1970; 0 when it is none.
int64_t grant_error_date(struct str field);

// Printable ASCII without '"' and '\', cut to fit, NUL-terminated.
void grant_error_clean(struct str text, char *out, size_t out_size);

#endif
