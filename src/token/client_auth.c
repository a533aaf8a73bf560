// SPDX-License-Identifier: MIT
// See client_auth.h. Owns the encodings of ids and secrets and what goes into an assertion; refuses
// to know where the request goes. Invariant: of header and form, one at most carries a secret.
#include "token/client_auth.h"

#include <string.h>

#include "base/file.h"
#include "token/jose.h"

#define BASIC_MAX ((size_t)4 * SECRET_MAX)

bool client_auth_form_encode(struct str text, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        unsigned char c = (unsigned char)byte;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c && strchr("*-._", c));
        const char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
        bool ok = is_plain   ? buf_append_char(out, byte)
                  : c == ' ' ? buf_append_char(out, '+')
                             : buf_append(out, (struct str){escaped, sizeof escaped});
        if (!ok)
            return false;
    }
    return true;
}

static bool base64_append(struct str bytes, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1)
            group |= (unsigned)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.ptr[i + 2];
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                        digits[group & 63]};
        for (size_t at = left + 1; at < 4; at++)
            quad[at] = '=';
        if (!buf_append(out, (struct str){quad, sizeof quad}))
            return false;
    }
    return true;
}

// -- reading -----------------------------------------------------------------------------------

// Not file_read_secret(): projected tokens are often readable by all of a container, live for
// minutes, and are somebody else's to protect.
static bool read_assertion(const char *path, struct buf *out, struct err *err)
{
    if (!file_read(path, out, err))
        return false;
    if (out->len && out->ptr[out->len - 1] == '\n')
        out->len--;
    if (out->len && out->ptr[out->len - 1] == '\r')
        out->len--;
    return true;
}

bool client_auth_read(const struct config_credential *credential, bool is_next, struct buf *out,
                      struct err *err)
{
    const struct secret *secret =
        is_next ? credential->client_secret_next : credential->client_secret;
    switch ((enum config_auth_method)credential->auth_method) {
    case AUTH_CLIENT_SECRET_BASIC:
    case AUTH_CLIENT_SECRET_POST:
    case AUTH_CLIENT_SECRET_JWT:
        return secret ? secret_read(secret, out, err) : err_set(err, "client_secret is not set");
    case AUTH_PRIVATE_KEY_JWT:
        // The certificate first, so that one beside the key is not taken for it.
        if (credential->signing_certificate &&
            (!file_read(credential->signing_certificate, out, err) ||
             !(buf_append_char(out, '\n') || err_set(err, "signing_certificate is too long"))))
            return false;
        return credential->signing_key ? secret_read(credential->signing_key, out, err)
                                       : err_set(err, "signing_key is not set");
    case AUTH_ASSERTION_FILE:
        return read_assertion(credential->assertion_file, out, err);
    case AUTH_TLS_CLIENT: // not for the request, but a new one may be worth a try
        return !credential->tls.cert_file || file_read(credential->tls.cert_file, out, err);
    case AUTH_NONE:
        break;
    }
    return true;
}

// -- secrets sent ------------------------------------------------------------------------------

static bool add_param(struct buf *form, struct str name, struct str value, struct err *err)
{
    bool ok = buf_append_char(form, '&') && buf_append(form, name) && buf_append_char(form, '=') &&
              client_auth_form_encode(value, form);
    return ok || err_set(err, "client_id and client_secret are too long");
}

static bool add_basic(const struct client_auth *auth, struct buf *header, struct buf *shown,
                      struct err *err)
{
    struct str id = str_of(auth->credential->client_id);
    bool is_raw = auth->credential->basic_encoding == BASIC_RAW;
    if (is_raw && str_has(id, ':'))
        return err_set(err, "client_id holds a ':', which basic_encoding = raw cannot carry");
    struct buf pair;
    buf_init(&pair, BASIC_MAX);
    bool ok =
        (is_raw ? buf_append(&pair, id) : client_auth_form_encode(id, &pair)) &&
        buf_append_char(&pair, ':') &&
        (is_raw ? buf_append(&pair, auth->secret) : client_auth_form_encode(auth->secret, &pair)) &&
        base64_append(buf_str(&pair), shown) && buf_append(header, STR("Authorization: Basic ")) &&
        buf_append(header, buf_str(shown));
    buf_fini(&pair);
    return ok || err_set(err, "client_id and client_secret are too long");
}

// RFC 6749 appendix A.1, A.2: printable ASCII.
static bool is_vschar(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return true;
}

