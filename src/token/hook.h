// SPDX-License-Identifier: MIT
// on_token_update: runs a command once for each new token, metadata in the environment, the token
// (its bytes alone, no newline) on stdin. Hooks never hold up traffic, tokens or each other; how
// many run at a time is bounded.
//
// Environment: BEARERD_CREDENTIAL, BEARERD_SCOPE (as asked for), BEARERD_FINGERPRINT,
// BEARERD_EXPIRES_AT (UTC, seconds since 1970), BEARERD_EXPIRES_IN (seconds), BEARERD_HEADER (the
// field it is sent in), BEARERD_GENERATION.
#ifndef TOKEN_HOOK_H
#define TOKEN_HOOK_H

#include "base/loop.h"
#include "config/config.h"
#include "token/token.h"

#define HOOKS_AT_ONCE 8

struct hooks;

struct hooks *hooks_new(struct loop *loop) WARN_UNUSED;
void hooks_free(struct hooks *hooks); // kills those that run; NULL is fine
// No-op when the slot's credential has no hook. While one of the same slot still runs, only the
// newest token waits for its turn. id: which slot, for a configuration's life and beyond. What is
// needed of the slot is copied.
void hooks_run(struct hooks *hooks, uint64_t id, const struct config_slot *slot,
               const struct token *token);

struct hook_stats {
    uint64_t runs, failures, replaced;
};
struct hook_stats hooks_stats(const struct hooks *hooks);
struct hook_stats hooks_stats_of(const struct hooks *hooks, const char *credential);

#endif
