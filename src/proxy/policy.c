// SPDX-License-Identifier: MIT
// See policy.h. All or nothing: a policy that exists is whole.
#include "proxy/policy.h"

#include <assert.h>

#include "token/tls_files.h"

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

struct policy *policy_new(struct config *config, const struct config_strings *bound,
                          struct config_faults *faults)
{
    struct policy *policy = mem_alloc(sizeof *policy);
    struct err err;
    policy->config = config_ref(config);
    policy->routes = route_table_new(config, faults);
    policy->callers = caller_rules_new(config, bound, &err);
    if (!policy->callers)
        config_faults_add(faults, (struct config_place){config->path, 0}, "%s", err.text);
    if (check_tls_files(config, faults) && policy->routes && policy->callers)
        return policy;
    assert(faults->count); // whoever fails says why
    policy_free(policy);
    return NULL;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    caller_rules_free(policy->callers);
    route_table_free(policy->routes);
    config_unref(policy->config);
    mem_free(policy);
}
