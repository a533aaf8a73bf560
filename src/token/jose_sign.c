// SPDX-License-Identifier: MIT
// See jose_private.h: signatures as JWS wants them (RFC 7518 3, RFC 8037 3.1). Owns nothing: each
// call has a context of its own, so that threads may share a key. Invariant: on failure nothing was
// appended.
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "token/jose_private.h"

static const struct jose_alg_row alg_rows[] = {
    [JOSE_HS256] = {.name = "HS256", .family = JOSE_HMAC, .hash = "SHA256", .hash_len = 32},
    [JOSE_HS384] = {.name = "HS384", .family = JOSE_HMAC, .hash = "SHA384", .hash_len = 48},
    [JOSE_HS512] = {.name = "HS512", .family = JOSE_HMAC, .hash = "SHA512", .hash_len = 64},
    [JOSE_RS256] = {.name = "RS256", .family = JOSE_RSA, .hash = "SHA256", .hash_len = 32},
    [JOSE_RS384] = {.name = "RS384", .family = JOSE_RSA, .hash = "SHA384", .hash_len = 48},
    [JOSE_RS512] = {.name = "RS512", .family = JOSE_RSA, .hash = "SHA512", .hash_len = 64},
    [JOSE_PS256] = {.name = "PS256", .family = JOSE_RSA_PSS, .hash = "SHA256", .hash_len = 32},
    [JOSE_PS384] = {.name = "PS384", .family = JOSE_RSA_PSS, .hash = "SHA384", .hash_len = 48},
    [JOSE_PS512] = {.name = "PS512", .family = JOSE_RSA_PSS, .hash = "SHA512", .hash_len = 64},
    [JOSE_ES256] = {"ES256", JOSE_EC, "SHA256", 32, "P-256", "prime256v1", 32},
    [JOSE_ES384] = {"ES384", JOSE_EC, "SHA384", 48, "P-384", "secp384r1", 48},
    [JOSE_ES512] = {"ES512", JOSE_EC, "SHA512", 64, "P-521", "secp521r1", 66},
    [JOSE_EDDSA] = {.name = "EdDSA", .family = JOSE_ED},
};

const struct jose_alg_row *jose_alg_row(enum jose_alg alg)
{
    return &alg_rows[alg];
}

bool jose_alg_parse(struct str name, enum jose_alg *out)
{
    for (size_t i = 0; i < ARRAY_LEN(alg_rows); i++) {
        if (!str_eq(name, str_of(alg_rows[i].name)))
            continue;
        *out = (enum jose_alg)i;
        return true;
    }
    return false;
}

const char *jose_alg_name(enum jose_alg alg)
{
    return alg_rows[alg].name;
}

// OpenSSL gives DER; JWS has r and s side by side, each as long as the curve's field.
static bool raw_ecdsa(const unsigned char *der, size_t der_len, size_t coordinate_len,
                      struct buf *out)
{
    unsigned char raw[2 * 66];
    const unsigned char *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    int len = (int)coordinate_len;
    bool ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, len) == len &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + len, len) == len &&
              buf_append(out, (struct str){(const char *)raw, 2 * coordinate_len});
    ECDSA_SIG_free(pair);
    return ok;
}

static bool set_pss(EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool sign_with_pkey(const struct jose_key *key, struct str input, struct buf *out)
{
    const struct jose_alg_row *row = jose_alg_row(key->alg);
    unsigned char bytes[JOSE_SIGNATURE_MAX];
    size_t len = sizeof bytes;
    EVP_PKEY_CTX *pkey_ctx = NULL; // the other one's
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx &&
              EVP_DigestSignInit_ex(ctx, &pkey_ctx, row->hash, NULL, NULL, key->pkey, NULL) == 1 &&
              (row->family != JOSE_RSA_PSS || set_pss(pkey_ctx)) &&
              EVP_DigestSign(ctx, bytes, &len, (const unsigned char *)input.ptr, input.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return false;
    return row->family == JOSE_EC ? raw_ecdsa(bytes, len, row->coordinate_len, out)
                                  : buf_append(out, (struct str){(const char *)bytes, len});
}

static bool sign_with_secret(const struct jose_key *key, struct str input, struct buf *out)
{
    const struct jose_alg_row *row = jose_alg_row(key->alg);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t len = 0;
    return EVP_Q_mac(NULL, "HMAC", NULL, row->hash, NULL, key->secret.ptr, key->secret.len,
                     (const unsigned char *)input.ptr, input.len, bytes, sizeof bytes, &len) &&
           buf_append(out, (struct str){(const char *)bytes, len});
}

bool jose_sign(const struct jose_key *key, struct str input, struct buf *out, struct err *err)
{
    bool ok = key->pkey ? sign_with_pkey(key, input, out) : sign_with_secret(key, input, out);
    if (ok)
        return true;
    ERR_clear_error(); // a queue per thread, which nobody else would empty
    return err_set(err, "cannot sign with %s", jose_alg_name(key->alg));
}
