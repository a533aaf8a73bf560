// SPDX-License-Identifier: MIT
// The only one who fetches tokens: one per process, on the control thread. Single flight is global for
// free, and no lock is needed. It renews ahead of expiry the slots in use, backs off after failures, and
// publishes tokens and failures to every view.
#ifndef TOKEN_KEEPER_H
#define TOKEN_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "config/config.h"
#include "token/token.h"

struct keeper;
struct view;

// The config is referenced. Control thread.
struct keeper *keeper_new(struct loop *loop, struct config *config, struct err *err) WARN_UNUSED;
void keeper_free(struct keeper *keeper); // cancels what is under way; after all views are gone

// What views tell it; any thread (they are posted to the keeper's loop).
enum keeper_note {
    KEEPER_WANT, // a request waits
    KEEPER_USED, // the current token has been used
    KEEPER_DUE,  // a request met a token past its soft expiry
};
void keeper_tell(struct keeper *keeper, size_t slot, enum keeper_note note);

// Internal to token/: a view's registration. Publishing calls view_publish() on the view's loop.
void keeper_attach(struct keeper *keeper, struct view *view);
void keeper_detach(struct keeper *keeper, struct view *view);

// For the demo, `token` and status pages: calls on_done once, on the keeper's loop, with the slot's token,
// fetched if need be, or the failure. No cancelling: arg must live as long as the keeper.
void keeper_get(struct keeper *keeper, size_t slot,
                void (*on_done)(void *arg, const struct token *token,
                                const struct token_failure *failure),
                void *arg);

// Counters since start, for tests, the demo and (later) metrics. Control thread.
struct keeper_stats {
    uint64_t fetches, failures, renewals;
};
struct keeper_stats keeper_stats(const struct keeper *keeper, size_t slot);

#endif
