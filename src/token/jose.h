// SPDX-License-Identifier: MIT
// JSON Web Signatures as OAuth clients need them: client assertions (RFC 7523), DPoP proofs (RFC
// 9449), key thumbprints (RFC 7638). Keys are immutable once made and may be used by several
// threads at a time.
#ifndef TOKEN_JOSE_H
#define TOKEN_JOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum jose_alg { // RFC 7518 3.1, RFC 8037
    JOSE_HS256,
    JOSE_HS384,
    JOSE_HS512,
    JOSE_RS256,
    JOSE_RS384,
    JOSE_RS512,
    JOSE_PS256,
    JOSE_PS384,
    JOSE_PS512,
    JOSE_ES256,
    JOSE_ES384,
    JOSE_ES512,
    JOSE_EDDSA,
};

struct jose_key;

bool jose_alg_parse(struct str name, enum jose_alg *out);
const char *jose_alg_name(enum jose_alg alg);

// A private key in PEM (PKCS#8, SEC1, PKCS#1); refused when it does not fit the algorithm (type,
// curve, RSA below 2048 bits). HMAC: a secret shorter than the hash is refused (RFC 7518 3.2).
struct jose_key *jose_key_from_pem(struct str pem, enum jose_alg alg, struct err *err) WARN_UNUSED;
struct jose_key *jose_key_from_secret(struct str secret, enum jose_alg alg,
                                      struct err *err) WARN_UNUSED;
struct jose_key *jose_key_generate(struct err *err) WARN_UNUSED; // ES256
struct jose_key *jose_key_ref(struct jose_key *key);
void jose_key_unref(struct jose_key *key); // wipes with the last; NULL is fine

#define JOSE_THUMBPRINT_LEN 43
// RFC 7638, SHA-256, base64url: `jkt`, and a `kid` where none is configured. Not for HMAC keys.
const char *jose_key_thumbprint(const struct jose_key *key);
enum jose_alg jose_key_alg(const struct jose_key *key);

struct jose_assertion {
    const char *client_id; // iss and sub
    const char *audience;
    const char *type;     // header typ: "JWT" or "client-authentication+jwt"
    const char *key_id;   // NULL: thumbprint (none for HMAC)
    const char *x5t_s256; // NULL: none
    int64_t now_s;        // wall clock; iat and nbf are set 5 s back
    unsigned lifetime_s;  // exp = now + this
};
// Appends the compact serialisation, with a fresh random jti each time.
bool jose_client_assertion(const struct jose_key *key, const struct jose_assertion *assertion,
                           struct buf *out, struct err *err) WARN_UNUSED;

struct jose_proof {
    struct str method, url;  // htm, htu: url without query and fragment
    struct str access_token; // empty: no ath
    struct str nonce;        // empty: none
    int64_t now_s;
};
// Appends a DPoP proof (RFC 9449 4.2). Called for each request with a bound token: no JSON library,
// one signature.
bool jose_dpop_proof(const struct jose_key *key, const struct jose_proof *proof, struct buf *out,
                     struct err *err) WARN_UNUSED;

bool jose_base64url(struct str bytes, struct buf *out) WARN_UNUSED;
// x5t#S256 of the first certificate of a PEM file; refused when it is of another key than `key`
// (NULL: of any).
bool jose_certificate_thumbprint(struct str pem, const struct jose_key *key,
                                 char out[JOSE_THUMBPRINT_LEN + 1], struct err *err) WARN_UNUSED;

#define JOSE_NONCE_MAX 512
// A DPoP-Nonce that may stand in a proof (RFC 9449 8.1).
bool jose_nonce_is_valid(struct str nonce);

#endif
