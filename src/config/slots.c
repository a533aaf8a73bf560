// SPDX-License-Identifier: MIT
// From names to pointers, and from routes to the tokens they need. Routes that need the same token
// share a slot: same credential, same set of scopes in any order, same audience, resources and
// authorization details.
#include <stdlib.h>
#include <string.h>

#include "config/catalogue.h"
#include "config/draft.h"
#include "config/slots.h"
#include "config/value.h"

#define ROUTE_CREDENTIALS_MAX 8
#define IDENTITY_MAX          (1u << 20)

struct slots { // while routes are resolved
    struct draft *draft;
    struct map by_identity;
    char **identities; // the map's keys
    size_t cap;
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Sorted, each once: what two routes ask for is then equal when the sets are.
static void normalise(struct config_strings *set)
{
    size_t kept = 0;
    if (set->count)
        qsort(set->items, set->count, sizeof *set->items, compare_texts);
    for (size_t i = 0; i < set->count; i++) {
        if (kept && strcmp(set->items[kept - 1], set->items[i]) == 0)
            mem_free(set->items[i]);
        else
            set->items[kept++] = set->items[i];
    }
    set->count = kept;
}

static void add_all(struct config_strings *set, const struct config_strings *more)
{
    for (size_t i = 0; i < more->count; i++)
        strings_add(set, mem_strdup(more->items[i]));
}

static char *join(const struct config_strings *set)
{
    struct buf out;
    buf_init(&out, IDENTITY_MAX);
    for (size_t i = 0; i < set->count; i++)
        if (!buf_printf(&out, "%s%s", i ? " " : "", set->items[i]))
            break;
    return buf_take(&out);
}

void config_slot_free(struct config_slot *slot)
{
    mem_free(slot->scope);
    mem_free(slot->audience);
    mem_free(slot->authorization_details);
    strings_fini(&slot->resource);
    mem_free(slot);
}

bool config_slot_is_scoped(const struct config_credential *credential)
{
    return credential->source != SOURCE_LOGIN &&
           (credential->source != SOURCE_STATIC || credential->has_endpoint);
}

static void add_scopes(struct config_strings *set, const struct config_strings *more,
                       const struct config_credential *credential)
{
    for (size_t i = 0; i < more->count; i++)
        strings_add(set, mem_strdup(catalogue_value(credential, more->items[i])));
}

char *config_slot_scope(const struct config_credential *credential,
                        const struct config_strings *scopes, const struct config_strings *more)
{
    struct config_strings set = {0};
    add_scopes(&set, scopes, credential);
    if (more)
        add_scopes(&set, more, credential);
    normalise(&set);
    char *joined = join(&set);
    strings_fini(&set);
    return joined;
}

struct config_slot *config_slot_new(const struct config_route *route,
                                    const struct config_credential *credential)
{
    static const struct config_route none;
    struct config_slot *slot = mem_alloc(sizeof *slot);
    route = route ? route : &none;
    slot->credential = credential;
    if (!config_slot_is_scoped(credential)) {
        slot->scope = mem_strdup("");
        return slot;
    }
    slot->scope = config_slot_scope(credential, &credential->scopes, &route->scopes);
    slot->audience = mem_strdup(route->audience ? route->audience : credential->audience);
    add_all(&slot->resource, route->resource.count ? &route->resource : &credential->resource);
    normalise(&slot->resource);
    slot->authorization_details =
        mem_strdup(route->authorization_details ? route->authorization_details
                                                : credential->authorization_details);
    return slot;
}

// Every field with its length before it, so that no two different slots read alike (T02).
static bool append_field(struct buf *out, const char *text)
{
    return text ? buf_printf(out, "%zu:%s,", strlen(text), text) : buf_append(out, STR("-,"));
}

char *config_slot_identity(const struct config_slot *slot)
{
    struct buf out;
    buf_init(&out, (size_t)4 * IDENTITY_MAX);
    bool ok = append_field(&out, slot->credential->name) && append_field(&out, slot->scope) &&
              append_field(&out, slot->audience) && append_field(&out, slot->authorization_details);
    for (size_t i = 0; ok && i < slot->resource.count; i++)
        ok = append_field(&out, slot->resource.items[i]);
    if (!ok)
        buf_clear(&out);
    return buf_take(&out);
}

static void keep(struct slots *slots, struct config_slot *slot, char *identity)
{
    struct config *config = slots->draft->config;
    if (config->slot_count == slots->cap) {
        slots->cap = slots->cap ? 2 * slots->cap : 16;
        config->slots = mem_realloc(config->slots, slots->cap * sizeof(void *));
        slots->identities = mem_realloc(slots->identities, slots->cap * sizeof(void *));
    }
    slot->index = config->slot_count++;
    config->slots[slot->index] = slot;
    slots->identities[slot->index] = identity;
    map_put(&slots->by_identity, str_of(identity), slot);
}

// The credential whose token authorises the login of this one; NULL: none. Silent.
static const struct config_credential *authoriser_of(const struct draft *draft,
                                                     const struct config_credential *credential)
{
    if (credential->source != SOURCE_LOGIN || !credential->login.credential)
        return NULL;
    const struct draft_section *found =
        draft_find(draft, SECTION_CREDENTIAL, credential->login.credential);
    return found ? found->object : NULL;
}

static bool is_circle(const struct draft *draft, const struct config_credential *credential)
{
    const struct config_credential *up = authoriser_of(draft, credential);
    for (size_t i = 0; up && up != credential && i < draft->config->credential_count; i++)
        up = authoriser_of(draft, up);
    return up != NULL; // itself, or in the circle that it leads into
}

// An authoriser's slot stands before those that need it.
static const struct config_slot *slot_get(struct slots *slots, const struct config_route *route,
                                          const struct config_credential *credential)
{
    const struct config_credential *authoriser = authoriser_of(slots->draft, credential);
    const struct config_slot *before = NULL;
    if (authoriser && !is_circle(slots->draft, credential))
        before = slot_get(slots, NULL, authoriser);
    struct config_slot *slot = config_slot_new(route, credential);
    char *identity = config_slot_identity(slot);
    struct config_slot *known = map_get(&slots->by_identity, str_of(identity));
    if (known) {
        mem_free(identity);
        config_slot_free(slot);
        return known;
    }
    slot->authoriser = before;
    keep(slots, slot, identity);
    return slot;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static void check_login_credential(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    const char *key = "login_credential", *name = credential->login.credential;
    struct config_place place = draft_place(section, key, 0);
    const struct config_credential *authoriser =
        name ? draft_named(draft, section, SECTION_CREDENTIAL, key, name) : NULL;
    if (!authoriser || credential->source != SOURCE_LOGIN)
        return;
    if (is_circle(draft, credential))
        draft_fault(draft, section, place, key,
                    "goes round in a circle: no login could be the first");
    else if (authoriser->dpop)
        draft_fault(draft, section, place, key,
                    "tokens of %s are bound to a key (dpop = yes); a login cannot bear them", name);
    else if (authoriser->certificate_bound && authoriser->tls.cert_file &&
             !is_same_text(authoriser->tls.cert_file, credential->tls.cert_file))
        draft_fault(draft, section, place, key,
                    "tokens of %s are bound to a certificate: the login needs cert_file = %s, too",
                    name, authoriser->tls.cert_file);
    for (size_t i = 0; authoriser->header && i < credential->request_header.count; i++)
        if (item_is_same_field(str_of(credential->request_header.items[i].name),
                               str_of(authoriser->header)))
            draft_fault(draft, section, draft_place(section, "request_header", i), "request_header",
                        "%s is the field that the token of %s is sent in", authoriser->header,
                        name);
}

// The field that both would send; NULL: there is none. To many servers A_B is A-B.
static const char *shared_field(const struct config_credential *a,
                                const struct config_credential *b)
{
    if (!a->header || !b->header)
        return NULL;
    struct str a_field = str_of(a->header), b_field = str_of(b->header);
    bool is_proof = (a->dpop && item_is_same_field(b_field, STR("DPoP"))) ||
                    (b->dpop && item_is_same_field(a_field, STR("DPoP")));
    return is_proof ? "DPoP" : item_is_same_field(a_field, b_field) ? b->header : NULL;
}

static void add_slot(struct slots *slots, const struct draft_section *section,
                     const struct config_credential *credential)
{
    struct config_route *route = section->object;
    struct config_place place = draft_place(section, "credential", 0);
    for (size_t i = 0; i < route->slot_count; i++) {
        const struct config_credential *other = route->slots[i]->credential;
        if (other == credential) {
            draft_fault(slots->draft, section, place, "credential", "%s is named twice",
                        credential->name);
            return;
        }
        const char *both = shared_field(other, credential);
        if (both) {
            draft_fault(slots->draft, section, place, "credential",
                        "%s and %s are both sent in the field %s; a route can send one of them",
                        other->name, credential->name, both);
            return;
        }
    }
    route->slots[route->slot_count++] = slot_get(slots, route, credential);
}

static bool is_none(const struct config_strings *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], "none") == 0)
            return true;
    return false;
}

