// SPDX-License-Identifier: MIT
// How accepting ends: for one listener while the others go on, or for all. Whoever stands in the
// queue is let in first. A connection whose listener has gone ends with the reply under way, or at
// once if it idles; one that has just come is given the time to ask.
#include <string.h>
#include <sys/socket.h>

#include "http/server.h"
#include "http/server_private.h"

#define FIRST_REQUEST_MS 1000 // for a connection that had none

bool conn_is_leaving(const struct conn *conn)
{
    return conn->is_leaving || conn->server->is_draining;
}

static void conn_leave_idle(struct conn *conn, bool is_first)
{
    if (conn->req || conn_has_input(conn))
        return;
    if (conn->has_asked)
        shutdown(conn->fd, SHUT_RDWR);
    else if (is_first) // it may be about to ask, and could not see this coming
        conn_set_deadline(conn, FIRST_REQUEST_MS);
}

// -- listeners ---------------------------------------------------------------------------------

// The queue of one that is lent is left to the others.
static void listener_close(struct listener *listener)
{
    if (!listener->is_lent && !listener->server->is_lent) {
        while (listener->watch.events && listener_accept(listener))
            ;
        shutdown(listener->watch.fd, SHUT_RD);
    }
    watch_stop(listener->server->loop, &listener->watch);
}

static struct listener *server_find_listener(const struct server *server, int fd)
{
    for (struct list *link = server->listeners.next; link != &server->listeners;
         link = link->next) {
        struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (listener->watch.fd == fd)
            return listener;
    }
    return NULL;
}

void server_lend(struct server *server, int fd)
{
    struct listener *listener = server_find_listener(server, fd);
    if (listener)
        listener->is_lent = true;
}

void server_lend_all(struct server *server, bool is_lent)
{
    server->is_lent = is_lent;
}

// By where it is bound: libmicrohttpd does not tell which listener a connection came by.
static bool listener_has(const struct listener *listener, const char *address)
{
    char bound[LISTEN_ADDRESS_MAX];
    listen_address(listener->watch.fd, bound);
    const char *port = strrchr(bound, ':'), *other = strrchr(address, ':');
    bool is_any =
        str_starts(str_of(bound), STR("0.0.0.0:")) || str_starts(str_of(bound), STR("[::]:"));
    return !strcmp(bound, address) || (is_any && port && other && !strcmp(port, other));
}

static bool server_accepts_at(const struct server *server, const char *address,
                              const struct listener *but)
{
    for (struct list *link = server->listeners.next; link != &server->listeners;
         link = link->next) {
        const struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (listener != but && listener_has(listener, address))
            return true;
    }
    return false;
}

void server_unlisten(struct server *server, int fd)
{
    struct listener *listener = server_find_listener(server, fd);
    if (!listener)
        return;
    listener_close(listener);
    for (struct list *link = server->conns.next; link != &server->conns; link = link->next) {
        struct conn *conn = CONTAINER_OF(link, struct conn, link);
        char address[LISTEN_ADDRESS_MAX];
        listen_address(conn->fd, address);
        if (conn->is_leaving || !listener_has(listener, address) ||
            server_accepts_at(server, address, listener))
            continue;
        conn->is_leaving = true;
        conn_leave_idle(conn, true);
    }
    list_remove(&listener->link);
    mem_free(listener);
    server_want_run(server);
}

// -- all of it ---------------------------------------------------------------------------------

void server_drain(struct server *server)
{
    bool is_first = !server->is_draining;
    for (struct list *link = server->listeners.next; is_first && link != &server->listeners;
         link = link->next)
        listener_close(CONTAINER_OF(link, struct listener, link));
    server->is_draining = true;
    for (struct list *link = server->conns.next; link != &server->conns; link = link->next)
        conn_leave_idle(CONTAINER_OF(link, struct conn, link), is_first);
    server_want_run(server);
}
