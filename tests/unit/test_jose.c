// SPDX-License-Identifier: MIT
// Signed tokens against the vectors of the RFCs and against OpenSSL's verification; what a key must
// be; that each token is unlike any other. Names begin with the requirement they show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/jws.h"
#include "base/file.h"
#include "token/jose_private.h"

#define CLAIMS_IN                                                                                  \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static struct buf read_pem(const char *name)
{
    char path[512];
    struct buf pem;
    struct err err;
    snprintf(path, sizeof path, TESTS_DIR "/unit/data/jose/%s.pem", name);
    buf_init(&pem, 65536);
    if (!file_read(path, &pem, &err))
        fail_msg("%s", err.text);
    return pem;
}

static struct jose_key *key_of(const char *name, enum jose_alg alg)
{
    struct err err;
    struct buf pem = read_pem(name);
    struct jose_key *key = jose_key_from_pem(buf_str(&pem), alg, &err);
    if (!key)
        fail_msg("%s: %s", name, err.text);
    buf_fini(&pem);
    return key;
}

// -- vectors -----------------------------------------------------------------------------------

struct vector_row {
    const char *name, *key; // key NULL: the secret of RFC 7515 A.1
    enum jose_alg alg;
    const char *input, *signature;
};

// Only schemes without randomness give the same signature each time.
static const struct vector_row vector_rows[] = {
    {"RFC 7515 A.1", NULL, JOSE_HS256, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS_IN,
     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7515 A.2", "rfc7515-a2", JOSE_RS256, "eyJhbGciOiJSUzI1NiJ9." CLAIMS_IN,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
     "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
     "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
     "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 8037 A.4", "rfc8037-a", JOSE_EDDSA,
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static struct jose_key *vector_key(const struct vector_row *row)
{
    unsigned char secret[64];
    size_t len;
    if (row->key)
        return key_of(row->key, row->alg);
    assert_true(jws_decode(STR("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4"
                               "hcgUuTwjAzZr1Z9CAow"),
                           secret, sizeof secret, &len));
    return jose_key_from_secret((struct str){(const char *)secret, len}, row->alg, NULL);
}

static void test_vectors(void **state) // JA-5
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vector_rows); i++) {
        const struct vector_row *row = &vector_rows[i];
        struct jose_key *key = vector_key(row);
        struct buf raw, text;
        struct err err;
        buf_init(&raw, JOSE_SIGNATURE_MAX);
        buf_init(&text, 4096);
        assert_true(jose_sign(key, str_of(row->input), &raw, &err));
        assert_true(jose_base64url(buf_str(&raw), &text));
        if (!str_eq(buf_str(&text), str_of(row->signature)))
            fail_msg("%s: %.*s", row->name, STR_ARG(buf_str(&text)));
        buf_fini(&raw);
        buf_fini(&text);
        jose_key_unref(key);
    }
}

static void test_verifier(void **state) // RFC 7515 A.3: the judge knows good from bad
{
    (void)state;
    struct jws jws;
    struct buf pem = read_pem("rfc7515-a3");
    EVP_PKEY *key = jws_key(buf_str(&pem));
    assert_true(jws_open(STR("eyJhbGciOiJFUzI1NiJ9." CLAIMS_IN
                             ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQ"
                             "xfKTUJqPP3-Kg6NU1Q"),
                         &jws));
    assert_true(jws_is_signed(&jws, key, "ES256"));
    jws.signature[10] ^= 1;
    assert_false(jws_is_signed(&jws, key, "ES256"));
    EVP_PKEY_free(key);
    buf_fini(&pem);
}

