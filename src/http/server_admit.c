// SPDX-License-Identifier: MIT
// Who is let in: no client beyond its number of connections, and newcomers before those who idle.
// libmicrohttpd may tell of a connection only some time after it was given: until then what is
// known of it waits in `newcomers`, by its descriptor.
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

#define SAID_EVERY_MS 1000
#define DRAINED_MAX   16 // reads of what a refused client has sent

struct newcomer {
    struct list link;
    int fd;
    struct crowd_client client;
};

static struct newcomer *newcomer_take(struct server *server, int fd)
{
    for (struct list *link = server->newcomers.next; link != &server->newcomers;
         link = link->next) {
        struct newcomer *newcomer = CONTAINER_OF(link, struct newcomer, link);
        if (newcomer->fd != fd)
            continue;
        list_remove(link);
        return newcomer;
    }
    return NULL;
}

void server_forget(struct server *server, int fd)
{
    struct newcomer *newcomer = newcomer_take(server, fd);
    if (newcomer)
        crowd_leave(server->config.crowd, &newcomer->client);
    mem_free(newcomer);
}

void server_forget_all(struct server *server)
{
    while (!list_is_empty(&server->newcomers))
        server_forget(server, CONTAINER_OF(server->newcomers.next, struct newcomer, link)->fd);
}

static void server_turn_away(struct server *server, int fd)
{
    char scratch[4096];
    uint64_t now = loop_now_ms(server->loop);
    if (now - server->turned_away_ms >= SAID_EVERY_MS) { // not a line for each of a flood
        log_warn("client.too_many_connections");
        server->turned_away_ms = now;
    }
    socket_say(fd, SAY_TOO_MANY_CONNECTIONS);
    shutdown(fd, SHUT_WR);
    // Closing with unread bytes would reset the connection, and the answer with it.
    for (int i = 0; i < DRAINED_MAX; i++)
        if (recv(fd, scratch, sizeof scratch, MSG_DONTWAIT) <= 0)
            break;
    close(fd);
}

bool server_admit(struct server *server, int fd, const struct sockaddr_storage *address)
{
    struct crowd *crowd = server->config.crowd;
    if (!crowd)
        return true;
    struct crowd_client client = crowd_client_of(fd, address);
    if (!crowd_enter(crowd, &client)) {
        server_turn_away(server, fd);
        return false;
    }
    server_forget(server, fd); // one of that number that never came
    struct newcomer *newcomer = mem_alloc(sizeof *newcomer);
    newcomer->fd = fd;
    newcomer->client = client;
    list_append(&server->newcomers, &newcomer->link);
    return true;
}

void conn_enter(struct conn *conn)
{
    struct newcomer *newcomer = newcomer_take(conn->server, conn->fd);
    if (!newcomer)
        return;
    conn->client = newcomer->client;
    conn->is_counted = true;
    mem_free(newcomer);
}

void conn_leave(const struct conn *conn)
{
    if (conn->is_counted)
        crowd_leave(conn->server->config.crowd, &conn->client);
}

// -- room --------------------------------------------------------------------------------------

bool conn_has_input(const struct conn *conn)
{
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool server_make_room(struct server *server)
{
    struct conn *longest = NULL;
    for (struct list *link = server->conns.next; link != &server->conns; link = link->next) {
        struct conn *conn = CONTAINER_OF(link, struct conn, link);
        bool is_idle = !conn->req && conn->has_asked && conn->deadline.due_ms != TIMER_NEVER;
        if (is_idle && (!longest || conn->deadline.due_ms < longest->deadline.due_ms))
            longest = conn;
    }
    if (!longest || conn_has_input(longest))
        return false;
    conn_set_deadline(longest, 0); // once is enough
    shutdown(longest->fd, SHUT_RDWR);
    server_want_run(server);
    return true;
}
