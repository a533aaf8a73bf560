// SPDX-License-Identifier: MIT
// How a token is got. One object per slot; the keeper never has more than one fetch of a slot under
// way.
#ifndef TOKEN_SOURCE_H
#define TOKEN_SOURCE_H

#include "base/loop.h"
#include "config/config.h"
#include "token/token.h"

struct jose_key;
struct source;

// What a fetch brought: the token's value and lifetime, or a failure.
struct source_result {
    struct str value;                    // borrowed for the call; empty when failure is set
    uint64_t sent_ms;                    // when the request went out
    uint64_t lifetime_ms;                // 0: not told, use default_ttl
    const char *granted_scope;           // NULL: not told
    struct jose_key *binding;            // borrowed: proofs are made with it (DPoP); NULL: bearer
    const struct token_failure *failure; // borrowed for the call
    uint64_t retry_after_ms;             // 0: not told
    bool is_configured; // the token stands in the configuration: no news, and nothing to keep
};

typedef void source_done_fn(void *arg, const struct source_result *result);

struct source_ops {
    // Exactly one call of done follows, later, from the loop, unless cancelled.
    void (*fetch)(struct source *source, source_done_fn *done, void *arg);
    void (*cancel)(struct source *source);
    // Has what a refused fetch was made with (the secret) changed since, so that asking again may
    // help? May be NULL: never.
    bool (*has_changed)(struct source *source);
    // Goes on, a fetch under way included, with the slot of another configuration that has the same
    // name of credential and the same identity. May be NULL: cannot.
    void (*rebind)(struct source *source, const struct config_slot *slot);
    void (*free)(struct source *source);
};

struct source {
    const struct source_ops *ops;
};

struct clients;
struct fetcher;

// What a source may need of the one it belongs to; lives as long as the source.
struct source_context {
    struct loop *loop;
    struct fetcher *fetcher;
    struct clients *clients; // what slots of a credential share, see client.h
    // The token of another slot, as keeper_get() gives it: on_done follows once, later, with a
    // token or a failure, borrowed for the call. newer_than: the generation that was refused, 0 if
    // none was; a token that is no newer says that none can be had. No cancelling; the source
    // ignores what it no longer waits for, and after it is freed on_done must not be called.
    void (*get_token)(void *arg, const struct config_slot *slot, uint64_t newer_than,
                      token_done_fn *on_done, void *done_arg);
    void *arg; // get_token's
};

// A command's answer; may hand over to the grant when the credential has an endpoint.
struct source *source_exec_new(const struct source_context *context,
                               const struct config_slot *slot) WARN_UNUSED;
// A login's answer; get_token is asked when slot->authoriser is set.
struct source *source_login_new(const struct source_context *context,
                                const struct config_slot *slot) WARN_UNUSED;
// The configured token; once it has expired, the grant when the credential has an endpoint.
struct source *source_static_new(const struct source_context *context,
                                 const struct config_slot *slot) WARN_UNUSED;
// Would that grant be asked now?
bool source_static_is_over(const struct config_credential *credential);

// Client-credentials grant (RFC 6749 4.4).
struct source *source_oauth_new(const struct source_context *context,
                                const struct config_slot *slot) WARN_UNUSED;

#endif