static void test_thumbprints(void **state) // JA-6 DP-9
{
    (void)state;
    static const struct {
        const char *name;
        enum jose_alg alg;
        const char *thumbprint, *jwk;
    } rows[] = {
        {"rfc7638-3.1", JOSE_RS256, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
         "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":"
         "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78L"},
        {"rfc8037-a", JOSE_EDDSA, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
         "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"11qYAYKxCrfVS_"
         "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"},
        {"rfc7515-a3", JOSE_ES256, NULL,
         "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":"
         "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"},
        // Both coordinates begin with a zero bit or more: they are padded, not cut.
        {"rfc7515-a4", JOSE_ES512, NULL,
         "{\"crv\":\"P-521\",\"kty\":\"EC\",\"x\":"
         "\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EO"
         "nYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_"
         "l2T"
         "h-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct jose_key *key = key_of(rows[i].name, rows[i].alg);
        if (rows[i].thumbprint)
            assert_string_equal(jose_key_thumbprint(key), rows[i].thumbprint);
        assert_int_equal(strlen(jose_key_thumbprint(key)), JOSE_THUMBPRINT_LEN);
        assert_memory_equal(key->jwk, rows[i].jwk, strlen(rows[i].jwk));
        jose_key_unref(key);
    }
}

// -- keys made for the occasion ----------------------------------------------------------------

static struct buf pem_of(EVP_PKEY *key, const EVP_CIPHER *cipher)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char passphrase[] = "open sesame";
    char *bytes;
    struct buf pem;
    buf_init(&pem, 65536);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher,
                                                   cipher ? (char *)passphrase : NULL,
                                                   cipher ? 11 : 0, NULL, NULL),
                     1);
    long len = BIO_get_mem_data(bio, &bytes);
    assert_true(buf_append(&pem, (struct str){bytes, (size_t)len}));
    BIO_free(bio);
    return pem;
}

// "RSA 2048", "EC P-384", "ED448"
static struct buf make_pem(const char *what)
{
    EVP_PKEY *key = NULL;
    if (strncmp(what, "RSA-PSS ", 8) == 0) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
        EVP_PKEY_keygen_init(ctx);
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)strtol(what + 8, NULL, 10));
        EVP_PKEY_generate(ctx, &key);
        EVP_PKEY_CTX_free(ctx);
    } else if (strncmp(what, "RSA ", 4) == 0) {
        key = EVP_RSA_gen((unsigned)strtol(what + 4, NULL, 10));
    } else if (strncmp(what, "EC ", 3) == 0) {
        key = EVP_EC_gen(what + 3);
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, what);
    }
    assert_non_null(key);
    struct buf pem = pem_of(key, NULL);
    EVP_PKEY_free(key);
    return pem;
}

