// SPDX-License-Identifier: MIT
// See desk.h. The functions of struct facts, each of which looks at the daemon as it is.
#include "daemon/desk.h"

#include "base/log.h"
#include "daemon/daemon_private.h"

// -- facts -------------------------------------------------------------------------------------

static struct config *fact_config(void *arg)
{
    return ((const struct daemon *)arg)->config;
}

static const struct keeper *fact_keeper(void *arg)
{
    return ((const struct daemon *)arg)->keeper;
}

static enum facts_phase phase_of(const struct daemon *daemon)
{
    return daemon_is_ready(daemon) ? FACTS_RUNNING : FACTS_DRAINING;
}

static void fact_process(void *arg, struct facts_process *out)
{
    const struct daemon *daemon = arg;
    const struct daemon_reload_stats *stats = &daemon->reload.stats;
    *out = (struct facts_process){
        .instance = daemon->instance,
        .phase = phase_of(daemon),
        .started_at_s = daemon->desk.started_at_s,
        .workers = daemon->worker_count,
        .listen = &daemon->desk.proxy_bound,
        .clients_max = daemon->clients_max,
        .reloads = {.done = stats->done,
                    .failed = stats->refused,
                    .done_at_s = stats->done_s,
                    .last_failed = stats->was_refused,
                    .last_error = stats->was_refused ? stats->why : NULL},
    };
}

static void fact_clients(void *arg, struct traffic_clients *out)
{
    const struct daemon *daemon = arg;
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_count_clients(daemon->workers[i], out);
}

static void fact_traffic(void *arg, const struct config_upstream *upstream,
                         const struct config_route *route, struct traffic *out)
{
    const struct daemon *daemon = arg;
    ledger_read_cell(daemon->ledger, meter_cell(daemon->config, upstream, route), out);
}

static void fact_upstream(void *arg, const struct config_upstream *upstream,
                          struct traffic_upstream *out)
{
    ledger_read_upstream(((const struct daemon *)arg)->ledger, upstream->index, out);
}

static uint64_t fact_waiting(void *arg, size_t slot)
{
    return ledger_read_waiting(((const struct daemon *)arg)->ledger, slot);
}

static void fact_judge(void *arg, const struct request *request, struct facts_caller *out)
{
    gate_judge(((const struct daemon *)arg)->desk.gate, request, out);
}

static void on_upstream_failure(void *arg, const struct ledger_failure *failure)
{
    const struct daemon *daemon = arg;
    admin_on_upstream_failure(daemon->desk.admin, failure->upstream, failure->route,
                              failure->failure, failure->why, failure->count);
}

// -- orders ------------------------------------------------------------------------------------

struct pending { // a reload that somebody asked for
    struct daemon_reload_wait wait;
    struct facts_order *order;
};

static void on_reloaded(struct daemon_reload_wait *wait, const struct config_faults *faults)
{
    struct pending *pending = CONTAINER_OF(wait, struct pending, wait);
    struct facts_order *order = pending->order;
    mem_free(pending);
    order->pending = NULL;
    order->on_done(order, faults);
}

static void order_reload(void *arg, struct facts_order *order)
{
    struct pending *pending = mem_alloc(sizeof *pending);
    pending->wait.on_done = on_reloaded;
    pending->order = order;
    order->pending = pending;
    daemon_reload_start(arg, &pending->wait);
}

static void order_cancel(void *arg, struct facts_order *order)
{
    struct pending *pending = order->pending;
    (void)arg;
    if (!pending)
        return;
    daemon_reload_cancel(&pending->wait);
    mem_free(pending);
    order->pending = NULL;
}

// Once is enough: a second time would break off what is under way.
static void order_drain(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->phase < DAEMON_DELAYING)
        daemon_take_stop(daemon);
}

// -- listeners ---------------------------------------------------------------------------------

static void desk_lend(struct desk *desk, const struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++)
        admin_lend(desk->admin, listening->items[i].fd);
}

static void desk_listen(struct desk *desk, const struct listening *listening)
{
    struct err err;
    for (size_t i = 0; i < listening->count; i++)
        if (!admin_listen(desk->admin, listening->items[i].fd, &err))
            log_error("listener.cannot_watch", F_TEXT("why", err.text));
    if (listening->is_lent)
        desk_lend(desk, listening);
    log_info("admin.listening", F_TEXT("address", listening->bound));
}

