// SPDX-License-Identifier: MIT
// The only one who fetches tokens: one per process, on the control thread. Single flight is global
// for free, and no lock is needed. It renews ahead of expiry the slots in use, backs off after
// failures, and publishes tokens and failures to every view.
#ifndef TOKEN_KEEPER_H
#define TOKEN_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "config/config.h"
#include "token/hook.h"
#include "token/store.h"
#include "token/token.h"

struct fetcher;
struct keeper;
struct keeper_set; // the slots of one configuration, as the views of its proxies know them
struct source;
struct view;

// The config is referenced; its slots become the keeper's. Nothing is fetched before it is wanted.
// Control thread.
struct keeper *keeper_new(struct loop *loop, struct config *config, struct err *err) WARN_UNUSED;
// Cancels what is under way; after all views are gone. Notes still on their way are harmless,
// before or after; a keeper_get() not yet answered never will be. NULL is fine.
void keeper_free(struct keeper *keeper);

// What the tests put in the place of the real thing, NULL members standing for that; and what
// somebody who only looks at tokens does without.
struct keeper_parts {
    struct source *(*source_new)(struct loop *loop, struct fetcher *fetcher,
                                 const struct config_slot *slot);
    const struct pace *pace;
    bool no_hooks, no_store;
};
struct keeper *keeper_new_of(struct loop *loop, struct config *config,
                             const struct keeper_parts *parts, struct err *err) WARN_UNUSED;

// Takes another configuration into force. Slots of the same identity (DPoP keys and secrets
// included) go on: token, back-off, generation, DPoP key, a fetch under way. A hold-off after a
// refusal ends. Slots that only the configuration before has live on for the views that were made
// while it was in force, but are not renewed; they are wiped with the last of those. The store is
// changed if its settings or keys are others. False: the new store cannot be used; nothing has
// changed. Control thread.
bool keeper_reload(struct keeper *keeper, struct config *config, struct err *err) WARN_UNUSED;
size_t keeper_slot_count(const struct keeper *keeper);

// What views tell it; any thread (they are posted to the keeper's loop).
enum keeper_note {
    KEEPER_WANT,    // a request waits: answered with a token or a failure, to all views
    KEEPER_USED,    // the current token has been used
    KEEPER_DUE,     // a request met a token past its soft expiry
    KEEPER_REFUSED, // through keeper_tell_refused() alone
};
void keeper_tell(struct keeper_set *set, size_t slot, enum keeper_note note);
// An upstream refused the token of this generation. Answered to all views with a newer token, or
// with the same one again: there is none newer.
void keeper_tell_refused(struct keeper_set *set, size_t slot, uint64_t generation);

// Internal to token/: a view joins those of the configuration in force, whose set is returned, and
// leaves them again. Tokens already there are published to it at once. Control thread.
struct keeper_set *keeper_attach(struct keeper *keeper, struct view *view) WARN_UNUSED;
void keeper_detach(struct keeper_set *set, struct view *view);
struct loop *keeper_loop(const struct keeper *keeper);

// For the demo, `token` and status pages: calls on_done once, later, on the keeper's loop, with the
// slot's token, fetched if need be, or the failure. The slot is one of the configuration in force,
// as in the functions below. Control thread. No cancelling: arg must live as long as the keeper.
void keeper_get(struct keeper *keeper, size_t slot, token_done_fn *on_done, void *arg);
// The same after the token of that generation was refused, as keeper_tell_refused() tells: one that
// is not newer says that there is none.
void keeper_get_newer(struct keeper *keeper, size_t slot, uint64_t generation,
                      token_done_fn *on_done, void *arg);

// Fetches at once, and again whenever need be, the tokens of all credentials that are required,
// whether or not a request uses them. Control thread.
void keeper_keep_required(struct keeper *keeper);

// Counters since start, for tests, the demo and metrics. Control thread.
struct keeper_stats {
    uint64_t fetches;  // started
    uint64_t failures; // ended without a token
    uint64_t failures_by_kind[TOKEN_FAILURE_KINDS];
    uint64_t renewals; // brought a token while the one before could still be used
    uint64_t tokens;   // brought one
    uint64_t stored;   // tokens that another process had fetched
    uint64_t refusals; // reports that an upstream refused the token, as far as they were news
};
struct keeper_stats keeper_stats(const struct keeper *keeper, size_t slot);

// What is so now, for those who show it. Borrowed until the next turn of the loop. Control thread.
struct keeper_facts {
    const struct token *token;           // NULL: none that can be used
    const struct token_failure *failure; // of the last fetch; NULL: it was good, or there was none
    uint64_t failed_ms;                  // when that was
    unsigned failed_count;               // in a row
    uint64_t dead_ms;                    // of the token: when it is not used any more
    bool is_fetching, is_used, is_kept;  // used: since it came; kept: see keeper_keep_required()
};
struct keeper_facts keeper_facts(const struct keeper *keeper, size_t slot);
// False: there is no store, or no hooks are run.
bool keeper_store_stats(const struct keeper *keeper, struct store_stats *out);
bool keeper_hook_stats(const struct keeper *keeper, const char *credential, struct hook_stats *out);

// Who is told of each fetch that brought no token; borrowed for the call. One at a time.
void keeper_set_listener(struct keeper *keeper,
                         void (*on_failure)(void *arg, const struct config_slot *slot,
                                            const struct token_failure *failure),
                         void *arg);

#endif
