// SPDX-License-Identifier: MIT
// Another configuration while requests are under way. Everything that can fail is done first, and
// beside what runs: reading, checking, compiling, opening listeners and the store. Then the parts
// change, one after the other, none of which can fail. One reload at a time; who asks meanwhile
// gets the next.
//
//   control thread   read, check, build ── keeper ──> a view and an order for each worker
//   worker           new proxy for new requests, old proxy until its last request has ended
//   control thread   all workers have changed: listeners of before are closed, who asked is told
#include <stdio.h>

#include "base/env.h"
#include "base/helper.h"
#include "base/log.h"
#include "daemon/daemon_private.h"
#include "daemon/descriptors.h"
#include "daemon/sandbox.h"

// -- what is built beside what runs ------------------------------------------------------------

struct parts {
    struct config *config;
    struct listeners listeners;
    struct policy *policy;
    struct desk_change desk;
};

static void parts_fini(struct parts *parts)
{
    desk_give_up(&parts->desk);
    policy_unref(parts->policy);
    listeners_close(&parts->listeners);
    config_unref(parts->config);
}

static bool fault(struct config_faults *faults, const struct config *config, const struct err *err)
{
    config_faults_add(faults, (struct config_place){config->path, 0}, "%s", err->text);
    return false;
}

static bool parts_build(struct daemon *daemon, struct parts *out, struct config_faults *faults)
{
    struct err err;
    *out = (struct parts){0};
    out->config = config_load(daemon->config->path, faults);
    if (!out->config) {
        sandbox_explain(faults, daemon->config->path);
        return false;
    }
    env_hide_secrets(); // of variables that were not named before
    if (!sandbox_covers(out->config, &err))
        return fault(faults, out->config, &err);
    config_keep(out->config, daemon->config);
    if (!listeners_open(&out->listeners, out->config, &daemon->listeners, &daemon->passed, &err))
        return fault(faults, out->config, &err);
    // Connections that came by a listener of before have a last request: its Host is still right.
    struct config_strings bound = listeners_bound(&out->listeners, &daemon->listeners);
    out->policy = policy_new(out->config, &bound, daemon->policy, faults);
    mem_free(bound.items);
    if (!out->policy)
        return false;
    return (desk_prepare(daemon, out->config, &out->desk, &err) &&
            keeper_reload(daemon->keeper, out->config, &err)) ||
           fault(faults, out->config, &err);
}

// -- telling -----------------------------------------------------------------------------------

static void reload_tell(struct reload *reload, const struct config_faults *faults)
{
    struct list *link;
    while ((link = list_take_first(&reload->under_way))) {
        struct daemon_reload_wait *wait = CONTAINER_OF(link, struct daemon_reload_wait, link);
        wait->on_done(wait, faults);
    }
}

// "file:line: what is wrong", of the first that has a line.
static void first_fault(const struct config_faults *faults, char *out, size_t out_max)
{
    const struct config_fault *first = &faults->items[0];
    for (size_t i = faults->count; i-- > 0;)
        if (faults->items[i].line)
            first = &faults->items[i];
    if (first->line)
        snprintf(out, out_max, "%s:%u: %s", first->file, first->line, first->message);
    else
        snprintf(out, out_max, "%s: %s", first->file, first->message);
}

static void reload_refused(struct daemon *daemon, const struct config_faults *faults)
{
    struct daemon_reload_stats *stats = &daemon->reload.stats;
    char status[512];
    for (size_t i = 0; i < faults->count; i++)
        log_error("reload.fault", F_TEXT("file", faults->items[i].file),
                  F_NUM("line", faults->items[i].line), F_TEXT("text", faults->items[i].message));
    log_error("reload.refused", F_NUM("faults", faults->count),
              F_TEXT("config", daemon->config->path));
    stats->refused++;
    stats->was_refused = true;
    first_fault(faults, stats->why, sizeof stats->why);
    snprintf(status, sizeof status, "The last reload was refused: %s", stats->why);
    notify_status(&daemon->notify, "READY=1", status);
}

