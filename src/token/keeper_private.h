// SPDX-License-Identifier: MIT
// What keeper.c (notes, views, life), keeper_slot.c (what a slot does next), keeper_store.c (its
// dealings with the store) and keeper_facts.c (what it tells of itself) share; nobody else includes
// this.
#ifndef TOKEN_KEEPER_PRIVATE_H
#define TOKEN_KEEPER_PRIVATE_H

#include "base/list.h"
#include "http/fetch.h"
#include "token/hook.h"
#include "token/keeper.h"
#include "token/pace.h"
#include "token/source.h"
#include "token/store.h"
#include "token/view.h"

enum slot_lease { LEASE_NONE, LEASE_ASKED, LEASE_HELD };

struct keeper_slot {
    struct keeper *keeper;
    const struct config_slot *config;
    struct source *source;
    struct timer timer;            // when something falls due by itself
    struct token *token;           // NULL: none that can be used
    struct token_failure *failure; // of the last fetch; NULL: it was good, or there was none
    bool is_fetching;
    bool is_wanted;      // somebody waits for an answer
    bool is_used;        // since the last token came: worth renewing
    bool is_due;         // a request, not the timer, found it so; for the log
    const char *reason;  // of the fetch under way, for the log
    uint64_t started_us; // of the last fetch
    uint64_t floor_ms;   // no fetch before
    uint64_t generation; // of the last token
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1]; // likewise
    unsigned failed_count;                       // in a row
    uint64_t failed_ms;                          // when the last of them was
    bool is_kept;                                // its token is wanted at all times
    uint64_t used_ms;                            // when a use of the token was last reported
    bool is_refused;                   // an upstream refused the token: a newer one is asked for
    unsigned refused_count;            // token requests made for that reason, lately
    uint64_t refused_ms;               // when the last of them was made
    char store_key[STORE_KEY_LEN + 1]; // what was asked for, while lease is not LEASE_NONE
    enum slot_lease lease;             // of the store
    struct list gets;
    struct keeper_stats stats;
};

struct keeper_view {
    struct view *view;
};

struct keeper_get {
    struct list link;
    void (*on_done)(void *arg, const struct token *token, const struct token_failure *failure);
    void *arg;
};

struct keeper {
    struct loop *loop;
    struct config *config;
    struct fetcher *fetcher;
    struct store *store; // NULL: none
    struct hooks *hooks; // NULL: none are to run
    struct source_context source_context;
    struct pace pace;
    void (*on_failure)(void *arg, const struct config_slot *slot,
                       const struct token_failure *failure);
    void *listener;
    unsigned refs;  // atomic: the owner's and one for each note on its way
    bool is_closed; // only notes still hold it
    struct keeper_view *views;
    size_t view_count;
    size_t slot_count;
    struct keeper_slot slots[];
};

// The clock itself, not the loop's: it is never behind a worker's, so what a view calls expired is
// expired here too.
uint64_t keeper_now_ms(void);

// keeper_slot.c
void slot_step(struct keeper_slot *slot); // does what follows from the slot's state
void slot_publish(struct keeper_slot *slot, const struct token *token,
                  const struct token_failure *failure);
void slot_ask_source(struct keeper_slot *slot);
void slot_take_result(struct keeper_slot *slot, const struct source_result *result, bool is_stored);
void slot_be_refused(struct keeper_slot *slot, uint64_t generation);
uint64_t slot_death_ms(const struct keeper_slot *slot); // of its token, which is there
void slot_init(struct keeper_slot *slot);
void slot_fini(struct keeper_slot *slot);

// keeper_store.c
void slot_ask_store(struct keeper_slot *slot); // ends in slot_ask_source() or slot_take_result()
void slot_tell_store(struct keeper_slot *slot, const struct token *token); // NULL: there is none
void slot_leave_store(struct keeper_slot *slot);

#endif
