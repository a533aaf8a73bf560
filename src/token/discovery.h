// SPDX-License-Identifier: MIT
// Authorization server metadata (RFC 8414, OpenID Connect Discovery): from an issuer to its token
// endpoint. One object per credential; the answer is cached, refreshed in the background, and the
// last good one is used while the server is away.
#ifndef TOKEN_DISCOVERY_H
#define TOKEN_DISCOVERY_H

#include "base/loop.h"
#include "config/config.h"
#include "token/token.h"

struct discovery;
struct fetcher;
struct pace;

struct discovery *discovery_new(struct loop *loop, struct fetcher *fetcher,
                                const struct config_credential *credential) WARN_UNUSED;
void discovery_free(struct discovery *discovery); // cancels; NULL is fine
// The same credential in another configuration: its issuer, and whether it shows a certificate, are
// as before.
void discovery_turn_to(struct discovery *discovery, const struct config_credential *credential);

// How long metadata are kept: as their server says, within these. And how often it is asked after
// failures.
struct discovery_times {
    uint64_t age_min_ms, age_max_ms, age_default_ms;
    const struct pace *pace;
};
// 5 min, 24 h, 1 h.
extern const struct discovery_times discovery_times_default;
// For tests.
struct discovery *discovery_new_of(struct loop *loop, struct fetcher *fetcher,
                                   const struct config_credential *credential,
                                   const struct discovery_times *times) WARN_UNUSED;

struct discovery_result {       // borrowed for the call; exactly one of token_endpoint and failure
    const char *token_endpoint; // the mTLS alias when the credential shows a certificate
    const char *issuer;         // as verified; NULL when token_url is configured
    const struct token_failure *failure;
};
typedef void discovery_done_fn(void *arg, const struct discovery_result *result);

// True: *out_now is filled at once (cached, or token_url is configured, or it failed a moment ago).
// False: done follows, from the loop.
bool discovery_get(struct discovery *discovery, struct discovery_result *out_now,
                   discovery_done_fn *done, void *arg) WARN_UNUSED;
void discovery_cancel(struct discovery *discovery, void *arg);
// The endpoint did not behave like one: the metadata are refreshed at the next discovery_get(), but
// not more often than the shortest age allows.
void discovery_doubt(struct discovery *discovery);

#endif
