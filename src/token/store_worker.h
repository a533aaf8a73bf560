// SPDX-License-Identifier: MIT
// The side of the store that may block: looks for tokens, takes and renews leases, notices that the
// backend is away and that it is back. It knows no threads: everything here, callbacks too, happens
// on the one loop it was given (store.c gives it a thread of its own).
#ifndef TOKEN_STORE_WORKER_H
#define TOKEN_STORE_WORKER_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/loop.h"
#include "token/store.h"
#include "token/store_backend.h"
#include "token/store_seal.h"

// Longer than any pause in which a living holder does not renew its lease; what the others wait for
// when one was killed.
#define STORE_LEASE_MS      6000
#define STORE_LEASE_HELD_MS 120000 // not renewed beyond: whoever holds it has forgotten it

struct store_worker;

// An acquire under way. The memory is the caller's, and the worker's from store_worker_acquire() to
// its final word.
struct store_look {
    char place[STORE_KEY_LEN + 1];
    char old_place[STORE_KEY_LEN + 1]; // under the previous key; "": there is none
    struct store_wish wish;
    // the worker's
    struct store_worker *worker;
    struct list link;
    struct timer timer;
    uint64_t started_ms;
    bool is_waiting;    // somebody else holds the lease; was told
    bool is_unreadable; // was logged
};

enum store_word {
    STORE_WORD_WAITING, // somebody else fetches; more will be told
    STORE_WORD_TOKEN,   // the others are final
    STORE_WORD_FETCH,
};

// Written on the worker's thread, read on any.
struct store_counts {
    atomic_uint_fast64_t loads, puts, errors, unreadable;
    atomic_bool is_away;
};

struct store_worker_parts {
    struct loop *loop;
    struct store_backend *backend;
    const struct store_keys *keys;
    struct store_counts *counts;
    // record: for STORE_WORD_TOKEN, borrowed for the call.
    void (*tell)(struct store_look *look, enum store_word word, const struct store_record *record);
};

struct store_worker *store_worker_new(const struct store_worker_parts *parts) WARN_UNUSED;
// Says something about the backend before anybody asks: away, or nothing.
void store_worker_probe(struct store_worker *worker);
// Gives the leases back. Looks under way end with STORE_WORD_FETCH.
void store_worker_free(struct store_worker *worker);

// The final word may come from inside.
void store_worker_acquire(struct store_worker *worker, struct store_look *look);
// No word will follow. True: the final word had not been said yet. If it had, the look's lease, if
// it got one, ends, unless it is kept for somebody who fetches.
bool store_worker_cancel(struct store_worker *worker, struct store_look *look, bool is_kept);
void store_worker_put(struct store_worker *worker, const char *place,
                      const struct store_record *record);
void store_worker_release(struct store_worker *worker, const char *place);

#endif
