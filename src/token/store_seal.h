// SPDX-License-Identifier: MIT
// Token records at rest: AES-256-GCM, so that who can read the store learns no token, and who can
// write to it can neither forge one nor move one to another key. Pure but for the nonce.
#ifndef TOKEN_STORE_SEAL_H
#define TOKEN_STORE_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "token/store.h"

#define STORE_BLOB_MAX   ((size_t)128 * 1024) // a sealed record; what is larger is not ours
#define STORE_SECRET_MIN 16                   // bytes of [store] key
#define STORE_VALUE_MAX  ((size_t)64 * 1024)  // of an access token

struct store_keys; // immutable

// previous: opens what was sealed before the key was changed; STR_NONE: there is none. Refused when
// shorter than STORE_SECRET_MIN.
struct store_keys *store_keys_new(struct str secret, struct str previous,
                                  struct err *err) WARN_UNUSED;
void store_keys_free(struct store_keys *keys); // wipes; NULL is fine

// Where an entry stands in the store: HMAC-SHA256 of the slot's key, with a key of its own derived
// from the secret. So who can read the store cannot try out the secrets of clients on the names of
// entries. False: no such key; is_previous asks for the place under the previous one.
bool store_place(const struct store_keys *keys, bool is_previous, const char *key,
                 char out[STORE_KEY_LEN + 1]) WARN_UNUSED;

// place: the record's place in the store, which the seal is bound to. Appends to out. False when
// the record is beyond the limits or the nonce cannot be had.
bool store_seal(const struct store_keys *keys, const char *place, const struct store_record *record,
                struct buf *out, struct err *err) WARN_UNUSED;
// Fills the initialised record. False, and the record as it was, when any byte is not as it was
// sealed or the contents make no sense.
bool store_unseal(const struct store_keys *keys, const char *place, struct str blob,
                  struct store_record *out) WARN_UNUSED;

#endif
