// SPDX-License-Identifier: MIT
// From names to pointers, and from routes to the tokens they need. Routes that need the same token
// share a slot: same credential, same set of scopes in any order, same audience, same resources.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/draft.h"
#include "config/value.h"

#define ROUTE_CREDENTIALS_MAX 16
#define NAMES_SHOWN           8
#define IDENTITY_MAX          (1u << 20)

struct slots { // while routes are resolved
    struct draft *draft;
    struct map by_identity;
    char **identities; // the map's keys
    size_t cap;
};

// "api, billing, …" of a kind of section; for messages.
static void list_names(const struct draft *draft, enum section_kind kind, char *out, size_t size)
{
    size_t len = 0;
    unsigned shown = 0;
    out[0] = '\0';
    for (size_t i = 0; i < draft->section_count && shown <= NAMES_SHOWN && len < size; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind != kind || section->is_repeated)
            continue;
        const char *name = shown < NAMES_SHOWN ? section->name : "…";
        int more = snprintf(out + len, size - len, "%s%s", shown ? ", " : "", name);
        len += more > 0 ? (size_t)more : 0;
        shown++;
    }
}

static const char *nearest_name(const struct draft *draft, enum section_kind kind, struct str name)
{
    unsigned best = nearest_limit(name) + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < draft->section_count; i++) {
        if (draft->sections[i]->kind != kind)
            continue;
        unsigned distance = str_distance(name, str_of(draft->sections[i]->name), best);
        if (distance < best) {
            best = distance;
            nearest = draft->sections[i]->name;
        }
    }
    return nearest;
}

// What the section that `key = name` of a route means became; NULL after a fault.
static void *find_named(struct draft *draft, const struct draft_section *route,
                        enum section_kind kind, const char *key, const char *name)
{
    const struct draft_section *found = draft_find(draft, kind, name);
    if (found && found->kind == kind)
        return found->object;
    struct config_place place = draft_place(route, key, 0);
    const char *nearest = nearest_name(draft, kind, str_of(name));
    char names[400];
    list_names(draft, kind, names, sizeof names);
    if (nearest)
        draft_fault(draft, route, place, key, "there is no [%s %s]; did you mean \"%s\"?", key,
                    name, nearest);
    else if (*names)
        draft_fault(draft, route, place, key, "there is no [%s %s]; there are: %s", key, name,
                    names);
    else
        draft_fault(draft, route, place, key, "there is no [%s %s]", key, name);
    return NULL;
}

// The object of the only section of a kind; NULL after a fault, or silently when there is none at
// all.
static void *find_only(struct draft *draft, const struct draft_section *route,
                       enum section_kind kind, const char *key)
{
    const struct config *config = draft->config;
    size_t count = kind == SECTION_UPSTREAM ? config->upstream_count : config->credential_count;
    size_t index = setting_index(setting_find(SECTION_ROUTE, str_of(key)));
    if (count == 1)
        return kind == SECTION_UPSTREAM ? (void *)config->upstreams[0]
                                        : (void *)config->credentials[0];
    if (count == 0 || (route->guessed >> index & 1))
        return NULL;
    char names[400];
    list_names(draft, kind, names, sizeof names);
    draft_fault(draft, route, route->place, NULL,
                "there are several %ss: say which is meant by %s = one of %s", key, key, names);
    return NULL;
}

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

static void slot_free(struct config_slot *slot)
{
    mem_free(slot->scope);
    mem_free(slot->audience);
    strings_fini(&slot->resource);
    mem_free(slot);
}

static struct config_slot *slot_new(const struct config_route *route,
                                    const struct config_credential *credential)
{
    struct config_slot *slot = mem_alloc(sizeof *slot);
    struct config_strings scopes = {0};
    slot->credential = credential;
    add_all(&scopes, &credential->scopes);
    add_all(&scopes, &route->scopes);
    normalise(&scopes);
    slot->scope = join(&scopes);
    strings_fini(&scopes);
    slot->audience = mem_strdup(route->audience ? route->audience : credential->audience);
    add_all(&slot->resource, route->resource.count ? &route->resource : &credential->resource);
    normalise(&slot->resource);
    return slot;
}

