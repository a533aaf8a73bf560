// SPDX-License-Identifier: MIT
// An access token as a value: immutable, shared between threads by atomic reference count, wiped
// when the last reference goes. And its counterpart, the reason why there is none. Pure: the moment
// is an argument, all of CLOCK_BOOTTIME, in milliseconds.
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

#define TOKEN_FINGERPRINT_LEN 8

struct jose_key;

struct token {
    unsigned refs;           // atomic
    struct str header_name;  // "Authorization"
    struct str header_value; // "Bearer …", rendered once
    struct str value;        // the token alone: the end of header_value
    char fingerprint[TOKEN_FINGERPRINT_LEN +
                     1];            // first hex digits of its SHA-256: what may be logged
    uint64_t generation;            // grows with each new token of the slot
    uint64_t sent_ms;               // when it was asked for, be it by another process
    uint64_t fetched_ms;            // when it arrived
    uint64_t fetch_us;              // how long the fetch took
    uint64_t soft_ms;               // from here on it is due for renewal
    uint64_t hard_ms;               // from here on it must not be used (expiry - clock_skew)
    uint64_t expires_ms;            // as the authorization server said
    char *name_bytes, *value_bytes; // what the views above point into; token.c's
    char *granted_scope;            // NULL: as asked
    struct jose_key *binding;       // proofs of possession are made with it (DPoP); NULL: bearer
    uint64_t idle_ttl_ms;           // unused for so long it is dead; 0: does not matter
};

struct token_times {
    uint64_t sent_ms;     // when the token request was sent
    uint64_t lifetime_ms; // expires_in, or default_ttl
    uint64_t clock_skew_ms, refresh_before_ms;
    double jitter; // 0 to 1: spreads renewals of many processes
};

// How long before its expiry a token is no longer used. A skew that would eat more than half the
// lifetime is cut to half of it, so that short-lived tokens stay usable.
uint64_t token_skew_ms(uint64_t clock_skew_ms, uint64_t lifetime_ms);
// hard = sent + lifetime - skew; soft = hard - min(refresh_before, lifetime/4), brought forward by
// jitter by at most a tenth of that distance.
void token_schedule(const struct token_times *times, uint64_t *out_soft_ms, uint64_t *out_hard_ms);

// New reference, count 1. prefix may be empty.
struct token *token_new(struct str value, const char *header, const char *prefix) WARN_UNUSED;
struct token *token_ref(const struct token *token); // any thread
void token_unref(const struct token *token);        // any thread; NULL is fine
static inline bool token_is_usable(const struct token *token, uint64_t now_ms)
{
    return now_ms < token->hard_ms;
}
static inline bool token_is_due(const struct token *token, uint64_t now_ms)
{
    return now_ms >= token->soft_ms;
}
void token_fingerprint(struct str value, char out[TOKEN_FINGERPRINT_LEN + 1]);
// RFC 6750 2.1 b64token, what may stand behind "Bearer ".
bool token_value_is_valid(struct str value);

// Why no token can be had. Immutable, reference-counted likewise.
enum token_failure_kind {
    FAILURE_UNREACHABLE, // authorization server: no connection, DNS, TLS           -> 503
    FAILURE_TIMEOUT,     // it did not answer in time                             -> 504
    FAILURE_TRANSIENT,   // 5xx, 429, temporarily_unavailable                    -> 503
    FAILURE_REFUSED,     // invalid_client, invalid_scope, …: it will not help to ask again -> 502
    FAILURE_MALFORMED,   // an answer that is no token response                   -> 502
    FAILURE_LOCAL,       // secret cannot be read, …                              -> 503
    FAILURE_WAITED,      // none came within token_timeout (made by the view's caller) -> 504
};

#define TOKEN_FAILURE_KINDS (FAILURE_WAITED + 1)

struct token_failure {
    unsigned refs; // atomic
    enum token_failure_kind kind;
    int status;           // HTTP status of the authorization server; 0: none
    char error[64];       // RFC 6749 5.2 `error`, printable ASCII; "" if none
    char text[512];       // for people: cause, with error_description; printable ASCII, no secrets
    uint64_t retry_at_ms; // when the keeper will ask again
};

// How somebody who asked is told of a token or a failure; the other one is NULL, both are borrowed
// for the call.
typedef void token_done_fn(void *arg, const struct token *token,
                           const struct token_failure *failure);

struct token_failure *token_failure_new(enum token_failure_kind kind, const char *text) WARN_UNUSED;
struct token_failure *token_failure_ref(const struct token_failure *failure);
void token_failure_unref(const struct token_failure *failure);
int token_failure_status(enum token_failure_kind kind);       // the HTTP status for our client
const char *token_failure_name(enum token_failure_kind kind); // "unreachable", … for logs

#endif
