// SPDX-License-Identifier: MIT
// The configuration as the proxy uses it: the config, its compiled routes and its caller rules, as
// one immutable, counted object. Built on the control thread, read by all workers without a lock.
#ifndef PROXY_POLICY_H
#define PROXY_POLICY_H

#include "config/config.h"
#include "proxy/caller.h"
#include "proxy/route.h"
#include "token/tls_files.h"

struct policy_upstream { // what of an upstream may outlive the policy
    size_t former;       // its index in the policy before, by its name; SIZE_MAX: it is new
    char tls_mark[TLS_MARK_LEN + 1];
};

struct policy {
    unsigned refs; // atomic
    struct config *config;
    struct route_table *routes;
    struct caller_rules *callers;
    struct policy_upstream *upstreams; // by their index
};

// References the config. bound: the addresses that listening gave (port 0 resolved); may be NULL.
// before: the policy that this one takes the place of; NULL: none. Faults go to *faults, one line
// each.
struct policy *policy_new(struct config *config, const struct config_strings *bound,
                          const struct policy *before, struct config_faults *faults) WARN_UNUSED;
struct policy *policy_ref(struct policy *policy); // any thread
void policy_unref(struct policy *policy);         // any thread; NULL is fine

#endif
