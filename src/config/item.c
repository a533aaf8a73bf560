// SPDX-License-Identifier: MIT
// See item.h. Words of OAuth and HTTP; addresses are in item_address.c.
#include "config/item.h"

#include <stddef.h>

#include "base/buf.h"
#include "config/pattern.h"

#define PINS_MAX 4096

static char *fail(bool ignored)
{
    (void)ignored; // err_set's false: lets a checker end with `return fail(err_set(…))`
    return NULL;
}

size_t item_first_unprintable(struct str text)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f)
        i++;
    return i;
}

char *item_text(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return fail(err_set(err, "it holds a control character"));
    return str_dup(text);
}

char *item_client_id(struct str text, struct err *err)
{
    if (item_first_unprintable(text) < text.len)
        return fail(err_set(err, "OAuth 2.0 allows printable ASCII only (RFC 6749, appendix A)"));
    return str_dup(text);
}

char *item_scope(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x21 || byte > 0x7e || byte == '"' || byte == '\\')
            return fail(err_set(err, "a scope is made of printable ASCII without space, \" and \\ "
                                     "(RFC 6749, 3.3)"));
    }
    return str_dup(text);
}

static bool is_alpha(char c)
{
    char lower = str_lower(c);
    return lower >= 'a' && lower <= 'z';
}

static bool is_alnum(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9');
}

static bool is_scheme(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_later = is_alnum(c) || c == '+' || c == '-' || c == '.';
        if (!is_alpha(c) && !(i > 0 && is_later))
            return false;
    }
    return text.len > 0;
}

char *item_resource(struct str text, struct err *err)
{
    size_t colon;
    if (!str_find(text, ':', &colon) || !is_scheme((struct str){text.ptr, colon}) ||
        colon + 1 == text.len)
        return fail(err_set(err,
                            "\"%.*s\" is no absolute URI (RFC 8707, 2), as "
                            "https://api.example.com is",
                            STR_ARG(text)));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == '#')
            return fail(err_set(err, "a resource must not have a fragment (RFC 8707, 2)"));
        if (byte <= 0x20 || byte >= 0x7f || str_has(STR("\"<>\\^`{|}"), (char)byte))
            return fail(err_set(err, "the URI holds a character that must be %%-encoded"));
    }
    return str_dup(text);
}

char *item_protocol(struct str text, struct err *err)
{
    struct str name = text, version = STR("1");
    size_t slash;
    if (str_find(text, '/', &slash)) {
        name.len = slash;
        version = str_from(text, slash + 1);
    }
    if (!str_is_token(name) || !str_is_token(version))
        return fail(
            err_set(err, "\"%.*s\" is not the name of a protocol, as websocket is", STR_ARG(text)));
    if (str_eq_nocase(name, STR("h2c")) || str_eq_nocase(name, STR("HTTP")) ||
        str_eq_nocase(name, STR("TLS")))
        return fail(err_set(err, "requests inside \"%.*s\" would pass without a route or a token",
                            STR_ARG(text)));
    return str_dup(text);
}

// Fields that frame or route the message, or belong to one connection: they are bearerd's to set.
static bool is_reserved_header(struct str name)
{
    static const char *const reserved[] = {
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Proxy-Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Via",
        "Expect",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
    };
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq_nocase(name, str_of(reserved[i])))
            return true;
    return false;
}

char *item_header_name(struct str text, struct err *err)
{
    if (text.len > 128)
        return fail(err_set(err, "the field's name is longer than 128 characters"));
    if (!str_is_token(text))
        return fail(err_set(err, "\"%.*s\" is no field name (RFC 9110, 5.6.2)", STR_ARG(text)));
    if (str_eq_nocase(text, STR("Host")))
        return fail(err_set(err, "Host is a field that bearerd itself sets; host_header of an "
                                 "upstream changes it"));
    if (is_reserved_header(text))
        return fail(
            err_set(err, "%.*s is a field that bearerd itself sets or drops", STR_ARG(text)));
    return str_dup(text);
}

char *item_ciphers(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_alnum(text.ptr[i]) && !str_has(STR(":_+-!@=."), text.ptr[i]))
            return fail(err_set(err, "names are separated by colons"));
    return str_dup(text);
}

// 32 bytes in base64.
static bool is_sha256(struct str text)
{
    if (text.len != 44 || text.ptr[43] != '=')
        return false;
    for (size_t i = 0; i < 43; i++)
        if (!is_alnum(text.ptr[i]) && text.ptr[i] != '+' && text.ptr[i] != '/')
            return false;
    return true;
}

char *item_pins(struct str text, struct err *err)
{
    struct buf out;
    struct str word;
    buf_init(&out, PINS_MAX);
    while (str_word(&text, &word)) {
        struct str hash = str_starts(word, STR("sha256//")) ? str_from(word, 8) : word;
        bool ok = is_sha256(hash) ||
                  err_set(err, "\"%.*s\" is no SHA-256 in base64, as sha256//… (44 characters) is",
                          STR_ARG(word));
        ok = ok && (buf_printf(&out, "%ssha256//%.*s", out.len ? ";" : "", STR_ARG(hash)) ||
                    err_set(err, "there are too many"));
        if (!ok) {
            buf_fini(&out);
            return NULL;
        }
    }
    return buf_take(&out);
}

static char fold(char c)
{
    if (c == '_')
        return '-';
    return str_lower(c);
}

bool item_is_same_field(struct str a, struct str b)
{
    size_t same = 0;
    while (same < a.len && same < b.len && fold(a.ptr[same]) == fold(b.ptr[same]))
        same++;
    return same == a.len && same == b.len;
}

char *item_prefix(struct str text, struct err *err)
{
    if (item_first_unprintable(text) < text.len)
        return fail(err_set(err, "it must be printable ASCII"));
    return str_dup(text);
}

char *item_mount(struct str text, struct err *err)
{
    if (!text.len || text.ptr[0] != '/')
        return fail(err_set(err, "\"%.*s\" does not start with \"/\"", STR_ARG(text)));
    while (text.len > 1 && text.ptr[text.len - 1] == '/')
        text.len--;
    if (!pattern_is_prefix(text))
        return fail(err_set(err,
                            "\"%.*s\" is no plain path: its segments must be literal, and "
                            "readable in one way",
                            STR_ARG(text)));
    return str_dup(text);
}

char *item_match(struct str text, struct err *err)
{
    struct pattern pattern;
    return pattern_parse(text, &pattern, err) ? str_dup(text) : NULL;
}