static void add_certificate(struct buf *pem, struct str key_pem)
{
    EVP_PKEY *key = jws_key(key_pem);
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(bio, certificate);
    long len = BIO_get_mem_data(bio, &bytes);
    assert_true(buf_append(pem, (struct str){bytes, (size_t)len}));
    BIO_free(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct fit_row {
    const char *key, *alg;
    const char *refusal; // NULL: fits
};

static const struct fit_row fit_rows[] = {
    {"RSA 2048", "RS256", NULL},
    {"RSA 2048", "RS384", NULL},
    {"RSA 3072", "RS512", NULL},
    {"RSA 2048", "PS256", NULL},
    {"RSA 2048", "PS384", NULL},
    {"RSA 2048", "PS512", NULL},
    {"RSA-PSS 2048", "PS256", NULL},
    {"EC P-256", "ES256", NULL},
    {"EC P-384", "ES384", NULL},
    {"EC P-521", "ES512", NULL},
    {"ED25519", "EdDSA", NULL},
    {"ED448", "EdDSA", NULL},
    {"RSA-PSS 2048", "RS256", "RS256 needs an RSA key"},
    {"RSA 1024", "RS256", "RS256 needs an RSA key of 2048 to 16384 bits, this one has 1024"},
    {"EC P-256", "RS256", "RS256 needs an RSA key"},
    {"RSA 2048", "ES256", "ES256 needs an EC key on the curve P-256"},
    {"EC P-384", "ES256", "ES256 needs an EC key on the curve P-256"},
    {"EC P-256", "ES512", "ES512 needs an EC key on the curve P-521"},
    {"EC secp256k1", "ES256", "ES256 needs an EC key on the curve P-256"},
    {"X25519", "EdDSA", "EdDSA needs an Ed25519 or Ed448 key"},
    {"EC P-256", "EdDSA", "EdDSA needs an Ed25519 or Ed448 key"},
    {"EC P-256", "HS256", "HS256 signs with a secret, not with a key"},
};

static const struct jose_assertion plain_assertion = {.client_id = "client",
                                                      .audience = "https://idp.example.com",
                                                      .type = "JWT",
                                                      .now_s = 1700000000,
                                                      .lifetime_s = 60};

static void check_assertion(const struct fit_row *row, struct str pem, const struct jose_key *key)
{
    struct jws jws;
    struct buf out;
    struct err err;
    char head[256];
    buf_init(&out, 16384);
    if (!jose_client_assertion(key, &plain_assertion, &out, &err))
        fail_msg("%s %s: %s", row->key, row->alg, err.text);
    assert_true(jws_open(buf_str(&out), &jws));
    snprintf(head, sizeof head, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", row->alg,
             jose_key_thumbprint(key));
    assert_string_equal(jws.head, head);
    EVP_PKEY *pkey = jws_key(pem);
    if (!jws_is_signed(&jws, pkey, row->alg))
        fail_msg("%s %s: not verified", row->key, row->alg);
    EVP_PKEY_free(pkey);
    buf_fini(&out);
}

static void test_what_fits(void **state) // JA-5
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fit_rows); i++) {
        const struct fit_row *row = &fit_rows[i];
        struct err err = {0};
        enum jose_alg alg;
        assert_true(jose_alg_parse(str_of(row->alg), &alg));
        assert_string_equal(jose_alg_name(alg), row->alg);
        struct buf pem = make_pem(row->key);
        struct jose_key *key = jose_key_from_pem(buf_str(&pem), alg, &err);
        if ((key == NULL) != (row->refusal != NULL) ||
            (row->refusal && strcmp(err.text, row->refusal) != 0))
            fail_msg("%s %s: %s", row->key, row->alg, key ? "accepted" : err.text);
        if (key)
            check_assertion(row, buf_str(&pem), key);
        jose_key_unref(key);
        buf_fini(&pem);
    }
    enum jose_alg alg;
    assert_false(jose_alg_parse(STR("none"), &alg));
    assert_false(jose_alg_parse(STR("es256"), &alg));
    assert_false(jose_alg_parse(STR_NONE, &alg));
}

static void test_unreadable_keys(void **state)
{
    (void)state;
    struct buf pem = make_pem("EC P-256"), public;
    EVP_PKEY *pkey = jws_key(buf_str(&pem));
    struct buf encrypted = pem_of(pkey, EVP_aes_128_cbc());
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, pkey);
    buf_init(&public, 4096);
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    assert_true(buf_append(&public, (struct str){bytes, (size_t)len}));
    const struct {
        struct str pem;
        const char *refusal;
    } rows[] = {
        {STR_NONE, "there is no private key in PEM in it"},
        {STR("hello"), "there is no private key in PEM in it"},
        {{pem.ptr, pem.len / 2}, "there is no private key in PEM in it"},
        {buf_str(&public), "there is no private key in PEM in it"},
        {buf_str(&encrypted), "the key is protected by a passphrase"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        if (jose_key_from_pem(rows[i].pem, JOSE_ES256, &err) || !strstr(err.text, rows[i].refusal))
            fail_msg("row %zu: %s", i, err.text);
    }
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    struct buf *all[] = {&pem, &public, &encrypted};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
}

// The same as OpenSSL's own digest of the certificate.
static void check_thumbprint(const char *thumbprint, struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char digest[EVP_MAX_MD_SIZE], decoded[64];
    unsigned len;
    size_t decoded_len;
    X509_digest(certificate, EVP_sha256(), digest, &len);
    assert_true(jws_decode(str_of(thumbprint), decoded, sizeof decoded, &decoded_len));
    assert_int_equal(decoded_len, len);
    assert_memory_equal(decoded, digest, len);
    X509_free(certificate);
    BIO_free(bio);
}

