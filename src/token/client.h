// SPDX-License-Identifier: MIT
// What all slots of a credential have in common while they ask for tokens: where the token endpoint
// is, which of two secrets works, the key that tokens are bound to and the nonce its proofs need
// (RFC 9449 8). One object per credential, made when it is first needed, counted; it outlives a
// configuration when the next one has the same credential. The control thread's.
#ifndef TOKEN_CLIENT_H
#define TOKEN_CLIENT_H

#include "config/config.h"
#include "token/discovery.h"
#include "token/jose.h"

struct clients;
struct fetcher;

struct client {
    struct list link;
    unsigned refs;         // the registry's, and one for each source that uses it
    struct config *config; // the credential's, referenced; NULL in tests
    const struct config_credential *credential;
    struct discovery *discovery;
    bool prefers_next;              // client_secret_next was the last one that worked
    struct jose_key *binding;       // once client_bind() was good; NULL without dpop
    char nonce[JOSE_NONCE_MAX + 1]; // of the token endpoint, for the next proof; "": none
};

struct clients *clients_new(struct loop *loop, struct fetcher *fetcher) WARN_UNUSED;
void clients_free(struct clients *clients); // after the sources that use it; NULL is fine
// A new reference. The credential is one of the configuration last turned to.
struct client *clients_get(struct clients *clients, const struct config_credential *credential);
void client_unref(struct client *client);
// From now on credentials are those of this configuration. Of one that asks the same authorization
// server in the same way what is known stays known; one that has gone, or is another under the same
// name, is left to the sources that use it.
void clients_turn_to(struct clients *clients, struct config *config);
// The key that tokens of this credential are bound to, borrowed: for judging a stored token. NULL:
// bearer tokens, or the key cannot be read (which is logged).
struct jose_key *clients_binding(struct clients *clients,
                                 const struct config_credential *credential);

// With dpop: has the key ready, the configured one or one made for this run (DP-9).
bool client_bind(struct client *client, struct err *err) WARN_UNUSED;
// From a response; one that is not usable is ignored. True: there is a new one.
bool client_take_nonce(struct client *client, struct str nonce);

#endif
