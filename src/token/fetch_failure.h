// SPDX-License-Identifier: MIT
// Internal to token/: a request that got no whole answer, as the reason why there is no token.
#ifndef TOKEN_FETCH_FAILURE_H
#define TOKEN_FETCH_FAILURE_H

#include "http/fetch.h"
#include "token/token.h"

// "WHAT URL failed: …"; the URL without its query. Not for FETCH_OK.
struct token_failure *fetch_failure_new(const char *what, const char *url,
                                        const struct fetch_response *response) WARN_UNUSED;
// The URL as it may stand in texts: without its query.
void fetch_failure_label(const char *url, char *out, size_t out_size);

#endif