static void test_certificate(void **state) // JA-6: x5t#S256
{
    (void)state;
    struct buf pem = make_pem("RSA 2048"), other = make_pem("RSA 2048"), certificate, out;
    struct err err;
    char thumbprint[JOSE_THUMBPRINT_LEN + 1], head[256];
    struct jws jws;
    buf_init(&certificate, 65536);
    buf_init(&out, 16384);
    assert_true(buf_append(&certificate, STR("Subject: leaf first\n")));
    add_certificate(&certificate, buf_str(&pem));
    add_certificate(&certificate, buf_str(&other));
    struct jose_key *key = jose_key_from_pem(buf_str(&pem), JOSE_RS256, &err);
    struct jose_key *other_key = jose_key_from_pem(buf_str(&other), JOSE_RS256, &err);
    assert_true(jose_certificate_thumbprint(buf_str(&certificate), key, thumbprint, &err));
    check_thumbprint(thumbprint, buf_str(&certificate));
    assert_true(jose_certificate_thumbprint(buf_str(&certificate), NULL, thumbprint, &err));
    check_thumbprint(thumbprint, buf_str(&certificate));
    assert_false(jose_certificate_thumbprint(buf_str(&certificate), other_key, head, &err));
    assert_string_equal(err.text, "the certificate is of another key");
    assert_false(jose_certificate_thumbprint(buf_str(&pem), NULL, head, &err));
    assert_string_equal(err.text, "there is no certificate in PEM in it");
    assert_false(jose_certificate_thumbprint(STR_NONE, NULL, head, &err));
    struct jose_assertion assertion = plain_assertion;
    assertion.x5t_s256 = thumbprint;
    assertion.key_id = "my key";
    assertion.type = "client-authentication+jwt";
    assert_true(jose_client_assertion(key, &assertion, &out, &err));
    assert_true(jws_open(buf_str(&out), &jws));
    snprintf(head, sizeof head,
             "{\"alg\":\"RS256\",\"typ\":\"client-authentication+jwt\",\"kid\":\"my key\","
             "\"x5t#S256\":\"%s\"}",
             thumbprint);
    assert_string_equal(jws.head, head);
    jose_key_unref(key);
    // What stands around the key in its file does not matter.
    assert_true(buf_append(&certificate, buf_str(&pem)));
    key = jose_key_from_pem(buf_str(&certificate), JOSE_RS256, &err);
    assert_non_null(key);
    jose_key_unref(key);
    jose_key_unref(other_key);
    struct buf *all[] = {&pem, &other, &certificate, &out};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
}

// -- client assertions -------------------------------------------------------------------------