static void resolve_none(struct slots *slots, const struct draft_section *section)
{
    static const char *const useless[] = {
        "scopes", "audience", "resource", "authorization_details", "replay_on_401", "replay_limit"};
    const struct config_route *route = section->object;
    if (route->credential_names.count > 1)
        draft_fault(slots->draft, section, draft_place(section, "credential", 0), "credential",
                    "none stands alone: it means \"no token\"");
    for (size_t i = 0; i < ARRAY_LEN(useless); i++)
        if (draft_has(section, useless[i]))
            draft_fault(slots->draft, section, draft_place(section, useless[i], 0), useless[i],
                        "has no meaning: credential is none, so there is no token");
}

static void resolve_credentials(struct slots *slots, const struct draft_section *section)
{
    struct config_route *route = section->object;
    const struct config_strings *names = &route->credential_names;
    if (is_none(names)) {
        resolve_none(slots, section);
        return;
    }
    if (names->count > ROUTE_CREDENTIALS_MAX) {
        draft_fault(slots->draft, section, draft_place(section, "credential", 0), "credential",
                    "more than %d on one route", ROUTE_CREDENTIALS_MAX);
        return;
    }
    route->slots = mem_array(names->count ? names->count : 1, sizeof(void *));
    const struct config_credential *named;
    if (!names->count) {
        named = draft_only(slots->draft, section, SECTION_CREDENTIAL, "credential");
        if (named)
            add_slot(slots, section, named);
        return;
    }
    for (size_t i = 0; i < names->count; i++) {
        named =
            draft_named(slots->draft, section, SECTION_CREDENTIAL, "credential", names->items[i]);
        if (named)
            add_slot(slots, section, named);
    }
}

