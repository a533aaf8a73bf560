// SPDX-License-Identifier: MIT
// See daemon.h. Owns what the whole process has one of; the workers own the rest. Stopping: after
// drain_delay every worker drains and ends its loop, the last one to say so ends the control loop.
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon_private.h"
#include "daemon/descriptors.h"
#include "http/server.h"

const char *daemon_address(const struct daemon *daemon, size_t i)
{
    return i < daemon->listeners.count ? daemon->listeners.items[i]->bound : NULL;
}

bool daemon_is_ready(const struct daemon *daemon)
{
    return daemon->phase == DAEMON_SERVING;
}

void daemon_log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++) {
        const struct config_fault *warning = &config->warnings.items[i];
        log_warn("config.warning", F_TEXT("file", warning->file), F_NUM("line", warning->line),
                 F_TEXT("text", warning->message));
    }
}

void daemon_say_ready(const struct daemon *daemon, const char *state)
{
    char status[512];
    const struct config *config = daemon->config;
    snprintf(status, sizeof status, "Serving on %s%s: %zu routes to %zu upstreams",
             daemon->listeners.items[0]->bound, daemon->listeners.count > 1 ? " and more" : "",
             config->route_count, config->upstream_count);
    notify_status(&daemon->notify, state, status);
}

// -- building ----------------------------------------------------------------------------------

static void on_worker_stopped_here(void *arg)
{
    struct daemon *daemon = arg;
    if (--daemon->workers_running == 0)
        loop_stop(daemon->loop);
}

static void on_worker_stopped(void *arg)
{
    struct daemon *daemon = arg;
    loop_post(daemon->loop, on_worker_stopped_here, daemon);
}

static size_t collect_sockets(const struct listeners *listeners, size_t worker,
                              struct worker_socket *out)
{
    size_t count = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listening *listening = listeners->items[i];
        for (size_t j = 0; j < listening->count; j++)
            if (listening->items[j].worker == worker)
                out[count++] = (struct worker_socket){listening->items[j].fd, listening->is_lent};
    }
    return count;
}

static bool daemon_build_workers(struct daemon *daemon, struct err *err)
{
    size_t most = 0;
    for (size_t i = 0; i < daemon->listeners.count; i++)
        most += daemon->listeners.items[i]->count;
    struct worker_socket *sockets = mem_array(most, sizeof *sockets);
    daemon->workers = mem_array(daemon->worker_count, sizeof(struct worker *));
    bool ok = true;
    for (size_t i = 0; ok && i < daemon->worker_count; i++) {
        struct worker_config config = {
            .policy = daemon->policy,
            .keeper = daemon->keeper,
            .ledger = daemon->ledger,
            .instance = daemon->instance,
            .sockets = sockets,
            .socket_count = collect_sockets(&daemon->listeners, i, sockets),
            .lends_sockets = upgrade_has_predecessor(daemon),
            .worker_count = daemon->worker_count,
            .clients_max = daemon->clients_max,
            .crowd = daemon->crowd,
            .on_stopped = on_worker_stopped,
            .arg = daemon,
        };
        daemon->workers[i] = worker_new(&config, err);
        ok = daemon->workers[i] != NULL;
    }
    mem_free(sockets);
    return ok;
}

static bool daemon_build_policy(struct daemon *daemon, struct err *err)
{
    struct config_faults faults = {0};
    struct config_strings bound = listeners_bound(&daemon->listeners, NULL);
    daemon->policy = policy_new(daemon->config, &bound, NULL, &faults);
    if (!daemon->policy)
        err_set(err, "%s:%u: %s", faults.items[0].file, faults.items[0].line,
                faults.items[0].message);
    config_faults_fini(&faults);
    mem_free(bound.items);
    return daemon->policy != NULL;
}

// A service manager's socket that nothing listens on may be meant for another configuration.
static void daemon_name_unused(const struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->passed.count; i++) {
        const struct passed_socket *socket = &daemon->passed.items[i];
        if (!socket->is_used && !socket->is_own)
            log_warn("listener.unused", F_TEXT("name", socket->name),
                     F_TEXT("address", socket->bound));
    }
}

