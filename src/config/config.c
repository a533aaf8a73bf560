// SPDX-License-Identifier: MIT
// See config.h: the door to the others' work. Reads, checks and resolves a draft; hands out the
// result or its faults, never both.
#include "config/config.h"

#include "config/draft.h"
#include "config/slots.h"
#include "config/value.h"

static bool is_sound(const struct config_upstream *upstream)
{
    return upstream && upstream->url.path;
}

// Takes out what a fault left half-built; `keep` decides, the objects are freed.
static size_t prune(void **items, size_t count, enum section_kind kind,
                    bool (*keep)(const void *object))
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (keep(items[i]))
            items[kept++] = items[i];
        else
            draft_object_free(kind, items[i]);
    }
    return kept;
}

static bool keep_route(const void *object)
{
    const struct config_route *route = object;
    return is_sound(route->upstream) && route->match_count > 0;
}

static bool keep_upstream(const void *object)
{
    return is_sound(object);
}

static void config_prune(struct config *config)
{
    config->route_count =
        prune((void **)config->routes, config->route_count, SECTION_ROUTE, keep_route);
    config->upstream_count =
        prune((void **)config->upstreams, config->upstream_count, SECTION_UPSTREAM, keep_upstream);
    for (size_t i = 0; i < config->route_count; i++)
        config->routes[i]->index = i;
    for (size_t i = 0; i < config->upstream_count; i++)
        config->upstreams[i]->index = i;
}

// A mount left out is "/" for the only upstream that leaves it out. Several would be in each
// other's way there; they are reached by their hosts.
static void config_default_mount(struct config *config)
{
    struct config_upstream *without = NULL;
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (config->upstreams[i]->mount)
            continue;
        if (without)
            return;
        without = config->upstreams[i];
    }
    if (without)
        without->mount = mem_strdup("/");
}

struct config *config_inspect(const char *path, struct config_faults *faults)
{
    struct draft draft = {.config = mem_alloc(sizeof(struct config)), .faults = faults};
    draft.config->refs = 1;
    draft.config->path = mem_strdup(path);
    draft_read(&draft, path);
    draft_check(&draft);
    draft_resolve(&draft);
    draft_fini(&draft);
    config_prune(draft.config);
    config_default_mount(draft.config);
    config_faults_sort(faults);
    config_faults_sort(&draft.config->warnings);
    return draft.config;
}

struct config *config_load(const char *path, struct config_faults *faults)
{
    size_t before = faults->count;
    struct config *config = config_inspect(path, faults);
    if (faults->count == before)
        return config;
    config_unref(config);
    return NULL;
}

bool config_credential_is_storeable(const struct config_credential *credential)
{
    return credential->source != SOURCE_EXEC && credential->auth_method != AUTH_ASSERTION_FILE &&
           !credential->idle_ttl_ms && (!credential->dpop || credential->dpop_key);
}

struct config *config_ref(struct config *config)
{
    __atomic_add_fetch(&config->refs, 1, __ATOMIC_RELAXED);
    return config;
}

static void slots_free(struct config *config)
{
    for (size_t i = 0; i < config->slot_count; i++)
        config_slot_free(config->slots[i]);
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
    strings_fini(&config->includes);
    config_faults_fini(&config->warnings);
    mem_free(config->path);
    draft_object_free(SECTION_PROXY, config);
}