#define SECRET_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_secrets(void **state) // JA-5: RFC 7518 3.2
{
    (void)state;
    static const struct {
        enum jose_alg alg;
        size_t least;
        const char *refusal;
    } rows[] = {
        {JOSE_HS256, 32, "HS256 needs a secret of 32 bytes or more, this one has 31"},
        {JOSE_HS384, 48, "HS384 needs a secret of 48 bytes or more, this one has 47"},
        {JOSE_HS512, 64, "HS512 needs a secret of 64 bytes or more, this one has 63"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err;
        struct str secret = {SECRET_64, rows[i].least - 1};
        assert_null(jose_key_from_secret(secret, rows[i].alg, &err));
        assert_string_equal(err.text, rows[i].refusal);
        secret.len++;
        struct jose_key *key = jose_key_from_secret(secret, rows[i].alg, &err);
        struct buf out;
        struct jws jws;
        char head[64];
        buf_init(&out, 4096);
        assert_true(jose_client_assertion(key, &plain_assertion, &out, &err));
        assert_true(jws_open(buf_str(&out), &jws));
        snprintf(head, sizeof head, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", jose_alg_name(rows[i].alg));
        assert_string_equal(jws.head, head); // without kid: a secret has no thumbprint to show
        assert_true(jws_is_hmac(&jws, secret,
                                i == 0   ? EVP_sha256()
                                : i == 1 ? EVP_sha384()
                                         : EVP_sha512()));
        buf_fini(&out);
        jose_key_unref(key);
    }
    struct err err;
    assert_null(jose_key_from_secret(STR(SECRET_64), JOSE_ES256, &err));
    assert_string_equal(err.text, "ES256 signs with a key, not with a secret");
}

static struct jose_key *hmac_key(void)
{
    struct jose_key *key = jose_key_from_secret(STR(SECRET_64), JOSE_HS256, NULL);
    assert_non_null(key);
    return key;
}

static void claims_of(const struct jose_assertion *assertion, struct jws *jws)
{
    struct jose_key *key = hmac_key();
    struct buf out;
    struct err err;
    buf_init(&out, 16384);
    if (!jose_client_assertion(key, assertion, &out, &err))
        fail_msg("%s", err.text);
    assert_true(jws_open(buf_str(&out), jws));
    buf_fini(&out);
    jose_key_unref(key);
}

static void test_claims(void **state) // JA-2 JA-3 JA-4 JA-7
{
    (void)state;
    struct jws jws;
    claims_of(&plain_assertion, &jws);
    assert_memory_equal(jws.claims, "{\"jti\":\"", 8);
    assert_string_equal(
        jws.claims + 8 + 22, // 128 bits
        "\",\"iss\":\"client\",\"sub\":\"client\",\"aud\":\"https://idp.example.com\","
        "\"iat\":1699999995,\"nbf\":1699999995,\"exp\":1700000060}");
}

static void test_escapes(void **state)
{
    (void)state;
    struct jose_assertion assertion = plain_assertion;
    struct jws jws;
    assertion.client_id = "a\"b\\c\n\t\x01\x7f{}";
    assertion.audience = "\",\"admin\":true,\"x\":\"";
    claims_of(&assertion, &jws);
    assert_non_null(
        strstr(jws.claims, "\"iss\":\"a\\\"b\\\\c\\u000a\\u0009\\u0001\\u007f{}\",\"sub\""));
    assert_non_null(
        strstr(jws.claims, "\"aud\":\"\\\",\\\"admin\\\":true,\\\"x\\\":\\\"\",\"iat\""));
    struct jose_key *key = hmac_key();
    struct buf out;
    struct err err;
    buf_init(&out, 16384);
    assert_true(buf_append(&out, STR("before")));
    assertion.client_id = "h\xc3\xa9";
    assert_false(jose_client_assertion(key, &assertion, &out, &err));
    assert_non_null(strstr(err.text, "must be ASCII"));
    assert_true(str_eq(buf_str(&out), STR("before")));
    buf_fini(&out);
    buf_init(&out, 100);
    assert_true(buf_append(&out, STR("before")));
    assert_false(jose_client_assertion(key, &plain_assertion, &out, &err));
    assert_string_equal(err.text, "the signed token is too long");
    assert_true(str_eq(buf_str(&out), STR("before")));
    buf_fini(&out);
    jose_key_unref(key);
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, 22);
}

static void test_ids_are_unlike(void **state) // JA-2 T16
{
    (void)state;
    enum { COUNT = 100000 };
    char(*ids)[22] = mem_array(COUNT, sizeof *ids);
    struct jose_key *key = hmac_key();
    struct buf out;
    struct err err;
    buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT; i++) {
        struct str rest, head, claims;
        char text[1024];
        buf_clear(&out);
        assert_true(jose_client_assertion(key, &plain_assertion, &out, &err));
        rest = buf_str(&out);
        assert_true(str_split(&rest, '.', &head) && str_split(&rest, '.', &claims));
        assert_true(jws_decode_text(claims, text, sizeof text));
        memcpy(ids[i], text + 8, sizeof *ids);
    }
    qsort(ids, COUNT, sizeof *ids, compare_ids);
    for (size_t i = 1; i < COUNT; i++)
        assert_memory_not_equal(ids[i - 1], ids[i], sizeof *ids);
    buf_fini(&out);
    jose_key_unref(key);
    mem_free(ids);
}

