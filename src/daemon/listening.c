// SPDX-License-Identifier: MIT
// See listening.h. The kernel spreads TCP connections over the workers' own sockets
// (SO_REUSEPORT); a unix socket, and one that was handed over by itself, is shared by all.
#include "daemon/listening.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/url.h"
#include "http/server.h"

// -- one ---------------------------------------------------------------------------------------

// Takes the descriptor over. False, with errno: it is none.
static bool listening_add(struct listening *listening, int fd, size_t worker,
                          struct passed_socket *from)
{
    if (fd < 0)
        return false;
    listening->items =
        mem_realloc(listening->items, (listening->count + 1) * sizeof *listening->items);
    struct listening_socket *item = &listening->items[listening->count++];
    *item = (struct listening_socket){.fd = fd, .worker = worker, .from = from};
    listen_address(fd, item->bound);
    return true;
}

static int copy_of(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
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
    for (size_t i = first_count; i < request->worker_count; i++) {
        struct listening_socket *like = &listening->items[i % first_count];
        char bound[LISTEN_ADDRESS_MAX];
        bool has_own = !listen_path(like->bound) && is_shareable(like->fd);
        int fd = has_own ? listen_open(like->bound, true, 0, bound, sizeof bound, err)
                         : copy_of(like->fd);
        if (!listening_add(listening, fd, i, NULL))
            return has_own ? false : err_errno(err, "cannot share %s", request->address);
    }
    return true;
}

// A service manager's stays where it is for another time, and is shared by all workers.
static bool listening_share(struct listening *listening, struct passed_socket *socket,
                            size_t worker_count)
{
    listening->is_lent = true;
    for (size_t i = 0; i < worker_count; i++)
        if (!listening_add(listening, copy_of(socket->fd), i, socket))
            return false;
    return true;
}

// All that were handed over for it. Of a predecessor's each is a queue of its own.
static bool listening_take_passed(struct listening *listening,
                                  const struct listening_request *request, struct err *err)
{
    struct passed_socket *socket;
    while (request->passed && (socket = passed_find(request->passed, request->address))) {
        bool ok = socket->is_own ? listening_add(listening, socket->fd,
                                                 listening->count % request->worker_count, NULL)
                                 : listening_share(listening, socket, request->worker_count);
        if (!ok)
            return err_errno(err, "cannot use %s", request->address);
        if (socket->is_own) {
            socket->fd = -1;
            listening->is_anothers = true;
        }
        socket->is_used = true;
    }
    return true;
}

static bool check_exposure(const struct listening *listening, bool expose, struct err *err)
{
    for (size_t i = 0; !expose && i < listening->count; i++) {
        const char *bound = listening->items[i].bound;
        struct authority at;
        if (listen_path(bound) || !authority_parse(str_of(bound), &at, NULL))
            continue;
        bool ok = host_is_loopback(at.host);
        authority_fini(&at);
        if (!ok)
            return err_set(err,
                           "%s is %s, which can be reached from other machines, and whoever "
                           "reaches bearerd acts with its tokens; if that is meant, add "
                           "expose = yes",
                           listening->address, bound);
    }
    return true;
}

static bool listening_open_first(struct listening *listening,
                                 const struct listening_request *request, struct err *err)
{
    const char *address = request->address;
    char bound[LISTEN_ADDRESS_MAX];
    if (!strncmp(address, "fd:", 3))
        return err_set(err, "listen = %s: no socket of that name was handed over", address);
    if (!request->is_ours && !listen_path(address) && !listen_is_free(address, err))
        return false;
    return listening_add(listening,
                         listen_open(address, true, request->unix_mode, bound, sizeof bound, err),
                         0, NULL);
}

struct listening *listening_open(const struct listening_request *request, struct err *err)
{
    struct listening *listening = mem_alloc(sizeof *listening);
    listening->refs = 1;
    listening->address = mem_strdup(request->address);
    if (listening_take_passed(listening, request, err) &&
        (listening->count || listening_open_first(listening, request, err)) &&
        check_exposure(listening, request->expose, err) &&
        listening_fill(listening, request, err)) {
        memcpy(listening->bound, listening->items[0].bound, sizeof listening->bound);
        return listening;
    }
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
    bool is_ours = !listening->is_lent && !listening->is_anothers;
    for (size_t i = 0; i < listening->count; i++) {
        struct listening_socket *item = &listening->items[i];
        const char *path = listen_path(item->bound);
        close(item->fd);
        if (item->from)
            item->from->is_used = false;
        if (is_ours && i == 0 && path) // the others are its copies
            unlink(path);
    }
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

static bool listeners_overlap(const struct listeners *listeners, const char *address)
{
    for (size_t i = 0; i < listeners->count; i++)
        for (size_t j = 0; j < listeners->items[i]->count; j++)
            if (listen_overlaps(address, listeners->items[i]->items[j].bound))
                return true;
    return false;
}

// What may not be reached from other machines any more is refused, though it is open.
static struct listening *listeners_share(struct listening *known, bool expose, struct err *err)
{
    return check_exposure(known, expose, err) ? listening_ref(known) : NULL;
}

bool listeners_open(struct listeners *out, const struct config *config,
                    const struct listeners *before, struct passed *passed, struct err *err)
{
    *out = (struct listeners){.items = mem_array(config->listen.count, sizeof(void *))};
    for (size_t i = 0; i < config->listen.count; i++) {
        const char *address = config->listen.items[i];
        struct listening *known = listeners_known(before, out, address);
        struct listening_request request = {.address = address,
                                            .worker_count = (size_t)config->workers,
                                            .unix_mode = (unsigned)config->listen_mode,
                                            .expose = config->expose,
                                            .is_ours = listeners_overlap(before, address) ||
                                                       listeners_overlap(out, address),
                                            .passed = passed};
        struct listening *listening =
            known ? listeners_share(known, config->expose, err) : listening_open(&request, err);
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

void listeners_give_away(const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        listeners->items[i]->is_anothers = true;
}

void listeners_take_over(const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        listeners->items[i]->is_anothers = false;
}

void listeners_set_mode(const struct listeners *listeners, unsigned mode)
{
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listening *listening = listeners->items[i];
        const char *path = listen_path(listening->bound);
        if (path && !listening->is_lent && chmod(path, (mode_t)mode))
            log_warn("listener.mode", F_TEXT("address", listening->bound),
                     F_TEXT("why", strerror(errno)));
    }
}

static bool has_text(const struct config_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i], text))
            return true;
    return false;
}

static void bound_add(struct config_strings *bound, const struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++) {
        if (has_text(bound, listening->items[i].bound))
            continue;
        bound->items = mem_realloc(bound->items, (bound->count + 1) * sizeof(char *));
        bound->items[bound->count++] = listening->items[i].bound;
    }
}

struct config_strings listeners_bound(const struct listeners *listeners,
                                      const struct listeners *before)
{
    struct config_strings bound = {0};
    for (size_t i = 0; i < listeners->count; i++)
        bound_add(&bound, listeners->items[i]);
    for (size_t i = 0; before && i < before->count; i++)
        bound_add(&bound, before->items[i]);
    return bound;
}