static bool daemon_build(struct daemon *daemon, struct err *err)
{
    static const struct listeners none;
    if (!(daemon->loop = loop_new(err)))
        return false;
    daemon->ledger = ledger_new(daemon->loop, daemon->config);
    if ((daemon->is_service && !passed_load(&daemon->passed, err)) ||
        !(daemon->keeper = keeper_new(daemon->loop, daemon->config, err)) ||
        !listeners_open(&daemon->listeners, daemon->config, &none, &daemon->passed, err) ||
        !daemon_build_policy(daemon, err) || !daemon_build_workers(daemon, err) ||
        !desk_open(daemon, err))
        return false;
    daemon_name_unused(daemon);
    return true;
}

static void on_delay_over(struct timer *timer);

// They wait until the loop runs, and every thread of ours inherits this.
static sigset_t block_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signals;
}

struct daemon *daemon_new(struct config *config, const struct daemon_service *service,
                          struct err *err)
{
    struct daemon *daemon = mem_alloc(sizeof *daemon);
    unsigned random = 0;
    daemon->config = config_ref(config);
    daemon->worker_count = (size_t)config->workers;
    daemon->clients_max = descriptors_prepare(config);
    if (config->max_connections_per_client)
        daemon->crowd = crowd_new(config->max_connections_per_client);
    daemon->passed.parent_fd = -1;
    timer_init(&daemon->delay_timer, on_delay_over);
    timer_init(&daemon->watchdog.timer, NULL);
    reload_init(daemon);
    upgrade_init(daemon);
    if (service) {
        (void)block_signals();
        daemon->is_service = true;
        daemon->service = *service;
        notify_init(&daemon->notify);
        daemon_log_warnings(config);
    }
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (unsigned)clock_boottime_us();
    snprintf(daemon->instance, sizeof daemon->instance, "bearerd-%08x", random);
    if (daemon_build(daemon, err))
        return daemon;
    daemon_free(daemon);
    return NULL;
}

void daemon_free(struct daemon *daemon)
{
    if (!daemon)
        return;
    for (size_t i = 0; daemon->workers && i < daemon->worker_count; i++)
        worker_free(daemon->workers[i]);
    desk_close(daemon);
    mem_free(daemon->workers);
    crowd_free(daemon->crowd);
    reload_fini(daemon);
    upgrade_fini(daemon);
    if (daemon->loop) {
        timer_stop(daemon->loop, &daemon->delay_timer);
        watchdog_stop(daemon);
    }
    keeper_free(daemon->keeper);
    policy_unref(daemon->policy);
    loop_free(daemon->loop);
    ledger_free(daemon->ledger);
    listeners_close(&daemon->listeners);
    passed_fini(&daemon->passed);
    notify_fini(&daemon->notify);
    config_unref(daemon->config);
    mem_free(daemon);
}

// -- stopping ----------------------------------------------------------------------------------

void daemon_drain_workers(struct daemon *daemon)
{
    log_info("draining", F_NUM("limit_ms", daemon->drain_limit_ms));
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_stop(daemon->workers[i], daemon->drain_limit_ms);
}

static void daemon_drain(struct daemon *daemon, uint64_t limit_ms)
{
    daemon->phase = DAEMON_DRAINING;
    daemon->drain_limit_ms = limit_ms;
    timer_disarm(&daemon->delay_timer);
    if (!daemon->upgrade.is_unwanted) // else its end goes on with this
        daemon_drain_workers(daemon);
}

static void on_delay_over(struct timer *timer)
{
    struct daemon *daemon = CONTAINER_OF(timer, struct daemon, delay_timer);
    daemon_drain(daemon, daemon->config->drain_timeout_ms);
}

