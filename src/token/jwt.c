// SPDX-License-Identifier: MIT
// See jwt.h. Owns the reading of the compact serialisation (RFC 7515 7.1). It refuses to know keys.
// Invariant: what is decoded is wiped.
#include "token/jwt.h"

#include <jansson.h>
#include <string.h>

#include "token/document.h"

#define PART_MAX ((size_t)64 * 1024)

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

// base64url without padding; bits left over must be zero.
static bool decode(struct str text, struct buf *out)
{
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xfff;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (!buf_append_char(out, (char)(bits >> held & 0xff)))
            return false;
    }
    return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

static int on_dumped(const char *bytes, size_t len, void *arg)
{
    return buf_append(arg, (struct str){bytes, len}) ? 0 : -1;
}

// The reader makes all numbers reals, which would show times as 1.7e9 or with ".0". Integers are
// kept where they fit.
static json_t *parse(struct str text, const char *what, struct err *err)
{
    static const struct document_limits limits = {.size_max = PART_MAX, .depth_max = 32};
    char why[128];
    json_t *document = document_parse(text, &limits, why, sizeof why);
    if (!document) {
        err_set(err, "the token is no JWT: its %s is not right: %s", what, why);
        return NULL;
    }
    json_t *exact = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!exact)
        return document;
    json_decref(document);
    return exact;
}

static json_t *part_read(struct str text, const char *what, struct err *err)
{
    struct buf plain;
    buf_init(&plain, PART_MAX);
    json_t *document = NULL;
    if (decode(text, &plain))
        document = parse(buf_str(&plain), what, err);
    else
        err_set(err, "the token is no JWT: its %s is not base64url", what);
    buf_fini(&plain);
    return document;
}

// Header and claims; behind them the signature, which may be empty.
static bool split(struct str token, struct str *out_header, struct str *out_claims, struct err *err)
{
    size_t dots = 0;
    for (size_t i = 0; i < token.len; i++)
        dots += token.ptr[i] == '.';
    if (dots == 4)
        return err_set(err, "the token has the form of an encrypted JWT (JWE), which only whom it "
                            "is for can read");
    return (dots == 2 && str_split(&token, '.', out_header) &&
            str_split(&token, '.', out_claims)) ||
           err_set(err, "the token is no JWT: it does not have three parts");
}

bool jwt_print(struct str token, struct buf *out, struct err *err)
{
    struct str header_text = STR_NONE, claims_text = STR_NONE;
    if (!split(token, &header_text, &claims_text, err))
        return false;
    bool is_printed = false;
    json_t *header = part_read(header_text, "header", err);
    json_t *claims = header ? part_read(claims_text, "payload", err) : NULL;
    if (claims) {
        json_t *both = json_pack("{s:O, s:O}", "header", header, "claims", claims);
        is_printed =
            both &&
            json_dump_callback(both, on_dumped, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
            buf_append_char(out, '\n');
        json_decref(both);
        if (!is_printed)
            err_set(err, "the token's claims are too long to print");
    }
    json_decref(header);
    json_decref(claims);
    return is_printed;
}