// -- DPoP --------------------------------------------------------------------------------------

static const struct jose_proof plain_proof = {
    .method = STR("GET"), .url = STR("https://api.example.com/a?b=c#d"), .now_s = 1700000000};

static void proof_of(const struct jose_key *key, const struct jose_proof *proof, struct jws *jws)
{
    struct buf out;
    struct err err;
    buf_init(&out, 16384);
    if (!jose_dpop_proof(key, proof, &out, &err))
        fail_msg("%s", err.text);
    assert_true(jws_open(buf_str(&out), jws));
    buf_fini(&out);
}

static void test_proof(void **state) // DP-1 DP-2
{
    (void)state;
    struct jose_proof proof = plain_proof;
    struct jws jws;
    struct jose_key *key = key_of("rfc7515-a3", JOSE_ES256);
    struct buf pem = read_pem("rfc7515-a3");
    EVP_PKEY *pkey = jws_key(buf_str(&pem));
    proof_of(key, &proof, &jws);
    assert_true(jws_is_signed(&jws, pkey, "ES256"));
    // The header is public members only, in full.
    assert_string_equal(
        jws.head, "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{\"crv\":\"P-256\",\"kty\":"
                  "\"EC\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
                  "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}}");
    assert_string_equal(jws.claims + 8 + 22,
                        "\",\"htm\":\"GET\",\"htu\":\"https://api.example.com/a\","
                        "\"iat\":1700000000}");
    // RFC 9449 7.1, figure 13
    proof.access_token = STR("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    proof.nonce = STR("eyJ7S_zG.eyJH0-Z.HX4w-7v");
    proof_of(key, &proof, &jws);
    assert_true(jws_is_signed(&jws, pkey, "ES256"));
    assert_non_null(strstr(jws.claims, "\"iat\":1700000000,"
                                       "\"ath\":\"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo\","
                                       "\"nonce\":\"eyJ7S_zG.eyJH0-Z.HX4w-7v\"}"));
    EVP_PKEY_free(pkey);
    buf_fini(&pem);
    jose_key_unref(key);
}

static void test_proofs_of_every_key(void **state) // DP-1
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fit_rows); i++) {
        const struct fit_row *row = &fit_rows[i];
        struct err err;
        struct jws jws;
        enum jose_alg alg;
        if (row->refusal || !jose_alg_parse(str_of(row->alg), &alg))
            continue;
        struct buf pem = make_pem(row->key);
        struct jose_key *key = jose_key_from_pem(buf_str(&pem), alg, &err);
        EVP_PKEY *pkey = jws_key(buf_str(&pem));
        proof_of(key, &plain_proof, &jws);
        if (!jws_is_signed(&jws, pkey, row->alg))
            fail_msg("%s %s: not verified", row->key, row->alg);
        static const char *const private_members[] = {"\"d\"",  "\"p\"",  "\"q\"", "\"dp\"",
                                                      "\"dq\"", "\"qi\"", "\"k\""};
        for (size_t j = 0; j < ARRAY_LEN(private_members); j++)
            assert_null(strstr(jws.head, private_members[j]));
        EVP_PKEY_free(pkey);
        jose_key_unref(key);
        buf_fini(&pem);
    }
}

static void test_no_proof(void **state)
{
    (void)state;
    struct jose_key *key = hmac_key(), *made;
    struct buf out;
    struct err err;
    buf_init(&out, 4096);
    assert_false(jose_dpop_proof(key, &plain_proof, &out, &err));
    assert_string_equal(err.text, "a DPoP proof needs a key, not a secret");
    made = jose_key_generate(&err);
    struct jose_proof proof = plain_proof;
    proof.url = STR("https://api.example.com/\xff");
    assert_false(jose_dpop_proof(made, &proof, &out, &err));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
    jose_key_unref(made);
    jose_key_unref(key);
}