// Every field with its length before it, so that no two different slots read alike (T02).
static bool append_field(struct buf *out, const char *text)
{
    return text ? buf_printf(out, "%zu:%s,", strlen(text), text) : buf_append(out, STR("-,"));
}

static char *slot_identity(const struct config_slot *slot)
{
    struct buf out;
    buf_init(&out, (size_t)4 * IDENTITY_MAX);
    bool ok = append_field(&out, slot->credential->name) && append_field(&out, slot->scope) &&
              append_field(&out, slot->audience);
    for (size_t i = 0; ok && i < slot->resource.count; i++)
        ok = append_field(&out, slot->resource.items[i]);
    if (!ok)
        buf_clear(&out);
    return buf_take(&out);
}

static const struct config_slot *slot_get(struct slots *slots, const struct config_route *route,
                                          const struct config_credential *credential)
{
    struct config *config = slots->draft->config;
    struct config_slot *slot = slot_new(route, credential);
    char *identity = slot_identity(slot);
    struct config_slot *known = map_get(&slots->by_identity, str_of(identity));
    if (known) {
        mem_free(identity);
        slot_free(slot);
        return known;
    }
    if (config->slot_count == slots->cap) {
        slots->cap = slots->cap ? 2 * slots->cap : 16;
        config->slots = mem_realloc(config->slots, slots->cap * sizeof(void *));
        slots->identities = mem_realloc(slots->identities, slots->cap * sizeof(void *));
    }
    slot->index = config->slot_count++;
    config->slots[slot->index] = slot;
    slots->identities[slot->index] = identity;
    map_put(&slots->by_identity, str_of(identity), slot);
    return slot;
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
        if (other->header && credential->header &&
            str_eq_nocase(str_of(other->header), str_of(credential->header))) {
            draft_fault(slots->draft, section, place, "credential",
                        "%s and %s are both sent in the field %s; a route can send one of them",
                        other->name, credential->name, credential->header);
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
    static const char *const useless[] = {"scopes", "audience", "resource"};
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
        named = find_only(slots->draft, section, SECTION_CREDENTIAL, "credential");
        if (named)
            add_slot(slots, section, named);
        return;
    }
    for (size_t i = 0; i < names->count; i++) {
        named =
            find_named(slots->draft, section, SECTION_CREDENTIAL, "credential", names->items[i]);
        if (named)
            add_slot(slots, section, named);
    }
}

static void resolve_upstream(struct draft *draft, const struct draft_section *section)
{
    struct config_route *route = section->object;
    route->upstream =
        route->upstream_name
            ? find_named(draft, section, SECTION_UPSTREAM, "upstream", route->upstream_name)
            : find_only(draft, section, SECTION_UPSTREAM, "upstream");
}

// T20: one field must not come from two sides. `section` is that of the headers. True: a fault was
// added.
static bool check_set_headers(struct draft *draft, const struct draft_section *section,
                              const struct config_headers *headers,
                              const struct config_route *route)
{
    for (size_t i = 0; i < headers->count; i++)
        for (size_t j = 0; j < route->slot_count; j++) {
            const struct config_credential *credential = route->slots[j]->credential;
            if (!credential->header ||
                !str_eq_nocase(str_of(headers->items[i].name), str_of(credential->header)))
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

void draft_resolve(struct draft *draft)
{
    struct slots slots = {.draft = draft};
    struct config *config = draft->config;
    map_init(&slots.by_identity);
    const struct draft_section *first = NULL;
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind != SECTION_ROUTE)
            continue;
        struct config_route *route = section->object;
        resolve_upstream(draft, section);
        resolve_credentials(&slots, section);
        (void)check_set_headers(draft, section, &route->set_header, route);
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
    check_upstream_headers(draft);
    warn_of_unused(draft);
}
