// SPDX-License-Identifier: MIT
// See daemon.h. Owns what the whole process has one of; the workers own the rest. Stopping: every
// worker drains and ends its loop, the last one to say so ends the control loop.
#include "daemon/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/desk.h"
#include "daemon/worker.h"
#include "http/server.h"

#define ADDRESS_MAX 128

struct daemon {
    struct config *config;
    struct policy *policy;
    struct loop *loop;
    struct keeper *keeper;
    struct ledger *ledger;
    struct desk desk;
    struct config_strings bound; // as many as config->listen
    int *listen_fds;             // worker after worker, each with one for every listener
    size_t listen_fd_count;
    struct worker **workers;
    size_t worker_count, workers_running;
    struct watch signal_watch;
    char instance[24];
    bool is_stopping;
};

const char *daemon_address(const struct daemon *daemon, size_t i)
{
    return i < daemon->bound.count ? daemon->bound.items[i] : NULL;
}

// -- building ----------------------------------------------------------------------------------

// The kernel spreads TCP connections over the workers' own sockets; a unix socket is shared.
static bool daemon_listen(struct daemon *daemon, size_t which, struct err *err)
{
    const char *address = daemon->config->listen.items[which];
    bool is_unix = !strncmp(address, "unix:", 5);
    size_t per_worker = daemon->config->listen.count;
    char bound[ADDRESS_MAX] = "";
    for (size_t i = 0; i < daemon->worker_count; i++) {
        int *fd = &daemon->listen_fds[i * per_worker + which];
        if (i > 0 && is_unix) {
            *fd = dup(daemon->listen_fds[which]);
        } else {
            *fd = listen_open(i ? bound : address, daemon->worker_count > 1,
                              (unsigned)daemon->config->listen_mode, bound, sizeof bound, err);
        }
        if (*fd < 0)
            return false;
    }
    daemon->bound.items[which] = mem_strdup(bound);
    daemon->bound.count = which + 1;
    return true;
}

static bool daemon_open_listeners(struct daemon *daemon, struct err *err)
{
    size_t count = daemon->config->listen.count;
    daemon->listen_fd_count = daemon->worker_count * count;
    daemon->listen_fds = mem_array(daemon->listen_fd_count, sizeof(int));
    for (size_t i = 0; i < daemon->listen_fd_count; i++)
        daemon->listen_fds[i] = -1;
    daemon->bound.items = mem_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        if (!daemon_listen(daemon, i, err))
            return false;
    return true;
}

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

static bool daemon_build_workers(struct daemon *daemon, struct err *err)
{
    size_t per_worker = daemon->config->listen.count;
    daemon->workers = mem_array(daemon->worker_count, sizeof(struct worker *));
    for (size_t i = 0; i < daemon->worker_count; i++) {
        struct worker_config config = {
            .policy = daemon->policy,
            .keeper = daemon->keeper,
            .ledger = daemon->ledger,
            .instance = daemon->instance,
            .listen_fds = &daemon->listen_fds[i * per_worker],
            .listen_fd_count = per_worker,
            .worker_count = daemon->worker_count,
            .on_stopped = on_worker_stopped,
            .arg = daemon,
        };
        daemon->workers[i] = worker_new(&config, err);
        if (!daemon->workers[i])
            return false;
    }
    return true;
}

static bool daemon_build_policy(struct daemon *daemon, struct err *err)
{
    struct config_faults faults = {0};
    daemon->policy = policy_new(daemon->config, &daemon->bound, &faults);
    if (!daemon->policy)
        err_set(err, "%s:%u: %s", faults.items[0].file, faults.items[0].line,
                faults.items[0].message);
    config_faults_fini(&faults);
    return daemon->policy != NULL;
}

static void daemon_begin_stop(void *arg);

// Once is enough: a second time would break off what is under way.
static void on_drain_order(void *arg)
{
    struct daemon *daemon = arg;
    if (!daemon->is_stopping)
        daemon_begin_stop(daemon);
}

static bool daemon_open_desk(struct daemon *daemon, struct err *err)
{
    daemon->desk = (struct desk){
        .loop = daemon->loop,
        .config = daemon->config,
        .keeper = daemon->keeper,
        .ledger = daemon->ledger,
        .workers = daemon->workers,
        .worker_count = daemon->worker_count,
        .process = {.instance = daemon->instance,
                    .phase = FACTS_STARTING,
                    .started_at_s = clock_realtime_s(),
                    .workers = daemon->worker_count,
                    .listen = &daemon->bound,
                    .reloads = {.done_at_s = clock_realtime_s()}},
        .drain = on_drain_order,
        .arg = daemon,
    };
    return desk_open(&daemon->desk, err);
}

