// SPDX-License-Identifier: MIT
// Rules between routes, their upstreams and their credentials, once names are resolved: fields that
// come from two sides, tokens that need a certificate the upstream is not shown, sections that
// nobody uses. Changes nothing.
#include <string.h>

#include "config/draft.h"
#include "config/slots.h"

// T20: one field must not come from two sides. `section` is that of the headers. True: a fault was
// added.
static bool check_set_headers(struct draft *draft, const struct draft_section *section,
                              const struct config_headers *headers,
                              const struct config_route *route)
{
    for (size_t i = 0; i < headers->count; i++)
        for (size_t j = 0; j < route->slot_count; j++) {
            const struct config_credential *credential = route->slots[j]->credential;
            const struct str name = str_of(headers->items[i].name);
            if (credential->dpop && item_is_same_field(name, STR("DPoP"))) {
                draft_fault(draft, section, draft_place(section, "set_header", i), "set_header",
                            "DPoP is the field of the proofs that route %s sends (dpop = yes in "
                            "[credential %s])",
                            route->name, credential->name);
                return true;
            }
            if (!credential->header || !item_is_same_field(name, str_of(credential->header)))
                continue;
            draft_fault(draft, section, draft_place(section, "set_header", i), "set_header",
                        "%s is the field that route %s sends the token of credential %s in",
                        headers->items[i].name, route->name, credential->name);
            return true;
        }
    return false;
}

static void check_upstream_headers(struct draft *draft)
{
    const struct config *config = draft->config;
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind != SECTION_UPSTREAM)
            continue;
        const struct config_upstream *upstream = section->object;
        bool is_told = !upstream->set_header.count;
        for (size_t j = 0; !is_told && j < config->route_count; j++)
            is_told = config->routes[j]->upstream == upstream &&
                      check_set_headers(draft, section, &upstream->set_header, config->routes[j]);
    }
}

static void warn_of_unused(struct draft *draft)
{
    const struct config *config = draft->config;
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        bool is_used = section->kind != SECTION_CREDENTIAL && section->kind != SECTION_UPSTREAM;
        if (section->kind == SECTION_UPSTREAM)
            is_used = ((struct config_upstream *)section->object)->unmatched == UNMATCHED_PASS;
        for (size_t j = 0; !is_used && j < config->route_count; j++)
            is_used = config->routes[j]->upstream == section->object;
        for (size_t j = 0; !is_used && j < config->slot_count; j++)
            is_used = config->slots[j]->credential == section->object;
        if (!is_used && config->route_count)
            draft_warn(draft, section, NULL, "no route uses it");
    }
}

// MT-2: a bound token is refused on a connection without the certificate that it is bound to.
static void check_bound(struct draft *draft, const struct draft_section *section)
{
    const struct config_route *route = section->object;
    const struct config_upstream *upstream = route->upstream;
    for (size_t i = 0; upstream && i < route->slot_count; i++) {
        const struct config_credential *credential = route->slots[i]->credential;
        const char *wanted = credential->tls.cert_file, *shown = upstream->tls.cert_file;
        if (!credential->certificate_bound || !wanted || (shown && strcmp(wanted, shown) == 0))
            continue;
        draft_fault(draft, section, section->place, NULL,
                    "tokens of credential %s are bound to a certificate: upstream %s needs "
                    "cert_file = %s, too",
                    credential->name, upstream->name, wanted);
    }
}

// What a route asks for makes no difference to tokens that are the same for all. With a static
// token in the place of a fetched one, as people try things out, it may stay there.
static void check_asked(struct draft *draft, const struct draft_section *section)
{
    static const char *const keys[] = {"scopes", "audience", "resource", "authorization_details"};
    const struct config_route *route = section->object;
    const struct config_credential *credential = NULL;
    for (size_t i = 0; i < route->slot_count; i++) {
        const struct config_credential *each = route->slots[i]->credential;
        if (config_slot_is_scoped(each))
            return;
        if (!credential || each->source == SOURCE_LOGIN)
            credential = each;
    }
    for (size_t i = 0; credential && i < ARRAY_LEN(keys); i++) {
        if (!draft_has(section, keys[i]))
            continue;
        if (credential->source == SOURCE_LOGIN)
            draft_fault(draft, section, draft_place(section, keys[i], 0), keys[i],
                        "is not used: a login gives credential %s the same token for all routes; "
                        "take it out",
                        credential->name);
        else
            draft_warn(draft, section, keys[i],
                       "has no effect: the token of credential %s (source = static) is the same "
                       "for all routes",
                       credential->name);
    }
}

static void check_replay(struct draft *draft, const struct draft_section *section)
{
    const struct config_route *route = section->object;
    bool is_used = route->replay_on_401 != REPLAY_NO || !route->slot_count;
    for (size_t i = 0; i < route->slot_count; i++)
        is_used |= route->slots[i]->credential->dpop; // for the sake of a nonce
    if (!is_used && draft_has(section, "replay_limit"))
        draft_fault(draft, section, draft_place(section, "replay_limit", 0), "replay_limit",
                    "is not used with replay_on_401 = no; take one of the two out");
}

static void check_store_use(struct draft *draft, const struct draft_section *section)
{
    const struct config *config = draft->config;
    bool is_used = !config->credential_count;
    for (size_t i = 0; !is_used && i < config->credential_count; i++) {
        const struct config_credential *credential = config->credentials[i];
        is_used = config_credential_is_storeable(credential) &&
                  (credential->source != SOURCE_STATIC || credential->has_endpoint);
    }
    if (!is_used && draft_has(section, "url"))
        draft_warn(draft, section, "url",
                   "has no effect: there is no credential whose tokens can be kept in a store");
}

void draft_check_routes(struct draft *draft)
{
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind == SECTION_STORE)
            check_store_use(draft, section);
        if (section->kind != SECTION_ROUTE)
            continue;
        const struct config_route *route = section->object;
        (void)check_set_headers(draft, section, &route->set_header, route);
        check_bound(draft, section);
        check_asked(draft, section);
        check_replay(draft, section);
    }
    check_upstream_headers(draft);
    warn_of_unused(draft);
}