static void reload_done(struct daemon *daemon)
{
    static const struct config_faults none;
    struct reload *reload = &daemon->reload;
    listeners_close(&reload->removed);
    reload->stats.done++;
    reload->stats.done_s = clock_realtime_s();
    reload->stats.was_refused = false;
    reload->stats.why[0] = '\0';
    log_info("reloaded", F_TEXT("config", daemon->config->path),
             F_NUM("routes", daemon->config->route_count),
             F_NUM("upstreams", daemon->config->upstream_count),
             F_NUM("tokens", daemon->config->slot_count),
             F_NUM("warnings", daemon->config->warnings.count));
    if (daemon->phase == DAEMON_SERVING) // it may have been told to stop meanwhile
        daemon_say_ready(daemon, "READY=1");
    daemon_let_pages_go();
    reload_tell(reload, &none);
    if (!list_is_empty(&reload->asked))
        loop_defer(daemon->loop, &reload->task);
}

// -- the change --------------------------------------------------------------------------------

static void on_worker_changed_here(void *arg)
{
    struct daemon *daemon = arg;
    if (--daemon->reload.workers_left == 0)
        reload_done(daemon);
}

// On the worker's thread.
static void on_worker_changed(void *arg)
{
    struct daemon *daemon = arg;
    loop_post(daemon->loop, on_worker_changed_here, daemon);
}

// The worker's sockets of those listeners in `of` that `but` does not have.
static struct worker_socket *sockets_of(const struct listeners *of, const struct listeners *but,
                                        size_t worker, size_t *out_count)
{
    struct worker_socket *sockets = NULL;
    *out_count = 0;
    for (size_t i = 0; i < of->count; i++) {
        const struct listening *listening = of->items[i];
        for (size_t j = 0; !listeners_have(but, listening) && j < listening->count; j++) {
            if (listening->items[j].worker != worker)
                continue;
            sockets = mem_realloc(sockets, (*out_count + 1) * sizeof *sockets);
            sockets[(*out_count)++] =
                (struct worker_socket){listening->items[j].fd, listening->is_lent};
        }
    }
    return sockets;
}

static void reload_worker(struct daemon *daemon, size_t worker, const struct listeners *before)
{
    struct worker_change change = {
        .policy = daemon->policy,
        .clients_max = daemon->clients_max,
        .on_done = on_worker_changed,
        .arg = daemon,
    };
    struct worker_socket *added =
        sockets_of(&daemon->listeners, before, worker, &change.added_count);
    struct worker_socket *gone =
        sockets_of(before, &daemon->listeners, worker, &change.removed_count);
    int *removed = mem_array(change.removed_count, sizeof *removed);
    for (size_t i = 0; i < change.removed_count; i++)
        removed[i] = gone[i].fd;
    change.added = added;
    change.removed = removed;
    worker_reload(daemon->workers[worker], &change);
    mem_free(added);
    mem_free(gone);
    mem_free(removed);
}

static void reload_commit(struct daemon *daemon, struct parts *parts)
{
    struct config *config = daemon->config;
    struct policy *policy = daemon->policy;
    helper_refresh(); // before anything is asked of it for this configuration
    daemon->reload.removed = daemon->listeners;
    daemon->config = parts->config;
    daemon->clients_max = descriptors_prepare(daemon->config);
    daemon->policy = parts->policy;
    daemon->listeners = parts->listeners;
    ledger_set_config(daemon->ledger, daemon->config);
    desk_commit(daemon, &parts->desk);
    keeper_keep_required(daemon->keeper);
    log_set_format((enum log_format)daemon->config->log_format);
    log_set_level((enum log_level)daemon->config->log_level);
    if (config->listen_mode != daemon->config->listen_mode)
        listeners_set_mode(&daemon->listeners, (unsigned)daemon->config->listen_mode);
    if (config->admin.socket_mode != daemon->config->admin.socket_mode)
        desk_set_mode(daemon);
    daemon_log_warnings(daemon->config);
    daemon->reload.workers_left = daemon->worker_count;
    for (size_t i = 0; i < daemon->worker_count; i++)
        reload_worker(daemon, i, &daemon->reload.removed);
    for (size_t i = 0; i < daemon->listeners.count; i++)
        if (!listeners_have(&daemon->reload.removed, daemon->listeners.items[i]))
            log_info("listening", F_TEXT("address", daemon->listeners.items[i]->bound));
    policy_unref(policy);
    config_unref(config);
}

