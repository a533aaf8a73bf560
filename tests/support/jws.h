// SPDX-License-Identifier: MIT
// The other side of a signed token: takes a compact JWS apart and verifies it with OpenSSL alone,
// so that nothing of what made it is used to judge it.
#ifndef SUPPORT_JWS_H
#define SUPPORT_JWS_H

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/buf.h"

struct jws {
    char text[16384];  // header.claims.signature
    size_t signed_len; // of text: header.claims
    char head[4096], claims[8192];
    unsigned char signature[2048];
    size_t signature_len;
};

// Strict: no padding, no foreign characters, no stray bits.
static inline bool jws_decode(struct str text, unsigned char *out, size_t out_size, size_t *out_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, group = 0;
    *out_len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        if (!at || *out_len == out_size)
            return false;
        group = (group << 6 | (unsigned)(at - digits)) & 0xffff;
        bits += 6;
        if (bits >= 8)
            out[(*out_len)++] = (unsigned char)(group >> (bits -= 8));
    }
    return bits < 6 && !(group & ((1U << bits) - 1));
}

static inline bool jws_decode_text(struct str text, char *out, size_t out_size)
{
    size_t len;
    bool ok = jws_decode(text, (unsigned char *)out, out_size - 1, &len);
    out[ok ? len : 0] = '\0';
    return ok && strlen(out) == len;
}

static inline bool jws_open(struct str compact, struct jws *out)
{
    struct str rest = compact, head, claims;
    if (compact.len >= sizeof out->text || !str_split(&rest, '.', &head) ||
        !str_split(&rest, '.', &claims))
        return false;
    memcpy(out->text, compact.ptr, compact.len);
    out->text[compact.len] = '\0';
    out->signed_len = head.len + 1 + claims.len;
    return jws_decode_text(head, out->head, sizeof out->head) &&
           jws_decode_text(claims, out->claims, sizeof out->claims) &&
           jws_decode(rest, out->signature, sizeof out->signature, &out->signature_len);
}

static inline EVP_PKEY *jws_key(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

// R || S back into the DER that OpenSSL verifies.
static inline int jws_der_of(const unsigned char *raw, size_t len, unsigned char *der)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(raw, (int)len / 2, NULL),
                   BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
    int der_len = i2d_ECDSA_SIG(pair, &der);
    ECDSA_SIG_free(pair);
    return der_len;
}

// alg as in RFC 7518: its first letters say which scheme, its last ones which hash.
static inline bool jws_is_signed(const struct jws *jws, EVP_PKEY *key, const char *alg)
{
    const char *hash = strcmp(alg, "EdDSA") == 0 ? NULL : alg + 2;
    char name[16];
    snprintf(name, sizeof name, "SHA%s", hash ? hash : "");
    unsigned char der[256];
    const unsigned char *signature = jws->signature;
    size_t len = jws->signature_len;
    if (alg[0] == 'E' && hash) {
        size_t field_len = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
        if (len != 2 * field_len)
            return false;
        len = (size_t)jws_der_of(jws->signature, len, der);
        signature = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey_ctx = NULL;
    bool ok =
        EVP_DigestVerifyInit_ex(ctx, &pkey_ctx, hash ? name : NULL, NULL, NULL, key, NULL) == 1;
    if (ok && alg[0] == 'P')
        ok = EVP_PKEY_CTX_set_rsa_padding(pkey_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey_ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    ok = ok && EVP_DigestVerify(ctx, signature, len, (const unsigned char *)jws->text,
                                jws->signed_len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static inline bool jws_is_hmac(const struct jws *jws, struct str secret, const EVP_MD *hash)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    HMAC(hash, secret.ptr, (int)secret.len, (const unsigned char *)jws->text, jws->signed_len, mac,
         &len);
    return len == jws->signature_len && memcmp(mac, jws->signature, len) == 0;
}

#endif
