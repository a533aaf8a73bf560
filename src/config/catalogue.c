// SPDX-License-Identifier: MIT
// See catalogue.h.
#include "config/catalogue.h"

#include <string.h>

#define CATALOGUE_MAX 1000

static void scope_fini(struct config_scope *scope)
{
    mem_free(scope->alias);
    mem_free(scope->value);
    mem_free(scope->description);
}

void catalogue_fini(struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++)
        scope_fini(&catalogue->items[i]);
    mem_free(catalogue->items);
    *catalogue = (struct catalogue){0};
}

// An entry that already answers to `name`, as alias or value.
static const struct config_scope *find(const struct config_scope *items, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].alias, name) == 0 || strcmp(items[i].value, name) == 0)
            return &items[i];
    return NULL;
}

// One name must not mean two scopes. (Alias and value of one entry may be the same.)
static bool is_new(struct draft *draft, const struct draft_section *section,
                   const struct config_scope *scope)
{
    const struct catalogue *catalogue = section->object;
    const char *const names[] = {scope->alias, scope->value};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct config_scope *other = find(catalogue->items, catalogue->count, names[i]);
        if (!other)
            continue;
        draft_fault(draft, section, scope->place, scope->alias, "%s is there already, in line %u",
                    names[i], other->place.line);
        return false;
    }
    return true;
}

void catalogue_add(struct draft *draft, struct draft_section *section,
                   const struct reader_setting *line)
{
    struct catalogue *catalogue = section->object;
    struct config_scope scope = {.place = line->place, .alias = str_dup(line->key)};
    struct err err;
    bool ok = true;
    if (!line->value.len)
        ok = err_set(&err, "the scope's value is missing, as in \"%s = items:read\"", scope.alias);
    else if (catalogue->count >= CATALOGUE_MAX)
        ok = err_set(&err, "more than %d scopes", CATALOGUE_MAX);
    else
        scope.value = item_scope(line->value, &err);
    if (!ok || !scope.value)
        draft_fault(draft, section, line->place, scope.alias, "%s", err.text);
    if (!scope.value || !is_new(draft, section, &scope)) {
        scope_fini(&scope);
        return;
    }
    scope.description = line->comment.len ? str_dup(line->comment) : NULL;
    catalogue->items =
        mem_realloc(catalogue->items, (catalogue->count + 1) * sizeof *catalogue->items);
    catalogue->items[catalogue->count++] = scope;
}

static void assign_one(struct draft *draft, struct draft_section *section)
{
    struct catalogue *catalogue = section->object;
    const struct draft_section *owner = draft_find(draft, SECTION_CREDENTIAL, section->name);
    if (!owner) {
        const char *nearest = draft_nearest_name(draft, SECTION_CREDENTIAL, str_of(section->name));
        draft_fault(draft, section, section->place, NULL, "there is no [credential %s]%s%s%s",
                    section->name, nearest ? "; did you mean [scopes " : "", nearest ? nearest : "",
                    nearest ? "]?" : "");
        return;
    }
    struct config_credential *credential = owner->object;
    if (!catalogue->count)
        draft_warn(draft, section, NULL, "is empty: any scope will do");
    if (credential->source == SOURCE_LOGIN)
        draft_fault(draft, section, section->place, NULL,
                    "has no use: source of [credential %s] is login, which has no scopes",
                    section->name);
    credential->catalogue = catalogue->items;
    credential->catalogue_count = catalogue->count;
    *catalogue = (struct catalogue){0};
}

void catalogue_assign(struct draft *draft)
{
    for (size_t i = 0; i < draft->section_count; i++)
        if (draft->sections[i]->kind == SECTION_SCOPES && !draft->sections[i]->is_repeated &&
            *draft->sections[i]->name)
            assign_one(draft, draft->sections[i]);
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        if (section->kind != SECTION_CREDENTIAL)
            continue;
        const struct config_credential *credential = section->object;
        catalogue_check(draft, section, &credential->scopes, credential);
    }
}

static const char *nearest_scope(const struct config_credential *credential, struct str name)
{
    unsigned best = nearest_limit(name) + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < credential->catalogue_count; i++) {
        const char *const known[] = {credential->catalogue[i].alias,
                                     credential->catalogue[i].value};
        for (size_t j = 0; j < ARRAY_LEN(known); j++) {
            unsigned distance = str_distance(name, str_of(known[j]), best);
            if (distance < best) {
                best = distance;
                nearest = known[j];
            }
        }
    }
    return nearest;
}

bool catalogue_has(const struct config_credential *credential, const char *scope, struct err *err)
{
    if (!credential->catalogue_count ||
        find(credential->catalogue, credential->catalogue_count, scope))
        return true;
    const char *nearest = nearest_scope(credential, str_of(scope));
    return err_set(err, "\"%s\" is not in [scopes %s]%s%s%s", scope, credential->name,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

void catalogue_check(struct draft *draft, const struct draft_section *section,
                     const struct config_strings *scopes,
                     const struct config_credential *credential)
{
    struct err err;
    for (size_t i = 0; i < scopes->count; i++)
        if (!catalogue_has(credential, scopes->items[i], &err))
            draft_fault(draft, section, draft_place(section, "scopes", i), "scopes", "%s",
                        err.text);
}

const char *catalogue_value(const struct config_credential *credential, const char *scope)
{
    const struct config_scope *found =
        find(credential->catalogue, credential->catalogue_count, scope);
    return found ? found->value : scope;
}
