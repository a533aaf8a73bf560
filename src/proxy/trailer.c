// SPDX-License-Identifier: MIT
// See trailer.h. What RFC 9110 6.5.1 forbids, by name or by how the name begins; `_` counts as `-`,
// since there are those who cannot tell the two apart.
#include "proxy/trailer.h"

#include <stddef.h>

#include "base/mem.h"
#include "http/headers.h"

// A name ends with a space here, a beginning of names does not.
static const char *const forbidden[] = {
    // framing and the connection
    "transfer-encoding ",
    "trailer ",
    "te ",
    "connection ",
    "keep-alive ",
    "upgrade ",
    "http2-settings ",
    // content; its digest can only be known at the end (RFC 9530)
    "content-",
    // routing
    "host ",
    "via ",
    "forwarded ",
    "x-forwarded",
    "x-real-ip ",
    "x-original-url ",
    "x-rewrite-url ",
    "max-forwards ",
    "cdn-loop ",
    // who somebody is
    "authorization ",
    "authentication-",
    "www-authenticate ",
    "proxy",
    "cookie",
    "set-cookie",
    "dpop",
    "x-bearerd-key ",
    "client-cert",
    "x-ssl-",
    "origin ",
    "referer ",
    "sec-",
    "access-control-",
    "strict-transport-security ",
    // what to do with the message
    "cache-control ",
    "pragma ",
    "expect ",
    "range ",
    "if-",
    "accept",
    "age ",
    "date ",
    "expires ",
    "location ",
    "retry-after ",
    "vary ",
    "warning ",
    "clear-site-data ",
    "x-http-method",
    "x-method-override ",
};

static char fold(char c)
{
    if (c == '_')
        return '-';
    return str_lower(c);
}

static bool name_is_like(struct str name, const char *pattern)
{
    size_t at = 0;
    for (; pattern[at] && pattern[at] != ' '; at++)
        if (at == name.len || fold(name.ptr[at]) != pattern[at])
            return false;
    return !pattern[at] || at == name.len;
}

bool trailer_may_pass(struct str name)
{
    if (str_eq_nocase(name, STR("Content-Digest")))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (name_is_like(name, forbidden[i]))
            return false;
    return true;
}

bool trailer_names_may_pass(struct str value)
{
    struct str name;
    while (field_list_next(&value, &name))
        if (!str_is_token(name) || !trailer_may_pass(name))
            return false;
    return true;
}
