// SPDX-License-Identifier: MIT
// What keeper.c (notes, life), keeper_set.c (the slots of a configuration, and who looks at them),
// keeper_slot.c (what a slot does next), keeper_store.c (its dealings with the store),
// keeper_identity.c (whose token it is), keeper_reload.c (what outlives a configuration) and
// keeper_facts.c (what it tells of itself) share; nobody else includes this.
//
//   configuration ── keeper_set ── keeper_place[i] ──> keeper_slot
//   view ──────────────┘                                  │
//   a slot that two configurations know alike is in both: <┘ slot->places
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
    uint64_t id; // never given twice
    // Of struct keeper_place: the sets it is in, newest last, and what they call it. It goes with
    // the last of them.
    struct list places;
    const struct config_slot *config; // of one of those sets
    // As slot_identify() says: of the last fetch; and whose the token is, or without one whom the
    // last failure was about. "": not known.
    char asked[STORE_KEY_LEN + 1], identity[STORE_KEY_LEN + 1];
    struct source *source;
    struct timer timer;            // when something falls due by itself
    struct token *token;           // NULL: none that can be used
    struct token_failure *failure; // of the last fetch; NULL: it was good, or there was none
    const char *reason;            // of the fetch under way, for the log
    uint64_t started_us;           // of the last fetch
    uint64_t floor_ms;             // no fetch before
    uint64_t generation;           // of the last token
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1]; // likewise
    uint64_t failed_ms;                          // when the last failure in a row was
    uint64_t used_ms;                            // when a use of the token was last reported
    uint64_t refused_ms;               // when the last token request was made for a refusal
    unsigned failed_count;             // in a row
    unsigned refused_count;            // token requests made for a refusal, lately
    enum slot_lease lease;             // of the store
    char store_key[STORE_KEY_LEN + 1]; // what was asked for, while lease is not LEASE_NONE
    bool is_retired; // not in the set in force: it serves who still waits, and is not renewed
    bool is_fetching;
    bool is_wanted;      // somebody waits for an answer
    bool is_used;        // since the last token came: worth renewing
    bool is_due;         // a request, not the timer, found it so; for the log
    bool is_kept;        // its token is wanted at all times
    bool is_refused;     // an upstream refused the token: a newer one is asked for
    bool is_asking_anew; // the store, once it is another
    struct list gets;
    struct keeper_stats stats;
};

struct keeper_place {
    struct list link; // in slot->places
    struct keeper_set *set;
    struct keeper_slot *slot;
};

// The slots of one configuration, in its order, and the views of those who use it. The one in force
// is the keeper's; one before lives as long as somebody looks at it.
struct keeper_set {
    struct list link; // in keeper->sets
    struct keeper *keeper;
    struct config *config;
    unsigned refs; // atomic, but only the control thread's may be the last
    struct task free_task;
    struct view **views;
    size_t view_count, count;
    struct keeper_place places[];
};

struct keeper_get {
    struct list link;
    struct keeper_set *set; // referenced
    token_done_fn *on_done;
    void *arg;
};

struct keeper {
    struct loop *loop;
    struct fetcher *fetcher;
    struct store *store; // NULL: none
    char store_mark[STORE_KEY_LEN + 1];
    struct hooks *hooks; // NULL: none are to run
    struct source_context source_context;
    struct keeper_parts parts;
    struct pace pace;
    void (*on_failure)(void *arg, const struct config_slot *slot,
                       const struct token_failure *failure);
    void *listener;
    unsigned refs;  // the owner's and one for each set
    bool is_closed; // only sets that notes hold still hold it
    uint64_t last_id;
    struct keeper_set *set; // in force
    struct list sets;       // all, oldest first
};

// The clock itself, not the loop's: it is never behind a worker's, so what a view calls expired is
// expired here too.
uint64_t keeper_now_ms(void);

// keeper.c
struct keeper_slot *keeper_slot_new(struct keeper *keeper, const struct config_slot *config);
void keeper_slot_free(struct keeper_slot *slot); // it is in no set any more

// keeper_set.c
struct keeper_set *keeper_set_new(struct keeper *keeper, struct config *config);
// Fills one of its places; each must be before the set is used.
void keeper_set_put(struct keeper_set *set, size_t index, struct keeper_slot *slot);
struct keeper_set *keeper_set_ref(struct keeper_set *set); // any thread
void keeper_set_unref(struct keeper_set *set);             // its slots go later, from the loop
void keeper_set_close_all(struct keeper *keeper);
// The keeper's own for what a configuration calls so; NULL: of a set that has gone.
struct keeper_place *keeper_find(struct keeper *keeper, const struct config_slot *config);

// keeper_identity.c
// Whose token it would be if it were asked for now, secrets included. "": one cannot be read.
void slot_identify(const struct config_slot *config, char out[STORE_KEY_LEN + 1]);
// Is what the slot has good for that of another configuration, whose identity is known?
bool slot_is_same(const struct keeper_slot *slot, const struct config_slot *config,
                  const char *identity) WARN_UNUSED;
// The name of its entry in the store. False: something of it cannot be read, and so no entry can be
// known as ours.
bool slot_store_key(const struct config_slot *config, char out[STORE_KEY_LEN + 1]) WARN_UNUSED;

// keeper_slot.c
void slot_step(struct keeper_slot *slot); // does what follows from the slot's state
void slot_publish(struct keeper_slot *slot, const struct token *token,
                  const struct token_failure *failure);
void slot_ask_source(struct keeper_slot *slot);
void slot_take_result(struct keeper_slot *slot, const struct source_result *result, bool is_stored);
void slot_be_refused(struct keeper_slot *slot, uint64_t generation);
uint64_t slot_death_ms(const struct keeper_slot *slot); // of its token, which is there
// Kept from asking by a refusal of the authorization server; and no longer so.
bool slot_is_held_off(const struct keeper_slot *slot);
void slot_end_hold_off(struct keeper_slot *slot);
void slot_init(struct keeper_slot *slot);
void slot_fini(struct keeper_slot *slot);

// keeper_store.c
void slot_ask_store(struct keeper_slot *slot); // ends in slot_ask_source() or slot_take_result()
void slot_tell_store(struct keeper_slot *slot, const struct token *token); // NULL: there is none
void slot_leave_store(struct keeper_slot *slot);
// The keeper is about to change its store: true if what was asked of it has to be asked again, by
// slot_ask_store().
bool slot_change_store(struct keeper_slot *slot) WARN_UNUSED;

#endif