void daemon_begin_stop(struct daemon *daemon)
{
    // A successor takes new requests: there is nobody to wait for.
    uint64_t delay_ms = daemon->upgrade.is_done ? 0 : daemon->config->drain_delay_ms;
    if (daemon->phase >= DAEMON_DELAYING)
        return;
    log_info("stopping", F_NUM("delay_ms", delay_ms),
             F_NUM("drain_ms", daemon->config->drain_timeout_ms));
    notify_status(&daemon->notify, "STOPPING=1", "Finishing requests under way");
    daemon->phase = DAEMON_DELAYING;
    if (delay_ms)
        timer_start(daemon->loop, &daemon->delay_timer, delay_ms);
    else
        daemon_drain(daemon, daemon->config->drain_timeout_ms);
}

void daemon_take_stop(struct daemon *daemon)
{
    bool is_second = daemon->is_told_to_stop;
    daemon->is_told_to_stop = true;
    upgrade_give_up(daemon);
    if (is_second)
        daemon_drain(daemon, 0);
    else
        daemon_begin_stop(daemon);
}

static void on_stop(void *arg)
{
    daemon_take_stop(arg);
}

void daemon_stop(struct daemon *daemon)
{
    loop_post(daemon->loop, on_stop, daemon);
}

// -- signals -----------------------------------------------------------------------------------

static void daemon_take_signal(struct daemon *daemon, unsigned number)
{
    if (!daemon->is_service || number == SIGTERM || number == SIGINT || number == SIGQUIT)
        daemon_take_stop(daemon);
    else if (number == SIGHUP)
        reload_on_signal(daemon);
    else if (number == SIGUSR2)
        upgrade_on_signal(daemon);
    // SIGUSR1 makes other servers open their log files again. There are none here.
}

static void on_signal(struct watch *watch, unsigned ready)
{
    struct daemon *daemon = CONTAINER_OF(watch, struct daemon, signal_watch);
    struct signalfd_siginfo info;
    (void)ready;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        daemon_take_signal(daemon, info.ssi_signo);
}

static int daemon_watch_signals(struct daemon *daemon, struct err *err)
{
    sigset_t signals = block_signals();
    int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "cannot watch signals");
        return -1;
    }
    daemon->signal_watch.on_ready = on_signal;
    if (watch_start(daemon->loop, &daemon->signal_watch, fd, LOOP_READ, err))
        return fd;
    close(fd);
    return -1;
}

// -- running -----------------------------------------------------------------------------------

static bool daemon_start(struct daemon *daemon, struct err *err)
{
    const char *pid_file = daemon->is_service ? daemon->config->pid_file : NULL;
    for (size_t i = 0; i < daemon->worker_count; i++) {
        if (!worker_start(daemon->workers[i], err))
            return false;
        daemon->workers_running++;
    }
    // Only now: a successor that fails leaves the number of its predecessor there.
    return !pid_file || pid_file_write(pid_file, err);
}

// Workers that did start may have let somebody in, who is served to the end.
static void daemon_leave_start(struct daemon *daemon)
{
    if (!daemon->workers_running)
        return;
    if (upgrade_has_predecessor(daemon))
        desk_hand_over(daemon);
    daemon_drain(daemon, daemon->config->drain_timeout_ms);
    loop_run(daemon->loop);
}

static void daemon_serve(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->listeners.count; i++)
        log_info("listening", F_TEXT("address", daemon->listeners.items[i]->bound));
    keeper_keep_required(daemon->keeper);
    daemon->phase = DAEMON_SERVING;
    log_info("ready", F_NUM("workers", daemon->worker_count), F_NUM("pid", getpid()));
    daemon_say_ready(daemon, "READY=1");
    watchdog_start(daemon);
    upgrade_tell_predecessor(daemon);
    daemon_let_pages_go();
    loop_run(daemon->loop);
    log_info("stopped");
}

bool daemon_run(struct daemon *daemon, struct err *err)
{
    int signal_fd = daemon_watch_signals(daemon, err);
    if (signal_fd < 0)
        return false;
    bool ok = daemon_start(daemon, err);
    if (ok)
        daemon_serve(daemon);
    else
        daemon_leave_start(daemon);
    if (daemon->config->pid_file && daemon->is_service)
        pid_file_remove(daemon->config->pid_file);
    watch_stop(daemon->loop, &daemon->signal_watch);
    close(signal_fd);
    return ok;
}
