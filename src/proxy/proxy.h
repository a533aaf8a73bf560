// SPDX-License-Identifier: MIT
// One worker's proxy: what all its exchanges share. It is the handler of the worker's server.
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "http/server.h"
#include "http/transport.h"
#include "proxy/policy.h"
#include "token/view.h"

struct ledger;
struct proxy;

// All arguments are borrowed and must outlive it. instance: names this process in Via, so that a
// request that comes round again is noticed. ledger: reads what is counted; NULL: nobody does.
struct proxy *proxy_new(struct loop *loop, const struct policy *policy, struct link_context *links,
                        struct view *view, struct ledger *ledger, const char *instance) WARN_UNUSED;
void proxy_free(struct proxy *proxy); // after its server

// For server_new(); the argument is the proxy.
const struct server_ops *proxy_server_ops(void);

#endif
