// SPDX-License-Identifier: MIT
// See jose.h: keys. Owns reading them, what fits which algorithm, and their public side: JWK,
// thumbprint, certificate. Invariant: a key is complete when it is handed out and never changes
// after, so that threads may share it; of the private part nothing leaves this file.
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "token/jose_private.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX (JOSE_SIGNATURE_MAX * 8)
#define PUBLIC_MAX   JOSE_SIGNATURE_MAX // bytes of a public number
#define JWK_MAX      8192

// -- the public side ---------------------------------------------------------------------------

// `,"name":"base64url"`
static bool add_member(struct buf *jwk, const char *name, const unsigned char *bytes, size_t len)
{
    return buf_append(jwk, STR(",\"")) && buf_append(jwk, str_of(name)) &&
           buf_append(jwk, STR("\":\"")) &&
           jose_base64url((struct str){(const char *)bytes, len}, jwk) && buf_append_char(jwk, '"');
}

// A number of the key; padded to len bytes, or as long as it needs when len is 0.
static bool add_number(struct buf *jwk, const EVP_PKEY *pkey, const char *param, const char *name,
                       size_t len)
{
    unsigned char bytes[PUBLIC_MAX];
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, param, &number) == 1;
    if (ok && !len)
        len = (size_t)BN_num_bytes(number);
    ok = ok && len <= sizeof bytes && BN_bn2binpad(number, bytes, (int)len) == (int)len &&
         add_member(jwk, name, bytes, len);
    BN_free(number);
    return ok;
}

static bool add_raw_public(struct buf *jwk, const EVP_PKEY *pkey)
{
    unsigned char bytes[64];
    size_t len = sizeof bytes;
    return EVP_PKEY_get_raw_public_key(pkey, bytes, &len) == 1 && add_member(jwk, "x", bytes, len);
}

// Required members only, in lexicographic order, no spaces: what RFC 7638 3.2 hashes.
static bool jwk_build(const EVP_PKEY *pkey, const struct jose_alg_row *row, struct buf *jwk)
{
    switch (row->family) {
    case JOSE_RSA:
    case JOSE_RSA_PSS:
        if (!add_number(jwk, pkey, OSSL_PKEY_PARAM_RSA_E, "e", 0) ||
            !buf_append(jwk, STR(",\"kty\":\"RSA\"")) ||
            !add_number(jwk, pkey, OSSL_PKEY_PARAM_RSA_N, "n", 0))
            return false;
        break;
    case JOSE_EC:
        if (!buf_printf(jwk, ",\"crv\":\"%s\",\"kty\":\"EC\"", row->curve) ||
            !add_number(jwk, pkey, OSSL_PKEY_PARAM_EC_PUB_X, "x", row->coordinate_len) ||
            !add_number(jwk, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, "y", row->coordinate_len))
            return false;
        break;
    case JOSE_ED:
        if (!buf_printf(jwk, ",\"crv\":\"%s\",\"kty\":\"OKP\"",
                        EVP_PKEY_is_a(pkey, "ED25519") ? "Ed25519" : "Ed448") ||
            !add_raw_public(jwk, pkey))
            return false;
        break;
    case JOSE_HMAC:
        return false;
    }
    jwk->ptr[0] = '{'; // where the first comma stands
    return buf_append_char(jwk, '}');
}

// The header of its proofs is the same each time: made once (RFC 9449 4.2).
static bool proof_head_build(const struct jose_key *key, struct buf *out)
{
    struct buf head;
    buf_init(&head, JWK_MAX);
    bool ok = buf_printf(&head, "{\"typ\":\"dpop+jwt\",\"alg\":\"%s\",\"jwk\":%s}",
                         jose_alg_name(key->alg), key->jwk) &&
              jose_base64url(buf_str(&head), out);
    buf_fini(&head);
    return ok;
}

static bool key_publish(struct jose_key *key)
{
    struct buf jwk, head;
    buf_init(&jwk, JWK_MAX);
    buf_init(&head, (size_t)2 * JWK_MAX);
    bool ok = jwk_build(key->pkey, jose_alg_row(key->alg), &jwk) &&
              jose_sha256(buf_str(&jwk), key->thumbprint);
    key->jwk = buf_take(&jwk);
    ok = ok && proof_head_build(key, &head);
    key->proof_head = buf_take(&head);
    return ok;
}

// -- certificates ------------------------------------------------------------------------------

static X509 *read_certificate(struct str pem)
{
    BIO *bio = pem.len && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

static bool x5t_of(const X509 *certificate, char out[JOSE_THUMBPRINT_LEN + 1])
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    bool ok = len > 0 && jose_sha256((struct str){(const char *)der, (size_t)len}, out);
    OPENSSL_free(der);
    return ok;
}

bool jose_certificate_thumbprint(struct str pem, const struct jose_key *key,
                                 char out[JOSE_THUMBPRINT_LEN + 1], struct err *err)
{
    X509 *certificate = read_certificate(pem);
    EVP_PKEY *pkey = certificate ? X509_get0_pubkey(certificate) : NULL;
    bool is_ours = pkey && (!key || EVP_PKEY_eq(pkey, key->pkey) == 1);
    bool ok = is_ours && x5t_of(certificate, out);
    X509_free(certificate);
    ERR_clear_error();
    return ok || err_set(err, pkey ? "the certificate is of another key"
                                   : "there is no certificate in PEM in it");
}

