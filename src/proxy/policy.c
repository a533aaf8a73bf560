// SPDX-License-Identifier: MIT
// See policy.h. All or nothing: a policy that exists is whole.
#include "proxy/policy.h"

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
    if (policy->routes && policy->callers)
        return policy;
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
