// SPDX-License-Identifier: MIT
// See listening.h. The kernel spreads TCP connections over the workers' own sockets
// (SO_REUSEPORT); a unix socket, and one that was handed over by itself, is shared by all.
#include "daemon/listening.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/url.h"
#include "http/server.h"

static bool is_unix(const char *address)
{
    return !strncmp(address, "unix:", 5);
}

// -- one ---------------------------------------------------------------------------------------

static void listening_add(struct listening *listening, int fd, size_t worker,
                          struct passed_socket *from)
{
    listening->items =
        mem_realloc(listening->items, (listening->count + 1) * sizeof *listening->items);
    listening->items[listening->count++] = (struct listening_socket){fd, worker, from};
}

static bool is_shareable(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    return !getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) && on;
}

// For the workers that have none yet.
static bool listening_fill(struct listening *listening, const struct listening_request *request,
                           struct err *err)
{
    size_t first_count = listening->count;
    assert(first_count);
    bool is_own =
        !listening->is_lent && !is_unix(listening->bound) && is_shareable(listening->items[0].fd);
    for (size_t i = first_count; i < request->worker_count; i++) {
        int fd = is_own ? listen_open(listening->bound, true, 0, listening->bound,
                                      sizeof listening->bound, err)
                        : dup(listening->items[i % first_count].fd);
        if (fd < 0)
            return is_own ? false : err_errno(err, "cannot share %s", listening->bound);
        listening_add(listening, fd, i, NULL);
    }
    return true;
}

// All that were handed over for it: each is its own queue.
static bool listening_take_passed(struct listening *listening,
                                  const struct listening_request *request, struct err *err)
{
    struct passed_socket *socket;
    while (request->passed && (socket = passed_find(request->passed, request->address))) {
        // A service manager's stays there for another time.
        int fd = socket->is_own ? socket->fd : dup(socket->fd);
        if (fd < 0)
            return err_errno(err, "cannot use %s", request->address);
        if (socket->is_own)
            socket->fd = -1;
        socket->is_used = true;
        listening->is_lent = !socket->is_own;
        memcpy(listening->bound, socket->bound, sizeof listening->bound);
        listening_add(listening, fd, listening->count % request->worker_count,
                      socket->is_own ? NULL : socket);
    }
    return true;
}

static bool check_exposure(const struct listening *listening, bool expose, struct err *err)
{
    struct authority at;
    if (expose || is_unix(listening->bound) || !listening->bound[0] ||
        !authority_parse(str_of(listening->bound), &at, NULL))
        return true;
    bool ok = host_is_loopback(at.host);
    authority_fini(&at);
    return ok || err_set(err,
                         "%s is %s, which can be reached from other machines, and whoever reaches "
                         "bearerd acts with its tokens; if that is meant, add expose = yes",
                         listening->address, listening->bound);
}

static bool listening_open_first(struct listening *listening,
                                 const struct listening_request *request, struct err *err)
{
    const char *address = request->address;
    if (!strncmp(address, "fd:", 3))
        return err_set(err, "listen = %s: no socket of that name was handed over", address);
    if (!request->is_port_ours && !is_unix(address) && !listen_is_free(address, err))
        return false;
    int fd = listen_open(address, true, request->unix_mode, listening->bound,
                         sizeof listening->bound, err);
    if (fd >= 0)
        listening_add(listening, fd, 0, NULL);
    return fd >= 0;
}

struct listening *listening_open(const struct listening_request *request, struct err *err)
{
    struct listening *listening = mem_alloc(sizeof *listening);
    listening->refs = 1;
    listening->address = mem_strdup(request->address);
    if (listening_take_passed(listening, request, err) &&
        (listening->count || listening_open_first(listening, request, err)) &&
        check_exposure(listening, request->expose, err) && listening_fill(listening, request, err))
        return listening;
    listening_unref(listening);
    return NULL;
}

struct listening *listening_ref(struct listening *listening)
{
    listening->refs++;
    return listening;
}

void listening_unref(struct listening *listening)
{
    if (!listening || --listening->refs > 0)
        return;
    for (size_t i = 0; i < listening->count; i++) {
        close(listening->items[i].fd);
        if (listening->items[i].from)
            listening->items[i].from->is_used = false;
    }
    if (listening->count && is_unix(listening->bound) && !listening->is_lent &&
        !listening->is_given_away)
        unlink(listening->bound + 5);
    mem_free(listening->items);
    mem_free(listening->address);
    mem_free(listening);
}

// -- those of a configuration ------------------------------------------------------------------

bool listeners_have(const struct listeners *listeners, const struct listening *listening)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->items[i] == listening)
            return true;
    return false;
}

// Several may be of the same address, if the system chooses their ports.
static struct listening *listeners_known(const struct listeners *before,
                                         const struct listeners *now, const char *address)
{
    for (size_t i = 0; i < before->count; i++)
        if (!strcmp(before->items[i]->address, address) && !listeners_have(now, before->items[i]))
            return before->items[i];
    return NULL;
}

static const char *port_of(const char *address)
{
    const char *colon = is_unix(address) ? NULL : strrchr(address, ':');
    return colon ? colon : "";
}

// 127.0.0.1:8080 may have to make room for 0.0.0.0:8080, and both are open for a moment.
static bool is_port_ours(const struct listeners *before, const struct listeners *now,
                         const char *address)
{
    const char *port = port_of(address);
    for (size_t i = 0; i < before->count; i++)
        if (*port && !strcmp(port_of(before->items[i]->bound), port))
            return true;
    for (size_t i = 0; i < now->count; i++)
        if (*port && !strcmp(port_of(now->items[i]->bound), port))
            return true;
    return false;
}

static void apply_mode(const struct listening *listening, const struct config *config)
{
    if (is_unix(listening->bound) && !listening->is_lent &&
        chmod(listening->bound + 5, (mode_t)config->listen_mode))
        log_warn("listener.mode", F_TEXT("address", listening->bound));
}

bool listeners_open(struct listeners *out, const struct config *config,
                    const struct listeners *before, struct passed *passed, struct err *err)
{
    *out = (struct listeners){.items = mem_array(config->listen.count, sizeof(void *))};
    for (size_t i = 0; i < config->listen.count; i++) {
        const char *address = config->listen.items[i];
        struct listening *known = listeners_known(before, out, address);
        if (known)
            apply_mode(known, config);
        struct listening_request request = {.address = address,
                                            .worker_count = (size_t)config->workers,
                                            .unix_mode = (unsigned)config->listen_mode,
                                            .expose = config->expose,
                                            .is_port_ours = is_port_ours(before, out, address),
                                            .passed = passed};
        struct listening *listening = known ? listening_ref(known) : listening_open(&request, err);
        if (!listening) {
            listeners_close(out);
            return false;
        }
        out->items[out->count++] = listening;
    }
    return true;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        listening_unref(listeners->items[i]);
    mem_free(listeners->items);
    *listeners = (struct listeners){0};
}

struct config_strings listeners_bound(const struct listeners *listeners)
{
    struct config_strings bound = {.items = mem_array(listeners->count, sizeof(char *))};
    for (size_t i = 0; i < listeners->count; i++)
        bound.items[bound.count++] = listeners->items[i]->bound;
    return bound;
}
