// SPDX-License-Identifier: MIT
// See caller.h: the verdict, in the order of what a refusal tells the least.
#include "proxy/caller_private.h"

static bool host_is_allowed(const struct caller_rules *rules, const struct caller *caller)
{
    if (caller->is_absolute)
        return true;
    // No Host at all: HTTP/1.0, so no browser, which is what the check is against.
    if (!caller->host.len)
        return !fields_find(caller->fields, STR("Host"));
    return map_get(&rules->hosts, caller->host) ||
           (caller->is_unix && map_get(&rules->unix_hosts, caller->host));
}

static bool uid_is_allowed(const struct caller_rules *rules, const struct caller *caller)
{
    if (!caller->is_unix || !rules->uid_count)
        return true;
    for (size_t i = 0; i < rules->uid_count; i++)
        if (rules->uids[i] == caller->uid)
            return true;
    return false;
}

struct caller_verdict caller_check_method(struct str method)
{
    if (str_eq(method, STR("CONNECT")))
        return (struct caller_verdict){
            501, "connect-not-supported",
            "tunnels would carry no access token: give the client http:// URLs, which bearerd "
            "forwards over TLS where the upstream is https"};
    if (str_eq(method, STR("TRACE")))
        return (struct caller_verdict){405, "method-not-allowed",
                                       "TRACE would show the access token to the client"};
    return (struct caller_verdict){0};
}

struct caller_verdict caller_check(const struct caller_rules *rules, const struct caller *caller)
{
    if (!host_is_allowed(rules, caller))
        return (struct caller_verdict){403, "host-not-allowed",
                                       "the Host field names neither this proxy nor a configured "
                                       "upstream; add it to accept_hosts if it should"};
    if (!uid_is_allowed(rules, caller))
        return (struct caller_verdict){403, "user-not-allowed",
                                       "allow_uids does not name the user of this process"};
    enum caller_page page = caller_page(rules, caller);
    if (page == PAGE_FOREIGN)
        return (struct caller_verdict){403, "origin-not-allowed",
                                       "requests from web pages are refused unless allow_origins "
                                       "names the page's origin"};
    // A preflight cannot bear a key; what it asks for will have to.
    if (page == PAGE_PREFLIGHT)
        return (struct caller_verdict){CALLER_PREFLIGHT, "preflight", "a page of allow_origins"};
    if (rules->key.len && !caller_has_key(rules, caller->fields))
        return (struct caller_verdict){caller->is_absolute ? 407 : 401, "key-required",
                                       "present client_key as Proxy-Authorization (Basic password "
                                       "or Bearer) or X-Bearerd-Key"};
    return (struct caller_verdict){0};
}