// -- what fits ---------------------------------------------------------------------------------

static bool has_group(const EVP_PKEY *pkey, const char *group)
{
    char name[80];
    size_t len = 0;
    return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name,
                                          &len) == 1 &&
           strcmp(name, group) == 0;
}

static bool check_rsa(const EVP_PKEY *pkey, const struct jose_alg_row *row, struct err *err)
{
    // An RSASSA-PSS key must not make other signatures.
    if (!EVP_PKEY_is_a(pkey, "RSA") &&
        !(row->family == JOSE_RSA_PSS && EVP_PKEY_is_a(pkey, "RSA-PSS")))
        return err_set(err, "%s needs an RSA key", row->name);
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return err_set(err, "%s needs an RSA key of %d to %d bits, this one has %d", row->name,
                       RSA_BITS_MIN, RSA_BITS_MAX, bits);
    return true;
}

static bool check_fit(const EVP_PKEY *pkey, const struct jose_alg_row *row, struct err *err)
{
    switch (row->family) {
    case JOSE_RSA:
    case JOSE_RSA_PSS:
        return check_rsa(pkey, row, err);
    case JOSE_EC:
        return (EVP_PKEY_is_a(pkey, "EC") && has_group(pkey, row->group)) ||
               err_set(err, "%s needs an EC key on the curve %s", row->name, row->curve);
    case JOSE_ED:
        return EVP_PKEY_is_a(pkey, "ED25519") || EVP_PKEY_is_a(pkey, "ED448") ||
               err_set(err, "%s needs an Ed25519 or Ed448 key", row->name);
    case JOSE_HMAC:
        break;
    }
    return err_set(err, "%s signs with a secret, not with a key", row->name);
}

// -- keys --------------------------------------------------------------------------------------

// Takes pkey over.
static struct jose_key *key_new(EVP_PKEY *pkey, enum jose_alg alg)
{
    struct jose_key *key = mem_alloc(sizeof *key);
    key->refs = 1;
    key->alg = alg;
    key->pkey = pkey;
    buf_init(&key->secret, (size_t)64 * 1024);
    return key;
}

// Without this, OpenSSL would ask at the terminal.
static int no_passphrase(char *out, int size, int is_writing, void *arg)
{
    (void)out, (void)size, (void)is_writing;
    *(bool *)arg = true;
    return -1;
}

static EVP_PKEY *read_private(struct str pem, struct err *err)
{
    bool is_encrypted = false;
    BIO *bio = pem.len && pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &is_encrypted) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!pkey)
        err_set(err, is_encrypted ? "the key is protected by a passphrase: keep it without one, in "
                                    "a file only bearerd can read"
                                  : "there is no private key in PEM in it");
    return pkey;
}

struct jose_key *jose_key_from_pem(struct str pem, enum jose_alg alg, struct err *err)
{
    EVP_PKEY *pkey = read_private(pem, err);
    if (!pkey)
        return NULL;
    struct jose_key *key = key_new(pkey, alg);
    if (!check_fit(pkey, jose_alg_row(alg), err))
        goto fail;
    if (!key_publish(key)) {
        err_set(err, "the key has no usable public part");
        goto fail;
    }
    return key;
fail:
    ERR_clear_error();
    jose_key_unref(key);
    return NULL;
}

struct jose_key *jose_key_from_secret(struct str secret, enum jose_alg alg, struct err *err)
{
    const struct jose_alg_row *row = jose_alg_row(alg);
    if (row->family != JOSE_HMAC) {
        err_set(err, "%s signs with a key, not with a secret", row->name);
        return NULL;
    }
    if (secret.len < row->hash_len) {
        err_set(err, "%s needs a secret of %zu bytes or more, this one has %zu", row->name,
                row->hash_len, secret.len);
        return NULL;
    }
    struct jose_key *key = key_new(NULL, alg);
    if (buf_append(&key->secret, secret))
        return key;
    err_set(err, "the secret is too long");
    jose_key_unref(key);
    return NULL;
}

struct jose_key *jose_key_generate(struct err *err)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    struct jose_key *key = pkey ? key_new(pkey, JOSE_ES256) : NULL;
    if (key && key_publish(key))
        return key;
    ERR_clear_error();
    jose_key_unref(key);
    err_set(err, "cannot make a key");
    return NULL;
}

struct jose_key *jose_key_ref(struct jose_key *key)
{
    __atomic_add_fetch(&key->refs, 1, __ATOMIC_RELAXED);
    return key;
}

void jose_key_unref(struct jose_key *key)
{
    if (!key || __atomic_sub_fetch(&key->refs, 1, __ATOMIC_ACQ_REL))
        return;
    EVP_PKEY_free(key->pkey); // clears the private numbers
    buf_fini(&key->secret);
    mem_free(key->jwk);
    mem_free(key->proof_head);
    mem_free(key);
}

const char *jose_key_thumbprint(const struct jose_key *key)
{
    return key->thumbprint;
}

enum jose_alg jose_key_alg(const struct jose_key *key)
{
    return key->alg;
}
