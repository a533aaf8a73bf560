// SPDX-License-Identifier: MIT
// Names of sections: from what a setting says to the section it means, or a message that helps.
#include <stdio.h>

#include "config/draft.h"

#define NAMES_SHOWN 8

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

const char *draft_nearest_name(const struct draft *draft, enum section_kind kind, struct str name)
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

void *draft_named(struct draft *draft, const struct draft_section *section, enum section_kind kind,
                  const char *key, const char *name)
{
    const struct draft_section *found = draft_find(draft, kind, name);
    if (found && found->kind == kind)
        return found->object;
    struct config_place place = draft_place(section, key, 0);
    const char *nearest = draft_nearest_name(draft, kind, str_of(name));
    char names[400];
    list_names(draft, kind, names, sizeof names);
    if (nearest)
        draft_fault(draft, section, place, key, "there is no [%s %s]; did you mean \"%s\"?",
                    section_infos[kind].name, name, nearest);
    else if (*names)
        draft_fault(draft, section, place, key, "there is no [%s %s]; there are: %s",
                    section_infos[kind].name, name, names);
    else
        draft_fault(draft, section, place, key, "there is no [%s %s]", section_infos[kind].name,
                    name);
    return NULL;
}

void *draft_only(struct draft *draft, const struct draft_section *route, enum section_kind kind,
                 const char *key)
{
    const struct config *config = draft->config;
    size_t count = kind == SECTION_UPSTREAM ? config->upstream_count : config->credential_count;
    if (count == 1)
        return kind == SECTION_UPSTREAM ? (void *)config->upstreams[0]
                                        : (void *)config->credentials[0];
    if (count == 0 || draft_is_guessed(route, key))
        return NULL;
    char names[400];
    list_names(draft, kind, names, sizeof names);
    draft_fault(draft, route, route->place, NULL,
                "there are several %ss: say which is meant by %s = one of %s", key, key, names);
    return NULL;
}
