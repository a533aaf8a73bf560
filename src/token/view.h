// SPDX-License-Identifier: MIT
// A worker's view of the tokens: an array of slots. A hit is one array read: no lock, no atomic, no
// hash, no allocation. Belongs to one worker's thread; the keeper reaches it by loop_post() alone.
#ifndef TOKEN_VIEW_H
#define TOKEN_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "token/token.h"

struct keeper;
struct view;

// Waits for a slot's next token. Memory is the caller's, zeroed before its first use; exactly one
// call of on_token comes after view_wait(), from the loop, unless view_cancel() came first. From
// inside on_token the waiter may wait again, and its memory may go.
struct view_waiter {
    struct list link;
    // One of both is NULL. Borrowed for the call. Both are NULL: there is none newer than the one
    // that was refused.
    void (*on_token)(struct view_waiter *waiter, const struct token *token,
                     const struct token_failure *failure);
    size_t slot;         // the view's, as is:
    uint64_t newer_than; // a generation; 0: any token will do
};

// The view registers itself with the keeper, for the slots of the configuration that is in force
// then: those alone it will ever have. Made on the control thread; the loop it belongs to may run,
// if it gets the view by loop_post(). Views go before the keeper; posts that are still on their way
// are harmless, also after the view's end.
struct view *view_new(struct loop *loop, struct keeper *keeper) WARN_UNUSED;
// No waiter may be left, for both. On the control thread, while the view's loop does not run; NULL
// is fine.
void view_free(struct view *view);
void view_retire(struct view *view); // the same on the view's own thread

// The slot's token if it may be used now, borrowed until the next turn of the loop: copy the header
// out of it at once, the next turn may bring its successor. NULL: view_wait().
// Tells the keeper, once per token, that the slot is in use; and that it is due when it is.
const struct token *view_get(struct view *view, size_t slot);
// Waits for the next token or failure of the slot, and asks the keeper for one. While the keeper
// holds off after a failure, the answer is that failure, at the end of the turn; false then.
bool view_wait(struct view *view, size_t slot, struct view_waiter *waiter);
// The upstream refused the token of this generation (401): waits for a newer one, or for the word
// that there is none. The keeper sees to it that refusals do not become a storm of token requests.
void view_wait_newer(struct view *view, size_t slot, uint64_t generation,
                     struct view_waiter *waiter);
// The same news without waiting: the next request shall have a newer one.
void view_refuse(struct view *view, size_t slot, uint64_t generation);
void view_cancel(struct view *view, struct view_waiter *waiter); // no-op when not waiting

// Why the slot's last fetch failed, borrowed until the next turn of the loop; NULL when it did not,
// or no request had to know. For saying more than "timed out" when a wait was given up.
const struct token_failure *view_failure(const struct view *view, size_t slot);

// Internal to token/: the keeper's side, called on its thread. Brings a token (failure NULL), a
// failure (token NULL), or takes away a token that is past its expiry (both NULL); all referenced
// for the way.
void view_publish(struct view *view, size_t slot, const struct token *token,
                  const struct token_failure *failure);

#endif
