// SPDX-License-Identifier: MIT
// See jose.h: the two JSON Web Tokens that a client makes, in compact serialisation (RFC 7515 7.1).
// Owns their headers, claims and encoding; keys are jose_key.c's, signatures jose_sign.c's.
// Invariant: on failure the output is as it was; each token has a jti of its own.
#include "token/jose.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "token/jose_private.h"

#define CLAIMS_MAX ((size_t)64 * 1024)
#define BACKDATE_S 5 // for servers whose clock is a little behind

// -- encodings ---------------------------------------------------------------------------------

bool jose_base64url(struct str bytes, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t rest = bytes.len % 3;
    if (bytes.len > out->max || !buf_reserve(out, bytes.len / 3 * 4 + (rest ? rest + 1 : 0)))
        return false;
    char *to = out->ptr + out->len;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i < 3 ? bytes.len - i : 3;
        unsigned group = (unsigned)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1)
            group |= (unsigned)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.ptr[i + 2];
        for (size_t at = 0; at <= left; at++)
            *to++ = digits[group >> (18 - 6 * at) & 63];
    }
    out->len = (size_t)(to - out->ptr);
    return true;
}

bool jose_sha256(struct str bytes, char out[JOSE_THUMBPRINT_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct buf text;
    buf_init(&text, JOSE_THUMBPRINT_LEN);
    bool ok = EVP_Digest(bytes.ptr, bytes.len, digest, &len, EVP_sha256(), NULL) == 1 &&
              jose_base64url((struct str){(const char *)digest, len}, &text);
    snprintf(out, JOSE_THUMBPRINT_LEN + 1, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return ok;
}

bool jose_json_string(struct str text, struct buf *out)
{
    bool ok = buf_append_char(out, '"');
    for (size_t i = 0; ok && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            ok = buf_append_char(out, '\\') && buf_append_char(out, text.ptr[i]);
        else if (c < ' ' || c == 0x7f)
            ok = buf_printf(out, "\\u%04x", (unsigned)c);
        else
            ok = c < 0x80 && buf_append_char(out, text.ptr[i]);
    }
    return ok && buf_append_char(out, '"');
}

// `,"name":"value"`
static bool add_text(struct buf *json, const char *name, struct str value)
{
    return buf_append_char(json, ',') && jose_json_string(str_of(name), json) &&
           buf_append_char(json, ':') && jose_json_string(value, json);
}

static bool add_time(struct buf *json, const char *name, int64_t value)
{
    return buf_printf(json, ",\"%s\":%" PRId64, name, value);
}

// `{"jti":"…"`: 128 bits of randomness.
static bool open_claims(struct buf *claims)
{
    unsigned char bytes[16];
    return RAND_bytes(bytes, sizeof bytes) == 1 && buf_append(claims, STR("{\"jti\":\"")) &&
           jose_base64url((struct str){(const char *)bytes, sizeof bytes}, claims) &&
           buf_append_char(claims, '"');
}

// head is encoded already, claims are not.
static bool serialise(const struct jose_key *key, struct str head, struct str claims,
                      struct buf *out, struct err *err)
{
    size_t start = out->len;
    struct buf signature;
    buf_init(&signature, JOSE_SIGNATURE_MAX);
    bool ok = buf_append(out, head) && buf_append_char(out, '.') && jose_base64url(claims, out);
    if (!ok)
        err_set(err, "the signed token is too long");
    ok = ok && jose_sign(key, str_from(buf_str(out), start), &signature, err);
    if (ok && (!buf_append_char(out, '.') || !jose_base64url(buf_str(&signature), out)))
        ok = err_set(err, "the signed token is too long");
    buf_fini(&signature);
    if (!ok)
        out->len = start;
    return ok;
}

// -- client assertions (RFC 7523 3) ------------------------------------------------------------

static bool assertion_head(const struct jose_key *key, const struct jose_assertion *assertion,
                           struct buf *out)
{
    struct buf head;
    const char *key_id = assertion->key_id ? assertion->key_id : key->thumbprint;
    buf_init(&head, CLAIMS_MAX);
    bool ok = buf_printf(&head, "{\"alg\":\"%s\"", jose_alg_name(key->alg)) &&
              add_text(&head, "typ", str_of(assertion->type)) &&
              (!key_id[0] || add_text(&head, "kid", str_of(key_id))) &&
              (!assertion->x5t_s256 || add_text(&head, "x5t#S256", str_of(assertion->x5t_s256))) &&
              buf_append_char(&head, '}') && jose_base64url(buf_str(&head), out);
    buf_fini(&head);
    return ok;
}

static bool assertion_claims(const struct jose_assertion *assertion, struct buf *claims)
{
    struct str id = str_of(assertion->client_id);
    int64_t now_s = assertion->now_s;
    return open_claims(claims) && add_text(claims, "iss", id) && add_text(claims, "sub", id) &&
           add_text(claims, "aud", str_of(assertion->audience)) &&
           add_time(claims, "iat", now_s - BACKDATE_S) &&
           add_time(claims, "nbf", now_s - BACKDATE_S) &&
           add_time(claims, "exp", now_s + assertion->lifetime_s) && buf_append_char(claims, '}');
}

bool jose_client_assertion(const struct jose_key *key, const struct jose_assertion *assertion,
                           struct buf *out, struct err *err)
{
    struct buf head, claims;
    buf_init(&head, (size_t)2 * CLAIMS_MAX);
    buf_init(&claims, CLAIMS_MAX);
    bool ok = (assertion_head(key, assertion, &head) && assertion_claims(assertion, &claims)) ||
              err_set(err, "client id, audience and key id of an assertion must be ASCII and not "
                           "too long");
    ok = ok && serialise(key, buf_str(&head), buf_str(&claims), out, err);
    buf_fini(&head);
    buf_fini(&claims);
    return ok;
}

// -- DPoP proofs (RFC 9449 4.2) ----------------------------------------------------------------

bool jose_nonce_is_valid(struct str nonce)
{
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.ptr[i] <= ' ' || nonce.ptr[i] > '~' || nonce.ptr[i] == '"' ||
            nonce.ptr[i] == '\\')
            return false;
    return nonce.len && nonce.len <= JOSE_NONCE_MAX;
}

static struct str without_query(struct str url)
{
    size_t at;
    if (str_find(url, '#', &at))
        url.len = at;
    if (str_find(url, '?', &at))
        url.len = at;
    return url;
}

static bool proof_claims(const struct jose_proof *proof, struct buf *claims)
{
    char hash[JOSE_THUMBPRINT_LEN + 1];
    bool ok = open_claims(claims) && add_text(claims, "htm", proof->method) &&
              add_text(claims, "htu", without_query(proof->url)) &&
              add_time(claims, "iat", proof->now_s);
    if (ok && proof->access_token.len)
        ok = jose_sha256(proof->access_token, hash) && add_text(claims, "ath", str_of(hash));
    if (ok && proof->nonce.len)
        ok = add_text(claims, "nonce", proof->nonce);
    return ok && buf_append_char(claims, '}');
}

bool jose_dpop_proof(const struct jose_key *key, const struct jose_proof *proof, struct buf *out,
                     struct err *err)
{
    if (!key->proof_head)
        return err_set(err, "a DPoP proof needs a key, not a secret");
    struct buf claims;
    buf_init(&claims, CLAIMS_MAX);
    bool ok = proof_claims(proof, &claims) ||
              err_set(err, "the URL of a DPoP proof must be ASCII and not too long");
    ok = ok && serialise(key, str_of(key->proof_head), buf_str(&claims), out, err);
    buf_fini(&claims);
    return ok;
}