static void desk_unlisten(struct desk *desk, const struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++)
        admin_unlisten(desk->admin, listening->items[i].fd);
}

static void desk_name_proxy(struct daemon *daemon)
{
    mem_free(daemon->desk.proxy_bound.items);
    daemon->desk.proxy_bound = listeners_bound(&daemon->listeners, NULL);
}

static bool desk_make_admin(struct daemon *daemon, struct err *err)
{
    const struct facts facts = {
        .arg = daemon,
        .config = fact_config,
        .keeper = fact_keeper,
        .process = fact_process,
        .clients = fact_clients,
        .traffic = fact_traffic,
        .upstream = fact_upstream,
        .waiting = fact_waiting,
        .judge = fact_judge,
        .reload = daemon->is_service ? order_reload : NULL,
        .cancel = order_cancel,
        .drain = order_drain,
    };
    struct desk *desk = &daemon->desk;
    if (!desk->admin)
        desk->admin = admin_new(daemon->loop, &facts, err);
    if (!desk->admin)
        return false;
    ledger_set_listener(daemon->ledger, on_upstream_failure, daemon);
    keeper_set_listener(daemon->keeper, admin_on_token_failure, desk->admin);
    return true;
}

// -- life --------------------------------------------------------------------------------------

bool desk_prepare(struct daemon *daemon, const struct config *config, struct desk_change *out,
                  struct err *err)
{
    const struct config of_admin = gate_config(config, NULL);
    *out = (struct desk_change){0};
    if (!config->admin.listen.count)
        return true;
    if (!desk_make_admin(daemon, err) ||
        !listeners_open(&out->listeners, &of_admin, &daemon->desk.listeners, &daemon->passed, err))
        return false;
    struct config_strings bound = listeners_bound(&out->listeners, &daemon->desk.listeners);
    out->gate = gate_new(config, &bound, err);
    mem_free(bound.items);
    if (out->gate)
        return true;
    desk_give_up(out);
    return false;
}

void desk_give_up(struct desk_change *change)
{
    listeners_close(&change->listeners);
    gate_free(change->gate);
    change->gate = NULL;
}

void desk_commit(struct daemon *daemon, struct desk_change *change)
{
    struct desk *desk = &daemon->desk;
    struct listeners before = desk->listeners;
    desk->listeners = change->listeners;
    desk_name_proxy(daemon);
    for (size_t i = 0; i < desk->listeners.count; i++)
        if (!listeners_have(&before, desk->listeners.items[i]))
            desk_listen(desk, desk->listeners.items[i]);
    for (size_t i = 0; i < before.count; i++)
        if (!listeners_have(&desk->listeners, before.items[i]))
            desk_unlisten(desk, before.items[i]);
    listeners_close(&before);
    // Without a listener the old rules stay for the connections that are left.
    if (change->gate) {
        gate_free(desk->gate);
        desk->gate = change->gate;
    }
}

bool desk_open(struct daemon *daemon, struct err *err)
{
    struct desk_change change;
    daemon->desk.started_at_s = clock_realtime_s();
    if (!desk_prepare(daemon, daemon->config, &change, err))
        return false;
    desk_commit(daemon, &change);
    return true;
}

void desk_set_mode(const struct daemon *daemon)
{
    listeners_set_mode(&daemon->desk.listeners, (unsigned)daemon->config->admin.socket_mode);
}

void desk_hand_over(struct daemon *daemon)
{
    struct desk *desk = &daemon->desk;
    for (size_t i = 0; i < desk->listeners.count; i++) {
        desk_lend(desk, desk->listeners.items[i]); // the queue is the other one's
        desk_unlisten(desk, desk->listeners.items[i]);
    }
}

void desk_close(struct daemon *daemon)
{
    struct desk *desk = &daemon->desk;
    if (daemon->ledger)
        ledger_set_listener(daemon->ledger, NULL, NULL);
    if (daemon->keeper)
        keeper_set_listener(daemon->keeper, NULL, NULL);
    admin_free(desk->admin);
    listeners_close(&desk->listeners);
    gate_free(desk->gate);
    mem_free(desk->proxy_bound.items);
    *desk = (struct desk){0};
}
