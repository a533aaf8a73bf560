// SPDX-License-Identifier: MIT
// The client-credentials grant as text: the request's form body, and what a token endpoint's answer
// means (RFC 6749 4.4, 5.1, 5.2). Pure: no network, no clock of its own. An answer is either wholly
// good, or a failure with the server's own words, made harmless; never a half-read token.
#ifndef TOKEN_GRANT_H
#define TOKEN_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"
#include "token/token.h"

#define GRANT_BODY_MAX        65536                        // of an answer, so of a token, too
#define GRANT_FORM_MAX        ((size_t)4 * SECRET_MAX)     // of a request
#define GRANT_DEPTH_MAX       16                           // nesting of the JSON
#define GRANT_LIFETIME_MAX_MS ((uint64_t)24 * 3600 * 1000) // a longer expires_in counts as this
#define GRANT_RETRY_MAX_MS    ((uint64_t)3600 * 1000)      // a longer Retry-After likewise

// Appends grant_type, scope, audience, resource, authorization_details and the credential's own
// parameters; what has no value is left out. The client's authentication is client_auth.c's. False
// when form is full.
bool grant_build(const struct config_slot *slot, struct buf *form) WARN_UNUSED;

struct grant_answer {                     // borrowed for the call
    int status;                           // 0: not HTTP
    struct str content_type, retry_after; // empty: not sent
    struct str body;
    const struct config_slot *slot; // what was asked for
    const char *server;             // who answered, for texts; NULL: the credential's token_url
    bool is_dpop;         // a proof was sent: the token must be bound to its key (RFC 9449 5)
    int64_t now_s;        // wall clock, for a Retry-After date
    struct str hidden[2]; // secrets that must not come back in a text, whoever echoes them
};

struct grant_result {
    struct buf value;              // the access token; empty on failure
    uint64_t lifetime_ms;          // 0: not told, or nonsense: default_ttl
    char *granted_scope;           // NULL: not told, or the same set as asked for
    char *granted_details;         // authorization_details likewise, printable
    struct token_failure *failure; // NULL: success
    uint64_t retry_after_ms;       // 0: not told
};

void grant_parse(const struct grant_answer *answer, struct grant_result *out);
void grant_result_fini(struct grant_result *result); // wipes

// "https://idp.example.com/token": a URL as it may stand in texts, without its query.
void grant_url_label(const struct config_url *url, char *out, size_t out_size);

#endif
