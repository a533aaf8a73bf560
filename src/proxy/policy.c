// SPDX-License-Identifier: MIT
// See policy.h. All or nothing: a policy that exists is whole.
#include "proxy/policy.h"

#include <assert.h>

#include "base/map.h"

// True if all files are what they should be.
static bool check_tls_files(const struct config *config, struct config_faults *faults)
{
    size_t before = faults->count;
    struct err err;
    for (size_t i = 0; i < config->credential_count; i++) {
        const struct config_credential *credential = config->credentials[i];
        if (!tls_files_check(&credential->tls, &err))
            config_faults_add(faults, credential->place, "[credential %s] %s", credential->name,
                              err.text);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = config->upstreams[i];
        if (!tls_files_check(&upstream->tls, &err))
            config_faults_add(faults, upstream->place, "[upstream %s] %s", upstream->name,
                              err.text);
    }
    return faults->count == before;
}

static void policy_know_upstreams(struct policy *policy, const struct policy *before)
{
    const struct config *config = policy->config;
    struct map by_name;
    map_init(&by_name);
    for (size_t i = 0; before && i < before->config->upstream_count; i++)
        map_put(&by_name, str_of(before->config->upstreams[i]->name), before->config->upstreams[i]);
    policy->upstreams = mem_array(config->upstream_count, sizeof *policy->upstreams);
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *former =
            map_get(&by_name, str_of(config->upstreams[i]->name));
        policy->upstreams[i].former = former ? former->index : SIZE_MAX;
        tls_files_mark(&config->upstreams[i]->tls, policy->upstreams[i].tls_mark);
    }
    map_fini(&by_name);
}

struct policy *policy_new(struct config *config, const struct config_strings *bound,
                          const struct policy *before, struct config_faults *faults)
{
    struct policy *policy = mem_alloc(sizeof *policy);
    struct err err;
    policy->refs = 1;
    policy->config = config_ref(config);
    policy->routes = route_table_new(config, faults);
    policy->callers = caller_rules_new(config, bound, &err);
    if (!policy->callers)
        config_faults_add(faults, (struct config_place){config->path, 0}, "%s", err.text);
    policy_know_upstreams(policy, before);
    if (check_tls_files(config, faults) && policy->routes && policy->callers)
        return policy;
    assert(faults->count); // whoever fails says why
    policy_unref(policy);
    return NULL;
}

struct policy *policy_ref(struct policy *policy)
{
    __atomic_add_fetch(&policy->refs, 1, __ATOMIC_RELAXED);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (!policy || __atomic_sub_fetch(&policy->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    caller_rules_free(policy->callers);
    route_table_free(policy->routes);
    mem_free(policy->upstreams);
    config_unref(policy->config);
    mem_free(policy);
}
