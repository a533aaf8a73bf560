// SPDX-License-Identifier: MIT
// Where tokens survive a restart and are shared by several processes. Blocking libraries are driven
// on a thread of the store's own; all calls and callbacks here are on the keeper's loop. A store
// that is away never stands in the way: the answer is then STORE_FETCH.
#ifndef TOKEN_STORE_H
#define TOKEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "config/config.h"
#include "token/token.h"

struct store;

// What is kept of a token. Times are UTC: seconds since the epoch, and the milliseconds beyond, for
// the sake of tokens that live for a few seconds. At rest it is sealed:
// AES-256-GCM, with its key in the store as associated data, so that no entry can stand in for
// another.
struct store_record {
    struct buf value; // the access token
    int64_t sent_s;   // when the token request was sent
    int64_t expires_s;
    unsigned sent_part_ms, expires_part_ms; // 0-999
    char *granted_scope;                    // NULL: as asked
    char *binding; // thumbprint of the key it is bound to (DPoP jkt); NULL: bearer
};
void store_record_init(struct store_record *record);
void store_record_fini(struct store_record *record); // wipes
void store_record_set_times(struct store_record *record, int64_t sent_ms, int64_t expires_ms);
int64_t store_record_sent_ms(const struct store_record *record);
int64_t store_record_expires_ms(const struct store_record *record);
void store_record_copy(struct store_record *to, const struct store_record *from);

#define STORE_KEY_LEN 64 // hex digits of a SHA-256
// The slot's identity (token URL or issuer, client id, authentication method, hash of the secret,
// scopes, audience, resources, extra parameters, authorization details, DPoP …), each field with
// its length in front. secret: what the client authenticates with (client secret, PEM of the
// signing key or client certificate, the login body with its secrets filled in), empty if nothing.
void store_key_of(const struct config_slot *slot, struct str secret, char out[STORE_KEY_LEN + 1]);

// What a store is opened with, as one hash: equal for two configurations whose store is the same.
// "": none is configured.
void store_mark(const struct config *config, char out[STORE_KEY_LEN + 1]);

// NULL with an empty err->text when no store is configured. A store that cannot be reached yet is
// no error; one that can never work (bad URL, file open to others, no key) is.
struct store *store_open(struct loop *loop, const struct config *config,
                         struct err *err) WARN_UNUSED;
void store_close(struct store *store); // no callback follows; NULL is fine

enum store_answer {
    STORE_TOKEN, // record: somebody's token, newer than what was named
    STORE_FETCH, // it is for us to fetch: the lease is held, or the store is away
};
typedef void store_done_fn(void *arg, enum store_answer answer, const struct store_record *record);

struct store_wish {
    int64_t newer_than_ms; // when ours expires (UTC), if we have one: older ones are not wanted …
    char known[TOKEN_FINGERPRINT_LEN + 1]; // … nor is ours; "": we have none
    uint64_t clock_skew_ms;                // nor one that is past its use, see token_skew_ms()
    uint64_t wait_ms;
};

bool store_wish_fits(const struct store_wish *wish, const struct store_record *record,
                     int64_t now_ms);

// A token is wanted. Of all processes one is told to fetch; the others wait for what it puts, until
// wait_ms or its lease has run out (a holder that lives renews it; that of one which died lasts
// 6 s). done follows once, from the loop, never from inside. Who is told STORE_FETCH must put or
// release in the end.
void store_acquire(struct store *store, const char *key, const struct store_wish *wish,
                   store_done_fn *done, void *arg);
void store_cancel(struct store *store, void *arg); // the acquire of that arg: done will not come
// Keeps the record (copied) and ends the lease. While the store is away the newest of each key, up
// to 256, waits until it is back.
void store_put(struct store *store, const char *key, const struct store_record *record);
// Ends the lease without a token: another may try.
void store_release(struct store *store, const char *key);

struct store_stats {
    uint64_t loads, puts, errors;
    uint64_t unreadable; // entries that were damaged, foreign or sealed with another key
    bool is_away;
};
struct store_stats store_stats(const struct store *store);

#endif
