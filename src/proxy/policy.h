// SPDX-License-Identifier: MIT
// The configuration as the proxy uses it: the config, its compiled routes and its caller rules, as
// one immutable object. Built on the control thread, read by all workers without a lock.
#ifndef PROXY_POLICY_H
#define PROXY_POLICY_H

#include "config/config.h"
#include "proxy/caller.h"
#include "proxy/route.h"

struct policy {
    struct config *config;
    struct route_table *routes;
    struct caller_rules *callers;
};

// References the config. bound: the addresses that listening gave (port 0 resolved); may be NULL.
// Faults go to *faults, one line each.
struct policy *policy_new(struct config *config, const struct config_strings *bound,
                          struct config_faults *faults) WARN_UNUSED;
void policy_free(struct policy *policy); // NULL is fine; after all workers have ended

#endif