static bool add_secret(const struct client_auth *auth, struct buf *header, struct buf *form,
                       struct buf *shown, struct err *err)
{
    struct str id = str_of(auth->credential->client_id);
    if (!auth->secret.len)
        return err_set(err, "client_secret is empty");
    if (!is_vschar(id) || !is_vschar(auth->secret))
        return err_set(err, "client_id or client_secret holds a byte that is not printable ASCII");
    if (auth->credential->auth_method == AUTH_CLIENT_SECRET_BASIC)
        return add_basic(auth, header, shown, err);
    return add_param(form, STR("client_id"), id, err) &&
           add_param(form, STR("client_secret"), auth->secret, err) &&
           client_auth_form_encode(auth->secret, shown);
}

// -- assertions (RFC 7523) ---------------------------------------------------------------------

// client_id is needed by some servers and allowed by all (RFC 7521 4.2).
static bool add_assertion(const struct client_auth *auth, struct str assertion, struct buf *form,
                          struct err *err)
{
    struct str id = str_of(auth->credential->client_id);
    return (!id.len || add_param(form, STR("client_id"), id, err)) &&
           add_param(form, STR("client_assertion_type"),
                     STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), err) &&
           add_param(form, STR("client_assertion"), assertion, err);
}

static struct jose_key *assertion_key(const struct client_auth *auth, struct err *err)
{
    enum jose_alg alg;
    const char *name = auth->credential->signing_alg;
    if (!jose_alg_parse(str_of(name), &alg)) {
        err_set(err, "signing_alg is not set");
        return NULL;
    }
    return auth->credential->auth_method == AUTH_CLIENT_SECRET_JWT
               ? jose_key_from_secret(auth->secret, alg, err)
               : jose_key_from_pem(auth->secret, alg, err);
}

static bool add_signed(const struct client_auth *auth, struct buf *form, struct buf *shown,
                       struct err *err)
{
    const struct config_credential *credential = auth->credential;
    char x5t[JOSE_THUMBPRINT_LEN + 1];
    bool has_certificate =
        credential->auth_method == AUTH_PRIVATE_KEY_JWT && credential->signing_certificate;
    struct jose_assertion assertion = {
        .client_id = credential->client_id,
        .audience =
            credential->assertion_audience ? credential->assertion_audience : auth->audience,
        .type = credential->assertion_type ? credential->assertion_type : "JWT",
        .key_id = credential->key_id,
        .x5t_s256 = has_certificate ? x5t : NULL,
        .now_s = auth->now_s,
        .lifetime_s = CLIENT_ASSERTION_LIFE_S};
    struct jose_key *key = assertion_key(auth, err);
    bool ok = key &&
              (!has_certificate || jose_certificate_thumbprint(auth->secret, key, x5t, err)) &&
              jose_client_assertion(key, &assertion, shown, err) &&
              add_assertion(auth, buf_str(shown), form, err);
    jose_key_unref(key);
    return ok;
}

// RFC 7515 7.1: three parts, none of them empty (unsigned tokens are of no use here).
static bool is_compact_jws(struct str text)
{
    struct str part;
    unsigned parts = 0;
    if (str_ends(text, STR(".")))
        return false;
    for (; str_split(&text, '.', &part); parts++) {
        if (!part.len)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            char c = part.ptr[i];
            bool is_digit = c >= '0' && c <= '9';
            bool is_letter = str_lower(c) >= 'a' && str_lower(c) <= 'z';
            if (!is_digit && !is_letter && c != '-' && c != '_')
                return false;
        }
    }
    return parts == 3;
}

static bool add_given(const struct client_auth *auth, struct buf *form, struct buf *shown,
                      struct err *err)
{
    if (!is_compact_jws(auth->secret))
        return err_set(err, "what stands in assertion_file is no signed token (JWS)");
    if (!buf_append(shown, auth->secret))
        return err_set(err, "the assertion is too long");
    return add_assertion(auth, auth->secret, form, err);
}

bool client_auth_add(const struct client_auth *auth, struct buf *header, struct buf *form,
                     struct buf *shown, struct err *err)
{
    switch ((enum config_auth_method)auth->credential->auth_method) {
    case AUTH_CLIENT_SECRET_BASIC:
    case AUTH_CLIENT_SECRET_POST:
        return add_secret(auth, header, form, shown, err);
    case AUTH_CLIENT_SECRET_JWT:
    case AUTH_PRIVATE_KEY_JWT:
        return add_signed(auth, form, shown, err);
    case AUTH_ASSERTION_FILE:
        return add_given(auth, form, shown, err);
    case AUTH_TLS_CLIENT:
        if (!auth->credential->tls.cert_file)
            return err_set(err, "cert_file is not set");
        break;
    case AUTH_NONE:
        break;
    }
    return add_param(form, STR("client_id"), str_of(auth->credential->client_id), err);
}
