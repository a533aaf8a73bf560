// SPDX-License-Identifier: MIT
// One worker's proxy: what all its exchanges share. It is the handler of the worker's server. There
// is one for each configuration: those before the current one live until their last exchange ends,
// so that a request has one configuration from its head to the end of its answer.
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "http/server.h"
#include "http/transport.h"
#include "proxy/policy.h"
#include "token/view.h"

struct ledger;
struct proxy;

struct proxy_parts {
    struct loop *loop;
    struct policy *policy;      // referenced
    struct link_context *links; // borrowed: must outlive it
    struct view *view;          // of the same configuration; becomes the proxy's
    struct ledger *ledger;      // reads what is counted; NULL: nobody does
    const char *instance;       // names this process in Via, so that a request that comes round
                                // again is noticed
    const struct proxy *before; // its connections go on where they are the same; NULL: none
};
struct proxy *proxy_new(const struct proxy_parts *parts) WARN_UNUSED;
// No new request will come to it: it frees itself when the last has ended, on the loop's thread,
// and then tells, if there is somebody to tell.
void proxy_retire(struct proxy *proxy, void (*on_gone)(void *arg), void *arg);
// At the worker's end, when its loop does not run and its server is gone: at once.
void proxy_free(struct proxy *proxy);

// For server_new(); the argument is the proxy.
const struct server_ops *proxy_server_ops(void);

#endif
