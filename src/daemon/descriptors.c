// SPDX-License-Identifier: MIT
// See descriptors.h. A request in flight holds one descriptor for its client and one for its
// upstream, or three where TLS is spoken: libcurl keeps a pair for each handle of ours. Connections
// in use and idle ones together are never more than an upstream's max_connections.
#include "daemon/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

#define PER_WORKER 8 // loop, inbox, libmicrohttpd's, libcurl's
#define PER_TLS    3

struct demand {        // descriptors, for connections to upstreams
    uint64_t each;     // of one request in flight, at most
    uint64_t capacity; // with max_connections to each upstream
    uint64_t idle;     // of those kept for the next request
};

static struct demand demand_of(const struct config *config)
{
    struct demand demand = {.each = 1};
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = config->upstreams[i];
        uint64_t most = upstream->max_connections, kept = upstream->keepalive;
        uint64_t each = upstream->url.is_https ? PER_TLS : 1;
        demand.capacity += each * most * config->workers;
        demand.idle += each * (kept < most ? kept : most) * config->workers;
        if (each > demand.each)
            demand.each = each;
    }
    return demand;
}

static uint64_t fixed_of(const struct config *config)
{
    return DESCRIPTORS_RESERVED + config->workers * (PER_WORKER + config->listen.count);
}

uint64_t descriptors_needed(const struct config *config)
{
    struct demand demand = demand_of(config);
    uint64_t upstreams = demand.each * config->max_connections + demand.idle;
    if (upstreams > demand.capacity)
        upstreams = demand.capacity;
    return fixed_of(config) + config->max_connections + upstreams;
}

uint64_t descriptors_clients(const struct config *config, uint64_t limit)
{
    struct demand demand = demand_of(config);
    uint64_t fixed = fixed_of(config), left = limit > fixed ? limit - fixed : 0;
    // Where upstreams cannot have all theirs, each client brings what its request needs.
    uint64_t clients = left / (1 + demand.each);
    if (left > demand.capacity && left - demand.capacity > clients)
        clients = left - demand.capacity;
    if (clients > config->max_connections)
        clients = config->max_connections;
    return clients ? clients : 1;
}

uint64_t descriptors_prepare(const struct config *config)
{
    struct rlimit limit;
    uint64_t needed = descriptors_needed(config);
    if (getrlimit(RLIMIT_NOFILE, &limit)) {
        log_warn("process.descriptor_limit", F_TEXT("why", strerror(errno)));
        return config->max_connections;
    }
    if (limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {needed < limit.rlim_max ? needed : limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    uint64_t clients = descriptors_clients(config, limit.rlim_cur);
    if (clients < config->max_connections)
        log_warn("process.descriptor_limit", F_NUM("limit", limit.rlim_cur),
                 F_NUM("needed", needed), F_NUM("max_connections", config->max_connections),
                 F_NUM("taken", clients));
    return clients;
}