static void test_nonces(void **state) // DP-7
{
    (void)state;
    char text[JOSE_NONCE_MAX + 1];
    memset(text, 'n', sizeof text);
    assert_true(jose_nonce_is_valid((struct str){text, JOSE_NONCE_MAX}));
    assert_false(jose_nonce_is_valid((struct str){text, JOSE_NONCE_MAX + 1}));
    assert_false(jose_nonce_is_valid(STR_NONE));
    for (unsigned c = 0; c < 256; c++) {
        char nonce[3] = {'a', (char)c, 'b'};
        bool is_nqchar = c == 0x21 || (c >= 0x23 && c <= 0x5b) || (c >= 0x5d && c <= 0x7e);
        assert_int_equal(jose_nonce_is_valid((struct str){nonce, 3}), is_nqchar);
    }
}

static void test_generated_keys(void **state) // DP-9
{
    (void)state;
    struct err err;
    struct jose_key *a = jose_key_generate(&err), *b = jose_key_generate(&err);
    assert_int_equal(jose_key_alg(a), JOSE_ES256);
    assert_string_not_equal(jose_key_thumbprint(a), jose_key_thumbprint(b));
    jose_key_unref(jose_key_ref(a));
    assert_int_equal(strlen(jose_key_thumbprint(a)), JOSE_THUMBPRINT_LEN);
    jose_key_unref(a);
    jose_key_unref(b);
    jose_key_unref(NULL);
}

static void *prove_often(void *arg)
{
    struct jose_key *key = arg;
    struct buf pem = read_pem("rfc7515-a3"), out;
    EVP_PKEY *pkey = jws_key(buf_str(&pem));
    uintptr_t good = 0;
    buf_init(&out, 4096);
    for (int i = 0; i < 200; i++) {
        struct jws jws;
        struct jose_key *mine = jose_key_ref(key);
        buf_clear(&out);
        good += jose_dpop_proof(mine, &plain_proof, &out, NULL) && jws_open(buf_str(&out), &jws) &&
                jws_is_signed(&jws, pkey, "ES256");
        jose_key_unref(mine);
    }
    buf_fini(&out);
    EVP_PKEY_free(pkey);
    buf_fini(&pem);
    return (void *)good;
}

static void test_threads_share_a_key(void **state)
{
    (void)state;
    struct jose_key *key = key_of("rfc7515-a3", JOSE_ES256);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, prove_often, key), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_int_equal((uintptr_t)good, 200);
    }
    jose_key_unref(key);
}

// -- encoding ----------------------------------------------------------------------------------

static void test_base64url(void **state)
{
    (void)state;
    char bytes[70];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(251 + 7 * i);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        unsigned char decoded[80];
        size_t decoded_len, need = (len * 8 + 5) / 6;
        struct buf out;
        buf_init(&out, need);
        assert_true(jose_base64url((struct str){bytes, len}, &out));
        assert_int_equal(out.len, need);
        assert_true(jws_decode(buf_str(&out), decoded, sizeof decoded, &decoded_len));
        assert_int_equal(decoded_len, len);
        assert_memory_equal(decoded, bytes, len);
        buf_fini(&out);
        if (!need)
            continue;
        buf_init(&out, need - 1);
        assert_false(jose_base64url((struct str){bytes, len}, &out));
        assert_int_equal(out.len, 0);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),         cmocka_unit_test(test_verifier),
        cmocka_unit_test(test_thumbprints),     cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_unreadable_keys), cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_secrets),         cmocka_unit_test(test_claims),
        cmocka_unit_test(test_escapes),         cmocka_unit_test(test_ids_are_unlike),
        cmocka_unit_test(test_proof),           cmocka_unit_test(test_proofs_of_every_key),
        cmocka_unit_test(test_no_proof),        cmocka_unit_test(test_nonces),
        cmocka_unit_test(test_generated_keys),  cmocka_unit_test(test_threads_share_a_key),
        cmocka_unit_test(test_base64url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
