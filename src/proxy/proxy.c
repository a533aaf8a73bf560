// SPDX-License-Identifier: MIT
// See proxy.h: pools by upstream, the exchanges that wait to be used again, and the table of
// handlers.
#include "proxy/proxy.h"

#include <stdio.h>
#include <sys/random.h>

#include "proxy/proxy_private.h"

#define SPARE_MAX            1024
#define SAMPLE_MS            1000
#define POOL_IDLE_TIMEOUT_MS 55000 // below the 60 s and more after which servers commonly close

static struct pool *pool_of_upstream(struct loop *loop, struct link_context *links,
                                     const struct config_upstream *upstream)
{
    struct pool_config config = {
        .target =
            {
                .host = upstream->url.host,
                .port = upstream->url.port,
                .is_https = upstream->url.is_https,
                .ca_file = upstream->tls.ca_file,
                .cert_file = upstream->tls.cert_file,
                .key_file = upstream->tls.key_file,
                .proxy = upstream->proxy,
                .connect_timeout_ms = upstream->connect_timeout_ms,
            },
        .connections_max = (size_t)upstream->max_connections,
        .idle_max = (size_t)upstream->keepalive,
        .idle_timeout_ms = POOL_IDLE_TIMEOUT_MS,
    };
    return pool_new(loop, links, &config);
}

// Also of one that only ends what it has begun: its connections count as long as it has any.
static void on_sample(struct timer *timer)
{
    struct proxy *proxy = CONTAINER_OF(timer, struct proxy, sample_timer);
    meter_sample(proxy->meter, proxy->pools);
    timer_start(proxy->loop, timer, SAMPLE_MS);
}

struct proxy *proxy_new(struct loop *loop, const struct policy *policy, struct link_context *links,
                        struct view *view, struct ledger *ledger, const char *instance)
{
    struct proxy *proxy = mem_alloc(sizeof *proxy);
    const struct config *config = policy->config;
    proxy->loop = loop;
    proxy->policy = policy;
    proxy->view = view;
    snprintf(proxy->instance, sizeof proxy->instance, "%s", instance);
    if (getrandom(&proxy->id_seed, sizeof proxy->id_seed, GRND_NONBLOCK) < 0)
        proxy->id_seed = clock_boottime_us(); // before the kernel has random numbers
    list_init(&proxy->spare);
    proxy->nonces = mem_array(config->upstream_count, sizeof(char *));
    proxy->pools = mem_array(config->upstream_count, sizeof(struct pool *));
    for (size_t i = 0; i < config->upstream_count; i++)
        proxy->pools[i] = pool_of_upstream(loop, links, config->upstreams[i]);
    proxy->meter = meter_new(ledger, policy->config);
    timer_init(&proxy->sample_timer, on_sample);
    timer_start(loop, &proxy->sample_timer, SAMPLE_MS);
    return proxy;
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    struct list *link;
    timer_stop(proxy->loop, &proxy->sample_timer);
    while ((link = list_take_first(&proxy->spare)))
        exchange_free(CONTAINER_OF(link, struct exchange, spare_link));
    for (size_t i = 0; i < proxy->policy->config->upstream_count; i++) {
        pool_free(proxy->pools[i]);
        mem_free(proxy->nonces[i]);
    }
    mem_free(proxy->nonces);
    mem_free(proxy->pools);
    meter_free(proxy->meter);
    mem_free(proxy);
}

struct exchange *exchange_new(struct proxy *proxy)
{
    struct list *link = list_take_first(&proxy->spare);
    struct exchange *exchange;
    if (link) {
        exchange = CONTAINER_OF(link, struct exchange, spare_link);
        proxy->spare_count--;
    } else {
        exchange = mem_alloc(sizeof *exchange);
        exchange_init(exchange, proxy);
    }
    return exchange;
}

void exchange_release(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    if (proxy->spare_count >= SPARE_MAX) {
        exchange_free(exchange);
        return;
    }
    list_prepend(&proxy->spare, &exchange->spare_link);
    proxy->spare_count++;
}

static void on_request(void *arg, struct request *request)
{
    exchange_start(arg, request);
}

static void on_refused(void *arg, struct request *request, int status, const char *why)
{
    exchange_refuse(arg, request, status, why);
}

const struct server_ops *proxy_server_ops(void)
{
    static const struct server_ops ops = {
        .on_request = on_request,
        .on_refused = on_refused,
        .on_body = exchange_take_body,
        .on_body_end = exchange_end_body,
        .on_pull = exchange_pull,
        .on_end = exchange_end,
    };
    return &ops;
}
