// SPDX-License-Identifier: MIT
// See inject_names.h. Every name that is dropped is dropped in its `_` spelling, too.
#include "proxy/inject_names.h"

#include "base/mem.h"

static char fold(char c)
{
    if (c == '_')
        return '-';
    return str_lower(c);
}

bool inject_names_are_alike(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

static bool name_folds_to(struct str name, const char *prefix)
{
    size_t i = 0;
    while (prefix[i] && i < name.len && fold(name.ptr[i]) == prefix[i])
        i++;
    return !prefix[i];
}

// Never passed on, by length of name, so that most fields cost one look. A test holds each row to
// it.
static const char *const dropped[][6] = {
    [2] = {"te"},
    [4] = {"host"},
    [5] = {"proxy"}, // becomes HTTP_PROXY to CGI programs
    [6] = {"expect"},
    [7] = {"upgrade", "trailer"},
    [9] = {"forwarded", "x-real-ip"},
    [10] = {"connection", "keep-alive"},
    [13] = {"x-bearerd-key", "x-rewrite-url"},
    [14] = {"content-length", "x-original-url", "x-original-uri", "http2-settings"},
    [15] = {"x-original-host"},
    [16] = {"proxy-connection"},
    [17] = {"transfer-encoding", "x-original-method"},
    [18] = {"proxy-authenticate"},
    [19] = {"proxy-authorization"},
    [25] = {"proxy-authentication-info"},
};

bool inject_drops(struct str name)
{
    if (name.len < ARRAY_LEN(dropped))
        for (const char *const *known = dropped[name.len]; *known; known++)
            if (name_folds_to(name, *known))
                return true;
    switch (name.len ? name.ptr[0] | 0x20 : 0) {
    case 'x':
        return name_folds_to(name, "x-forwarded") || name_folds_to(name, "x-ssl-");
    case 'c':
        return name_folds_to(name, "client-cert");
    default:
        return false;
    }
}