static void resolve_upstream(struct draft *draft, const struct draft_section *section)
{
    struct config_route *route = section->object;
    route->upstream =
        route->upstream_name
            ? draft_named(draft, section, SECTION_UPSTREAM, "upstream", route->upstream_name)
            : draft_only(draft, section, SECTION_UPSTREAM, "upstream");
}

void draft_resolve(struct draft *draft)
{
    struct slots slots = {.draft = draft};
    struct config *config = draft->config;
    map_init(&slots.by_identity);
    catalogue_assign(draft);
    for (size_t i = 0; i < draft->section_count; i++)
        if (draft->sections[i]->kind == SECTION_CREDENTIAL)
            check_login_credential(draft, draft->sections[i]);
    const struct draft_section *first = NULL;
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind != SECTION_ROUTE)
            continue;
        struct config_route *route = section->object;
        resolve_upstream(draft, section);
        resolve_credentials(&slots, section);
        for (size_t j = 0; j < route->slot_count; j++)
            catalogue_check(draft, section, &route->scopes, route->slots[j]->credential);
        if (!first && !is_none(&route->credential_names))
            first = section;
    }
    if (first && !config->credential_count)
        draft_fault(draft, first, first->place, NULL,
                    "there is no [credential NAME] section to get a token with; add one, or say "
                    "credential = none");
    for (size_t i = 0; i < config->slot_count; i++)
        mem_free(slots.identities[i]);
    mem_free(slots.identities);
    map_fini(&slots.by_identity);
    draft_check_routes(draft);
}
