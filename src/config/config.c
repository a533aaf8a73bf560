// SPDX-License-Identifier: MIT
// See config.h: the door to the others' work. Reads, checks and resolves a draft; hands out the
// result or its faults, never both.
#include "config/config.h"

#include "config/draft.h"
#include "config/value.h"

struct config *config_load(const char *path, struct config_faults *faults)
{
    size_t before = faults->count;
    struct draft draft = {.config = mem_alloc(sizeof(struct config)), .faults = faults};
    draft.config->refs = 1;
    draft.config->path = mem_strdup(path);
    draft_read(&draft, path);
    draft_check(&draft);
    draft_resolve(&draft);
    draft_fini(&draft);
    config_faults_sort(faults);
    config_faults_sort(&draft.config->warnings);
    if (faults->count == before)
        return draft.config;
    config_unref(draft.config);
    return NULL;
}

struct config *config_ref(struct config *config)
{
    __atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
    return config;
}

static void slots_free(struct config *config)
{
    for (size_t i = 0; i < config->slot_count; i++) {
        mem_free(config->slots[i]->scope);
        mem_free(config->slots[i]->audience);
        strings_fini(&config->slots[i]->resource);
        mem_free(config->slots[i]);
    }
    mem_free(config->slots);
}

void config_unref(struct config *config)
{
    if (!config || __atomic_sub_fetch(&config->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    slots_free(config);
    for (size_t i = 0; i < config->route_count; i++)
        draft_object_free(SECTION_ROUTE, config->routes[i]);
    for (size_t i = 0; i < config->upstream_count; i++)
        draft_object_free(SECTION_UPSTREAM, config->upstreams[i]);
    for (size_t i = 0; i < config->credential_count; i++)
        draft_object_free(SECTION_CREDENTIAL, config->credentials[i]);
    mem_free(config->routes);
    mem_free(config->upstreams);
    mem_free(config->credentials);
    strings_fini(&config->files);
    config_faults_fini(&config->warnings);
    mem_free(config->path);
    draft_object_free(SECTION_PROXY, config);
}
