// SPDX-License-Identifier: MIT
// Internal to token/: how requests for tokens and logins go out: with the credential's own fields,
// TLS files, proxy and time limits. All lines of a head count as secrets.
#ifndef TOKEN_POST_H
#define TOKEN_POST_H

#include "config/config.h"
#include "http/fetch.h"

// The lines of a head, NULL-terminated. first, second: whole lines besides, taken over; NULL: none.
// NULL: request_header is too long.
char **post_head(const struct config_credential *credential, bool is_form, char *first,
                 char *second, struct err *err) WARN_UNUSED;

struct post {
    const struct config_credential *credential;
    const char *url;
    char **head; // taken over
    struct str body;
};
// As fetch_start(), whose errors it has.
struct fetch *post_start(struct fetcher *fetcher, const struct post *post, fetch_done_fn *done,
                         void *arg, struct err *err) WARN_UNUSED;

// What every request of a credential has in common; the rest is for the caller to fill in.
struct fetch_request post_settings(const struct config_credential *credential);

#endif
