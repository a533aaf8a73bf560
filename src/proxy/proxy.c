// SPDX-License-Identifier: MIT
// See proxy.h: pools by upstream, the exchanges that wait to be used again, and the table of
// handlers.
#include "proxy/proxy.h"

#include <stdio.h>

#include "proxy/proxy_private.h"
#include "token/tls_files.h"

#define SPARE_MAX 1024
#define SAMPLE_MS 1000

static struct pool_config pool_config_of(const struct policy *policy, size_t i)
{
    const struct config_upstream *upstream = policy->config->upstreams[i];
    return (struct pool_config){
        .target =
            {
                .host = upstream->url.host,
                .port = upstream->url.port,
                .is_https = upstream->url.is_https,
                .tls = tls_files_options(&upstream->tls),
                .tls_name = upstream->tls_name,
                .unix_socket = upstream->socket,
                .proxy = upstream->proxy,
                .connect_timeout_ms = upstream->connect_timeout_ms,
            },
        .tls_mark = policy->upstreams[i].tls_mark,
        .connections_max = (size_t)upstream->max_connections,
        .idle_max = (size_t)upstream->keepalive,
        .idle_timeout_ms = upstream->keepalive_timeout_ms,
        .waiting_max = (size_t)upstream->max_queue,
    };
}

// A reload that changes nothing about an upstream opens no connection to it.
static void proxy_connect(struct proxy *proxy, size_t i, const struct proxy_parts *parts)
{
    const struct pool_config config = pool_config_of(proxy->policy, i);
    size_t former = proxy->policy->upstreams[i].former;
    if (!parts->before || former == SIZE_MAX || !pool_fits(parts->before->pools[former], &config)) {
        proxy->pools[i] = pool_new(parts->loop, parts->links, &config);
        return;
    }
    proxy->pools[i] = pool_ref(parts->before->pools[former]);
    pool_limit(proxy->pools[i], &config);
    proxy->nonces[i] = mem_strdup(parts->before->nonces[former]);
}

static void on_end_task(struct task *task)
{
    struct proxy *proxy = CONTAINER_OF(task, struct proxy, end_task);
    void (*on_gone)(void *arg) = proxy->on_gone;
    void *arg = proxy->gone_arg;
    view_retire(proxy->view);
    proxy->view = NULL;
    proxy_free(proxy);
    if (on_gone)
        on_gone(arg);
}

static void on_sample(struct timer *timer)
{
    struct proxy *proxy = CONTAINER_OF(timer, struct proxy, sample_timer);
    meter_sample(proxy->meter, proxy->pools);
    timer_start(proxy->loop, timer, SAMPLE_MS);
}

struct proxy *proxy_new(const struct proxy_parts *parts)
{
    struct proxy *proxy = mem_alloc(sizeof *proxy);
    size_t upstream_count = parts->policy->config->upstream_count;
    proxy->loop = parts->loop;
    proxy->policy = policy_ref(parts->policy);
    proxy->view = parts->view;
    const struct config *config = parts->policy->config;
    proxy->links = parts->links;
    // Its share, as with connections: a count of all workers' requests would be shared memory.
    proxy->requests_max = (size_t)((config->max_requests + config->workers - 1) / config->workers);
    ids_init(&proxy->ids);
    snprintf(proxy->instance, sizeof proxy->instance, "%s", parts->instance);
    list_init(&proxy->spare);
    task_init(&proxy->end_task, on_end_task);
    proxy->nonces = mem_array(upstream_count, sizeof(char *));
    proxy->pools = mem_array(upstream_count, sizeof(struct pool *));
    for (size_t i = 0; i < upstream_count; i++)
        proxy_connect(proxy, i, parts);
    proxy->meter = meter_new(parts->ledger, parts->policy->config, proxy->pools);
    timer_init(&proxy->sample_timer, on_sample);
    timer_start(proxy->loop, &proxy->sample_timer, SAMPLE_MS);
    return proxy;
}

static void proxy_end_if_idle(struct proxy *proxy)
{
    if (proxy->is_retired && !proxy->live_count)
        loop_defer(proxy->loop, &proxy->end_task); // it may be in use further up
}

void proxy_retire(struct proxy *proxy, void (*on_gone)(void *arg), void *arg)
{
    proxy->is_retired = true;
    timer_stop(proxy->loop, &proxy->sample_timer);
    meter_end_samples(proxy->meter, proxy->pools); // from here on the pools are its successor's
    proxy->on_gone = on_gone;
    proxy->gone_arg = arg;
    proxy_end_if_idle(proxy);
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    struct list *link;
    task_cancel(&proxy->end_task);
    timer_stop(proxy->loop, &proxy->sample_timer);
    while ((link = list_take_first(&proxy->spare)))
        exchange_free(CONTAINER_OF(link, struct exchange, spare_link));
    for (size_t i = 0; i < proxy->policy->config->upstream_count; i++) {
        pool_unref(proxy->pools[i]);
        mem_free(proxy->nonces[i]);
    }
    mem_free(proxy->nonces);
    mem_free(proxy->pools);
    meter_free(proxy->meter);
    view_free(proxy->view);
    policy_unref(proxy->policy);
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
    proxy->live_count++;
    return exchange;
}

void exchange_release(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    proxy->live_count--;
    if (proxy->spare_count >= SPARE_MAX || proxy->is_retired) {
        exchange_free(exchange);
        proxy_end_if_idle(proxy);
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
        .on_late = exchange_give_up_body,
        .on_pull = exchange_pull,
        .on_switched = exchange_on_switched,
        .on_end = exchange_end,
    };
    return &ops;
}
