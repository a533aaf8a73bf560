// SPDX-License-Identifier: MIT
// See worker.h. Built on the control thread, run on its own, taken down on the control thread again
// after the join: no object is ever used by two threads at a time. What the control thread wants
// changed in between it posts.
#include "daemon/worker.h"

#include <pthread.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "proxy/proxy.h"

#define DRAIN_LOOK_MS 20
#define SAMPLE_MS     1000

struct worker {
    struct worker_config config; // its policy is the first one: not to be used later
    struct loop *loop;
    struct link_context *links;
    struct proxy *proxy; // of the configuration in force
    struct list retired; // of struct retired: those before, while they have requests
    struct server *server;
    pthread_t thread;
    bool is_started;
    struct timer drain_timer, sample_timer;
    struct traffic_clients clients;
    uint64_t drain_until_ms;
};

struct retired {
    struct list link;
    struct proxy *proxy;
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

// -- building ----------------------------------------------------------------------------------

static struct server_config server_config_of(const struct worker *worker,
                                             const struct config *settings, uint64_t clients_max)
{
    size_t workers = worker->config.worker_count;
    return (struct server_config){
        .header_limit = (size_t)settings->header_limit,
        .max_connections = (clients_max + workers - 1) / workers,
        .takes_connect = settings->connect == CONNECT_TUNNEL,
        .header_timeout_ms = settings->header_timeout_ms,
        .body_timeout_ms = settings->body_timeout_ms,
        .keepalive_timeout_ms = settings->keepalive_timeout_ms,
        .body_min_rate = settings->body_min_rate,
        .crowd = worker->config.crowd,
    };
}

static struct proxy *worker_new_proxy(struct worker *worker, struct policy *policy,
                                      struct view *view)
{
    return proxy_new(&(struct proxy_parts){.loop = worker->loop,
                                           .policy = policy,
                                           .links = worker->links,
                                           .view = view,
                                           .ledger = worker->config.ledger,
                                           .instance = worker->config.instance,
                                           .before = worker->proxy});
}

static bool worker_listen(struct worker *worker, const struct worker_socket *socket,
                          struct err *err)
{
    if (!server_listen(worker->server, socket->fd, err))
        return false;
    if (socket->is_lent)
        server_lend(worker->server, socket->fd);
    return true;
}

struct worker *worker_new(const struct worker_config *config, struct err *err)
{
    struct worker *worker = mem_alloc(sizeof *worker);
    worker->config = *config;
    list_init(&worker->retired);
    timer_init(&worker->drain_timer, on_drain_timer);
    timer_init(&worker->sample_timer, on_sample);
    worker->loop = loop_new(err);
    if (!worker->loop || !(worker->links = link_context_new(worker->loop, err)))
        goto fail;
    worker->proxy =
        worker_new_proxy(worker, config->policy, view_new(worker->loop, config->keeper));
    struct server_config server =
        server_config_of(worker, config->policy->config, config->clients_max);
    worker->server = server_new(worker->loop, &server, proxy_server_ops(), worker->proxy, err);
    if (!worker->server)
        goto fail;
    server_lend_all(worker->server, config->lends_sockets);
    for (size_t i = 0; i < config->socket_count; i++)
        if (!worker_listen(worker, &config->sockets[i], err))
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

// -- changing ----------------------------------------------------------------------------------

struct reload_order {
    struct worker *worker;
    struct worker_change change; // its arrays are the order's
    struct view *view;
};

static void on_proxy_gone(void *arg)
{
    struct retired *retired = arg;
    list_remove(&retired->link);
    mem_free(retired);
}

static void worker_change_proxy(struct worker *worker, struct policy *policy, struct view *view)
{
    struct retired *retired = mem_alloc(sizeof *retired);
    struct proxy *proxy = worker_new_proxy(worker, policy, view);
    retired->proxy = worker->proxy;
    list_append(&worker->retired, &retired->link);
    worker->proxy = proxy;
    server_handle(worker->server, proxy);
    proxy_retire(retired->proxy, on_proxy_gone, retired);
}

static void do_reload(void *arg)
{
    struct reload_order *order = arg;
    struct worker *worker = order->worker;
    const struct worker_change *change = &order->change;
    struct server_config server =
        server_config_of(worker, change->policy->config, change->clients_max);
    struct err err;
    worker_change_proxy(worker, change->policy, order->view);
    server_limit(worker->server, &server);
    for (size_t i = 0; i < change->added_count; i++)
        if (!worker_listen(worker, &change->added[i], &err))
            log_error("listener.cannot_watch", F_TEXT("why", err.text));
    for (size_t i = 0; i < change->removed_count; i++)
        server_unlisten(worker->server, change->removed[i]);
    change->on_done(change->arg);
    policy_unref(change->policy);
    mem_free(mem_unconst(change->added));
    mem_free(mem_unconst(change->removed));
    mem_free(order);
}

void worker_reload(struct worker *worker, const struct worker_change *change)
{
    struct reload_order *order = mem_alloc(sizeof *order);
    struct worker_socket *added = mem_array(change->added_count, sizeof *added);
    int *removed = mem_array(change->removed_count, sizeof *removed);
    for (size_t i = 0; i < change->added_count; i++)
        added[i] = change->added[i];
    for (size_t i = 0; i < change->removed_count; i++)
        removed[i] = change->removed[i];
    order->worker = worker;
    order->change = *change;
    order->change.policy = policy_ref(change->policy);
    order->change.added = added;
    order->change.removed = removed;
    order->view = view_new(worker->loop, worker->config.keeper);
    loop_post(worker->loop, do_reload, order);
}

void worker_post(struct worker *worker, void (*fn)(void *arg), void *arg)
{
    loop_post(worker->loop, fn, arg);
}

// -- stopping ----------------------------------------------------------------------------------

static void do_lend(void *arg)
{
    const struct worker *worker = arg;
    server_lend_all(worker->server, true);
}

static void do_take_back(void *arg)
{
    const struct worker *worker = arg;
    server_lend_all(worker->server, false);
}

void worker_lend_sockets(struct worker *worker, bool is_lent)
{
    loop_post(worker->loop, is_lent ? do_lend : do_take_back, worker);
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

// One that never ran has nobody to let in: whoever stands in a queue may be another process's.
static void worker_leave_queues(struct worker *worker)
{
    server_lend_all(worker->server, true);
    server_drain(worker->server);
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->is_started)
        pthread_join(worker->thread, NULL);
    else if (worker->server)
        worker_leave_queues(worker);
    // What was posted to it after its loop had ended must meet it whole.
    if (worker->loop && worker->server)
        loop_turn(worker->loop, 0);
    if (worker->loop) {
        timer_stop(worker->loop, &worker->drain_timer);
        timer_stop(worker->loop, &worker->sample_timer);
    }
    server_free(worker->server);
    struct list *link;
    while ((link = list_take_first(&worker->retired))) {
        struct retired *retired = CONTAINER_OF(link, struct retired, link);
        proxy_free(retired->proxy);
        mem_free(retired);
    }
    proxy_free(worker->proxy);
    link_context_free(worker->links);
    loop_free(worker->loop);
    mem_free(worker);
}
