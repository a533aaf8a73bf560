// SPDX-License-Identifier: MIT
// See desk.h. The functions of struct facts, each of which looks at what the daemon set.
#include "daemon/desk.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define ADDRESS_MAX 128

// -- facts -------------------------------------------------------------------------------------

static struct config *fact_config(void *arg)
{
    return ((const struct desk *)arg)->config;
}

static const struct keeper *fact_keeper(void *arg)
{
    return ((const struct desk *)arg)->keeper;
}

static void fact_process(void *arg, struct facts_process *out)
{
    *out = ((const struct desk *)arg)->process;
}

static void fact_clients(void *arg, struct traffic_clients *out)
{
    const struct desk *desk = arg;
    for (size_t i = 0; i < desk->worker_count; i++)
        worker_count_clients(desk->workers[i], out);
}

static void fact_traffic(void *arg, const struct config_upstream *upstream,
                         const struct config_route *route, struct traffic *out)
{
    const struct desk *desk = arg;
    ledger_read_cell(desk->ledger, meter_cell(desk->config, upstream, route), out);
}

static void fact_upstream(void *arg, const struct config_upstream *upstream,
                          struct traffic_upstream *out)
{
    ledger_read_upstream(((const struct desk *)arg)->ledger, upstream->index, out);
}

static uint64_t fact_waiting(void *arg, size_t slot)
{
    return ledger_read_waiting(((const struct desk *)arg)->ledger, slot);
}

static void fact_judge(void *arg, const struct request *request, struct facts_caller *out)
{
    gate_judge(((const struct desk *)arg)->gate, request, out);
}

static bool order_reload(void *arg, struct buf *out_text)
{
    const struct desk *desk = arg;
    return desk->reload(desk->arg, out_text);
}

static void order_drain(void *arg)
{
    const struct desk *desk = arg;
    desk->drain(desk->arg);
}

static void on_upstream_failure(void *arg, const struct ledger_failure *failure)
{
    const struct desk *desk = arg;
    admin_on_upstream_failure(desk->admin, failure->upstream, failure->route, failure->failure,
                              failure->why, failure->more);
}

// -- listeners ---------------------------------------------------------------------------------

static bool desk_listen(struct desk *desk, const char *address, struct err *err)
{
    char bound[ADDRESS_MAX] = "";
    int fd = listen_open(address, false, (unsigned)desk->config->admin.socket_mode, bound,
                         sizeof bound, err);
    if (fd < 0)
        return false;
    desk->listen_fds[desk->listen_count++] = fd;
    desk->bound.items[desk->bound.count++] = mem_strdup(bound);
    log_info("admin.listening", F_TEXT("address", bound));
    return admin_listen(desk->admin, fd, err);
}

static bool desk_open_listeners(struct desk *desk, struct err *err)
{
    const struct config_strings *listen = &desk->config->admin.listen;
    desk->listen_fds = mem_array(listen->count, sizeof(int));
    desk->bound.items = mem_array(listen->count, sizeof(char *));
    for (size_t i = 0; i < listen->count; i++)
        if (!desk_listen(desk, listen->items[i], err))
            return false;
    return true;
}

static void desk_close_listeners(struct desk *desk)
{
    for (size_t i = 0; i < desk->listen_count; i++) {
        close(desk->listen_fds[i]);
        if (!strncmp(desk->bound.items[i], "unix:", 5))
            unlink(desk->bound.items[i] + 5);
        mem_free(desk->bound.items[i]);
    }
    mem_free(desk->listen_fds);
    mem_free(desk->bound.items);
    desk->listen_fds = NULL;
    desk->bound = (struct config_strings){0};
    desk->listen_count = 0;
}

// -- life --------------------------------------------------------------------------------------

bool desk_open(struct desk *desk, struct err *err)
{
    const struct facts facts = {
        .arg = desk,
        .config = fact_config,
        .keeper = fact_keeper,
        .process = fact_process,
        .clients = fact_clients,
        .traffic = fact_traffic,
        .upstream = fact_upstream,
        .waiting = fact_waiting,
        .judge = fact_judge,
        .reload = desk->reload ? order_reload : NULL,
        .drain = desk->drain ? order_drain : NULL,
    };
    if (!desk->config->admin.listen.count)
        return true;
    desk->admin = admin_new(desk->loop, &facts, err);
    if (!desk->admin || !desk_open_listeners(desk, err) ||
        !(desk->gate = gate_new(desk->config, &desk->bound, err))) {
        desk_close(desk);
        return false;
    }
    ledger_set_listener(desk->ledger, on_upstream_failure, desk);
    keeper_set_listener(desk->keeper, admin_on_token_failure, desk->admin);
    return true;
}

void desk_close(struct desk *desk)
{
    if (desk->ledger)
        ledger_set_listener(desk->ledger, NULL, NULL);
    if (desk->keeper)
        keeper_set_listener(desk->keeper, NULL, NULL);
    admin_free(desk->admin);
    desk->admin = NULL;
    desk_close_listeners(desk);
    gate_free(desk->gate);
    desk->gate = NULL;
}

static bool strings_differ(const struct config_strings *a, const struct config_strings *b)
{
    bool differ = a->count != b->count;
    for (size_t i = 0; !differ && i < a->count; i++)
        differ = strcmp(a->items[i], b->items[i]) != 0;
    return differ;
}

bool desk_set_config(struct desk *desk, struct config *config, struct err *err)
{
    if (strings_differ(&desk->config->admin.listen, &config->admin.listen))
        log_warn("admin.needs_restart", F_TEXT("text", "[admin] listen has changed"));
    if (desk->admin) {
        struct gate *gate = gate_new(config, &desk->bound, err);
        if (!gate)
            return false;
        gate_free(desk->gate);
        desk->gate = gate;
    }
    desk->config = config;
    return true;
}
