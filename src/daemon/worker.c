// SPDX-License-Identifier: MIT
// See worker.h. Built on the control thread, run on its own, taken down on the control thread again
// after the join: no object is ever used by two threads at a time.
#include "daemon/worker.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "proxy/proxy.h"

#define DRAIN_LOOK_MS 20
#define SAMPLE_MS     1000

struct worker {
    struct worker_config config;
    struct loop *loop;
    struct link_context *links;
    struct view *view;
    struct proxy *proxy;
    struct server *server;
    pthread_t thread;
    bool is_started;
    struct timer drain_timer, sample_timer;
    struct traffic_clients clients;
    uint64_t drain_until_ms;
};

static void on_drain_timer(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, drain_timer);
    if (server_connection_count(worker->server) == 0 ||
        loop_now_ms(worker->loop) >= worker->drain_until_ms)
        loop_stop(worker->loop);
    else
        timer_start(worker->loop, timer, DRAIN_LOOK_MS);
}

static void on_sample(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, sample_timer);
    stat_set(&worker->clients.open, server_connection_count(worker->server));
    stat_set(&worker->clients.accepted, server_accepted_count(worker->server));
    timer_start(worker->loop, timer, SAMPLE_MS);
}

void worker_count_clients(const struct worker *worker, struct traffic_clients *to)
{
    stats_sum((uint64_t *)to, (const uint64_t *)&worker->clients,
              TRAFFIC_WORDS(struct traffic_clients));
}

struct worker *worker_new(const struct worker_config *config, struct err *err)
{
    const struct config *settings = config->policy->config;
    struct worker *worker = mem_alloc(sizeof *worker);
    worker->config = *config;
    timer_init(&worker->drain_timer, on_drain_timer);
    timer_init(&worker->sample_timer, on_sample);
    worker->loop = loop_new(err);
    if (!worker->loop || !(worker->links = link_context_new(worker->loop, err)))
        goto fail;
    worker->view = view_new(worker->loop, config->keeper, settings->slot_count);
    worker->proxy = proxy_new(worker->loop, config->policy, worker->links, worker->view,
                              config->ledger, config->instance);
    uint64_t share = (settings->max_connections + config->worker_count - 1) / config->worker_count;
    struct server_config server = {
        .header_limit = (size_t)settings->header_limit,
        .max_connections = share,
        .header_timeout_ms = settings->header_timeout_ms,
        .body_timeout_ms = settings->body_timeout_ms,
        .keepalive_timeout_ms = settings->keepalive_timeout_ms,
    };
    worker->server = server_new(worker->loop, &server, proxy_server_ops(), worker->proxy, err);
    if (!worker->server)
        goto fail;
    for (size_t i = 0; i < config->listen_fd_count; i++)
        if (!server_listen(worker->server, config->listen_fds[i], err))
            goto fail;
    timer_start(worker->loop, &worker->sample_timer, SAMPLE_MS);
    return worker;
fail:
    worker_free(worker);
    return NULL;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    loop_run(worker->loop);
    worker->config.on_stopped(worker->config.arg);
    return NULL;
}

bool worker_start(struct worker *worker, struct err *err)
{
    int code = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (code)
        return err_set(err, "cannot start a worker thread: %s", strerror(code));
    worker->is_started = true;
    return true;
}

struct stop_order {
    struct worker *worker;
    uint64_t limit_ms;
};

static void do_stop(void *arg)
{
    struct stop_order *order = arg;
    struct worker *worker = order->worker;
    server_drain(worker->server);
    worker->drain_until_ms = loop_now_ms(worker->loop) + order->limit_ms;
    timer_start(worker->loop, &worker->drain_timer, 0);
    mem_free(order);
}

void worker_stop(struct worker *worker, uint64_t limit_ms)
{
    struct stop_order *order = mem_alloc(sizeof *order);
    *order = (struct stop_order){worker, limit_ms};
    loop_post(worker->loop, do_stop, order);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->is_started)
        pthread_join(worker->thread, NULL);
    // What was posted to it after its loop had ended must meet it whole.
    if (worker->loop && worker->server)
        loop_turn(worker->loop, 0);
    if (worker->loop) {
        timer_stop(worker->loop, &worker->drain_timer);
        timer_stop(worker->loop, &worker->sample_timer);
    }
    server_free(worker->server);
    proxy_free(worker->proxy);
    link_context_free(worker->links);
    view_free(worker->view);
    loop_free(worker->loop);
    mem_free(worker);
}