struct daemon *daemon_new(struct config *config, struct err *err)
{
    struct daemon *daemon = mem_alloc(sizeof *daemon);
    unsigned random = 0;
    daemon->config = config_ref(config);
    daemon->worker_count = (size_t)config->workers;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (unsigned)clock_boottime_us();
    snprintf(daemon->instance, sizeof daemon->instance, "bearerd-%08x", random);
    daemon->loop = loop_new(err);
    if (daemon->loop)
        daemon->ledger = ledger_new(daemon->loop, config);
    if (!daemon->loop || !(daemon->keeper = keeper_new(daemon->loop, config, err)) ||
        !daemon_open_listeners(daemon, err) || !daemon_build_policy(daemon, err) ||
        !daemon_build_workers(daemon, err) || !daemon_open_desk(daemon, err)) {
        daemon_free(daemon);
        return NULL;
    }
    return daemon;
}

void daemon_free(struct daemon *daemon)
{
    if (!daemon)
        return;
    for (size_t i = 0; daemon->workers && i < daemon->worker_count; i++)
        worker_free(daemon->workers[i]);
    desk_close(&daemon->desk);
    mem_free(daemon->workers);
    keeper_free(daemon->keeper);
    policy_free(daemon->policy);
    loop_free(daemon->loop);
    ledger_free(daemon->ledger);
    for (size_t i = 0; i < daemon->listen_fd_count; i++)
        if (daemon->listen_fds[i] >= 0)
            close(daemon->listen_fds[i]);
    mem_free(daemon->listen_fds);
    for (size_t i = 0; i < daemon->bound.count; i++) {
        if (!strncmp(daemon->bound.items[i], "unix:", 5))
            unlink(daemon->bound.items[i] + 5);
        mem_free(daemon->bound.items[i]);
    }
    mem_free(daemon->bound.items);
    config_unref(daemon->config);
    mem_free(daemon);
}

// -- running -----------------------------------------------------------------------------------

static void daemon_begin_stop(void *arg)
{
    struct daemon *daemon = arg;
    // The second time means: at once.
    uint64_t limit_ms = daemon->is_stopping ? 0 : daemon->config->drain_timeout_ms;
    log_info("stopping", F_NUM("drain_ms", limit_ms));
    daemon->is_stopping = true;
    daemon->desk.process.phase = FACTS_DRAINING; // not ready, before anything is closed
    for (size_t i = 0; i < daemon->worker_count; i++)
        worker_stop(daemon->workers[i], limit_ms);
}

void daemon_stop(struct daemon *daemon)
{
    loop_post(daemon->loop, daemon_begin_stop, daemon);
}

static void on_signal(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct signalfd_siginfo info;
    if (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        daemon_begin_stop(CONTAINER_OF(watch, struct daemon, signal_watch));
}

static int daemon_watch_signals(struct daemon *daemon, struct err *err)
{
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    int fd = signalfd(-1, &stop_signals, SFD_NONBLOCK | SFD_CLOEXEC);
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

static bool daemon_start_workers(struct daemon *daemon, struct err *err)
{
    for (size_t i = 0; i < daemon->worker_count; i++) {
        if (!worker_start(daemon->workers[i], err)) {
            for (size_t j = 0; j < i; j++)
                worker_stop(daemon->workers[j], 0);
            return false;
        }
        daemon->workers_running++;
    }
    return true;
}

bool daemon_run(struct daemon *daemon, struct err *err)
{
    int signal_fd = daemon_watch_signals(daemon, err);
    if (signal_fd < 0)
        return false;
    bool ok = daemon_start_workers(daemon, err);
    if (ok) {
        for (size_t i = 0; i < daemon->bound.count; i++)
            log_info("listening", F_TEXT("address", daemon->bound.items[i]));
        keeper_keep_required(daemon->keeper);
        daemon->desk.process.phase = FACTS_RUNNING;
        log_info("ready", F_NUM("workers", daemon->worker_count));
        loop_run(daemon->loop);
        log_info("stopped");
    }
    watch_stop(daemon->loop, &daemon->signal_watch);
    close(signal_fd);
    return ok;
}
