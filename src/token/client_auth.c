// SPDX-License-Identifier: MIT
// See client_auth.h. Owns the encodings of ids and secrets; refuses to know where a secret comes
// from and where the request goes. Invariant: of header and form, one at most carries a secret.
#include "token/client_auth.h"

#include <string.h>

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

static bool add_basic(const struct config_credential *credential, struct str secret,
                      struct buf *header, struct err *err)
{
    struct str id = str_of(credential->client_id);
    bool is_raw = credential->basic_encoding == BASIC_RAW;
    if (is_raw && str_has(id, ':'))
        return err_set(err, "client_id holds a ':', which basic_encoding = raw cannot carry");
    struct buf pair;
    buf_init(&pair, BASIC_MAX);
    bool ok = (is_raw ? buf_append(&pair, id) : client_auth_form_encode(id, &pair)) &&
              buf_append_char(&pair, ':') &&
              (is_raw ? buf_append(&pair, secret) : client_auth_form_encode(secret, &pair)) &&
              buf_append(header, STR("Authorization: Basic ")) &&
              base64_append(buf_str(&pair), header);
    buf_fini(&pair);
    return ok || err_set(err, "client_id and client_secret are too long");
}

static bool add_param(struct buf *form, struct str name, struct str value, struct err *err)
{
    bool ok = buf_append_char(form, '&') && buf_append(form, name) && buf_append_char(form, '=') &&
              client_auth_form_encode(value, form);
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

bool client_auth_add(const struct config_credential *credential, struct str secret,
                     struct buf *header, struct buf *form, struct err *err)
{
    struct str id = str_of(credential->client_id);
    if (credential->auth_method == AUTH_NONE)
        return add_param(form, STR("client_id"), id, err);
    if (!secret.len)
        return err_set(err, "client_secret is empty");
    if (!is_vschar(id) || !is_vschar(secret))
        return err_set(err, "client_id or client_secret holds a byte that is not printable ASCII");
    if (credential->auth_method == AUTH_CLIENT_SECRET_BASIC)
        return add_basic(credential, secret, header, err);
    return add_param(form, STR("client_id"), id, err) &&
           add_param(form, STR("client_secret"), secret, err);
}
