// SPDX-License-Identifier: MIT
// See store_redis_url.h. Strict: what is not understood is refused, not passed over.
#include "token/store_redis_url.h"

#include <string.h>

#include "base/buf.h"

#define DB_MAX 1000000

// NULL: a malformed escape, or a NUL.
static char *percent_decode(struct str text)
{
    char *out = mem_alloc(text.len + 1);
    for (size_t i = 0, len = 0; i < text.len; i++) {
        int byte = (unsigned char)text.ptr[i];
        if (byte == '%') {
            int high = i + 2 < text.len ? str_hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? str_hex_digit(text.ptr[i + 2]) : -1;
            byte = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (!byte) {
            mem_free_secret(out);
            return NULL;
        }
        out[len++] = (char)byte;
    }
    return out;
}

// user, user:password or :password, in front of the '@'.
static bool parse_login(struct str login, struct redis_url *out, struct err *err)
{
    size_t colon = login.len;
    bool has_password = str_find(login, ':', &colon);
    struct str user = {login.ptr, colon};
    if (user.len && !(out->user = percent_decode(user)))
        return err_set(err, "the user is not well escaped (%%XX)");
    if (has_password && !(out->password = percent_decode(str_from(login, colon + 1))))
        return err_set(err, "the password is not well escaped (%%XX)");
    if (out->user && !out->password)
        return err_set(err, "a user needs a password: user:password@");
    return true;
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] <= ' ' || host.ptr[i] > '~' || strchr("/?#[]@%\\\"", host.ptr[i]))
            return false;
    return host.len > 0;
}

static bool parse_host(struct str text, struct redis_url *out, struct err *err)
{
    uint64_t port = 6379;
    size_t end = text.len;
    struct str host = text, rest = STR_NONE;
    if (str_starts(text, STR("["))) {
        if (!str_find(text, ']', &end))
            return err_set(err, "an IPv6 address needs both brackets");
        host = (struct str){text.ptr + 1, end - 1};
        rest = str_from(text, end + 1);
    } else if (str_find(text, ':', &end)) {
        host = (struct str){text.ptr, end};
        rest = str_from(text, end);
    }
    if (!is_host(host))
        return err_set(err, "no host, or one with characters that none has");
    if (rest.len &&
        (rest.ptr[0] != ':' || !str_to_u64(str_from(rest, 1), &port) || !port || port > UINT16_MAX))
        return err_set(err, "the port must be a number from 1 to 65535");
    out->host = str_dup(host);
    struct buf digits;
    buf_init(&digits, 16);
    if (buf_printf(&digits, "%u", (unsigned)port))
        out->port = buf_take(&digits);
    return true;
}

static bool parse_db(struct str text, struct redis_url *out, struct err *err)
{
    uint64_t db = 0;
    if (text.len && (!str_to_u64(text, &db) || db > DB_MAX))
        return err_set(err, "behind the host only /N may stand, the number of the database");
    out->db = (unsigned)db;
    return true;
}

static bool take_scheme(struct str *text, const char *scheme)
{
    if (!str_starts(*text, str_of(scheme)))
        return false;
    *text = str_from(*text, strlen(scheme));
    return true;
}

static bool parse(struct str text, struct redis_url *out, struct err *err)
{
    bool is_unix = take_scheme(&text, "redis+unix://");
    out->is_tls = !is_unix && take_scheme(&text, "rediss://");
    if (!is_unix && !out->is_tls && !take_scheme(&text, "redis://"))
        return err_set(err, "neither sqlite:PATH, redis://, rediss:// nor redis+unix://");
    size_t slash = text.len, at;
    bool has_path = str_find(text, '/', &slash);
    struct str authority = {text.ptr, slash};
    struct str path = has_path ? str_from(text, slash) : STR_NONE;
    if (str_has(path, '@'))
        return err_set(err, "a '/' in user or password must be written %%2F");
    if (str_find(authority, '@', &at)) {
        struct str login = {authority.ptr, at};
        authority = str_from(authority, at + 1);
        if (str_has(authority, '@'))
            return err_set(err, "a '@' in user or password must be written %%40");
        if (!parse_login(login, out, err))
            return false;
    }
    if (!is_unix)
        return parse_host(authority, out, err) && parse_db(str_from(path, path.len > 0), out, err);
    if (authority.len || path.len < 2)
        return err_set(err, "redis+unix:// must be followed by an absolute path");
    out->unix_path = percent_decode(path);
    return out->unix_path || err_set(err, "the path is not well escaped (%%XX)");
}

bool redis_url_parse(struct str text, struct redis_url *out, struct err *err)
{
    struct err cause = {0};
    *out = (struct redis_url){0};
    if (parse(text, out, &cause))
        return true;
    redis_url_fini(out);
    return err_set(err, "[store] url: %s", cause.text);
}

void redis_url_fini(struct redis_url *url)
{
    mem_free(url->unix_path);
    mem_free(url->host);
    mem_free(url->port);
    mem_free(url->user);
    mem_free_secret(url->password);
    *url = (struct redis_url){0};
}