static bool reload_begin(struct daemon *daemon, struct config_faults *faults)
{
    struct parts parts;
    char state[96];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_monotonic_us());
    notify_status(&daemon->notify, state, "Reading the configuration again");
    log_info("reloading", F_TEXT("config", daemon->config->path));
    bool ok = parts_build(daemon, &parts, faults);
    if (ok) {
        reload_commit(daemon, &parts);
    } else {
        parts_fini(&parts);
        reload_refused(daemon, faults);
    }
    return ok;
}

static const char *what_forbids(const struct daemon *daemon)
{
    if (daemon->phase != DAEMON_SERVING)
        return "the process is about to end";
    if (upgrade_is_under_way(daemon)) // which has the listeners that a reload may close
        return "an upgrade is under way: ask again once it is over";
    return daemon->reload.workers_left ? "another reload is under way" : NULL;
}

bool daemon_reload(struct daemon *daemon, struct config_faults *faults)
{
    const char *why = what_forbids(daemon);
    if (!why)
        return reload_begin(daemon, faults);
    config_faults_add(faults, (struct config_place){daemon->config->path, 0}, "%s", why);
    if (daemon->phase == DAEMON_SERVING)
        reload_refused(daemon, faults);
    return false;
}

// -- asking ------------------------------------------------------------------------------------

static void on_task(struct task *task)
{
    struct daemon *daemon = CONTAINER_OF(task, struct daemon, reload.task);
    struct reload *reload = &daemon->reload;
    struct config_faults faults = {0};
    struct list *link;
    if (reload->workers_left)
        return; // the end of the one under way begins the next
    while ((link = list_take_first(&reload->asked)))
        list_append(&reload->under_way, link);
    if (!daemon_reload(daemon, &faults))
        reload_tell(reload, &faults);
    config_faults_fini(&faults);
}

void daemon_reload_start(struct daemon *daemon, struct daemon_reload_wait *wait)
{
    list_append(&daemon->reload.asked, &wait->link);
    loop_defer(daemon->loop, &daemon->reload.task);
}

void daemon_reload_cancel(struct daemon_reload_wait *wait)
{
    list_remove(&wait->link);
}

struct daemon_reload_stats daemon_reload_stats(const struct daemon *daemon)
{
    return daemon->reload.stats;
}

static void on_signal_done(struct daemon_reload_wait *wait, const struct config_faults *faults)
{
    (void)faults; // the log has it
    mem_free(wait);
}

void reload_on_signal(struct daemon *daemon)
{
    struct daemon_reload_wait *wait = mem_alloc(sizeof *wait);
    wait->on_done = on_signal_done;
    daemon_reload_start(daemon, wait);
}

void reload_init(struct daemon *daemon)
{
    list_init(&daemon->reload.asked);
    list_init(&daemon->reload.under_way);
    task_init(&daemon->reload.task, on_task);
    daemon->reload.stats.done_s = clock_realtime_s();
}

// Whoever still asks is not told any more, but for ourselves.
void reload_fini(struct daemon *daemon)
{
    struct list *lists[] = {&daemon->reload.asked, &daemon->reload.under_way}, *link;
    task_cancel(&daemon->reload.task);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while (lists[i]->next && (link = list_take_first(lists[i]))) {
            struct daemon_reload_wait *wait = CONTAINER_OF(link, struct daemon_reload_wait, link);
            if (wait->on_done == on_signal_done)
                mem_free(wait);
        }
    listeners_close(&daemon->reload.removed);
}
