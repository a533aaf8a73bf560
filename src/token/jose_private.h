// SPDX-License-Identifier: MIT
// Internal to token/jose*.c: what a key is made of, and what each algorithm of RFC 7518 3.1 and RFC
// 8037 stands for. Invariant: a key that exists fits its algorithm, so signing has no choice left.
#ifndef TOKEN_JOSE_PRIVATE_H
#define TOKEN_JOSE_PRIVATE_H

#include "token/jose.h"

enum jose_family { JOSE_HMAC, JOSE_RSA, JOSE_RSA_PSS, JOSE_EC, JOSE_ED };

struct jose_alg_row {
    const char *name;
    enum jose_family family;
    const char *hash;          // NULL: the signature scheme has its own
    size_t hash_len;           // bytes
    const char *curve, *group; // EC: as JWK and as OpenSSL call it
    size_t coordinate_len;     // EC: bytes of x, y, r and s
};
const struct jose_alg_row *jose_alg_row(enum jose_alg alg);

#define JOSE_SIGNATURE_MAX 2048 // of RSA with 16384 bits

struct jose_key {
    unsigned refs; // atomic
    enum jose_alg alg;
    void *pkey;        // EVP_PKEY, only ever read; NULL for HMAC
    struct buf secret; // HMAC
    char *jwk;         // public, members in the order of RFC 7638; NULL for HMAC
    char *proof_head;  // header of a DPoP proof, encoded; NULL for HMAC
    char thumbprint[JOSE_THUMBPRINT_LEN + 1];
};

// Appends the signature of `input`, raw as JWS has it.
bool jose_sign(const struct jose_key *key, struct str input, struct buf *out,
               struct err *err) WARN_UNUSED;

// Appends text as a JSON string, in quotes. Only ASCII, so that there is one encoding of it.
bool jose_json_string(struct str text, struct buf *out) WARN_UNUSED;
// SHA-256, base64url.
bool jose_sha256(struct str bytes, char out[JOSE_THUMBPRINT_LEN + 1]) WARN_UNUSED;

#endif
