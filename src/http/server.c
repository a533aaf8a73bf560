// SPDX-License-Identifier: MIT
// Connections and the life of libmicrohttpd on our loop (server_run.c: when it runs). Sockets are
// accepted here (several listeners, any address family) and handed over. Traps of
// the library that this file and its siblings step round are named where they do.
#include "http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/server_handler.h"
#include "http/server_private.h"

#define ACCEPTS_PER_TURN 32

// libmicrohttpd's own limit, beyond that of ours that a configuration may set and change.
#define LIBRARY_CONNECTIONS_MAX 1000001

// -- connections -------------------------------------------------------------------------------

// Drops what was written and is not taken yet, too.
void conn_reset(const struct conn *conn)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (connect(conn->fd, &nobody, sizeof nobody)) // dissolves the connection
        shutdown(conn->fd, SHUT_RDWR);
}

void conn_break(const struct conn *conn)
{
    // A body that ends with the connection would look whole behind an orderly end.
    if (conn->req && conn->req->ends_by_close)
        conn_reset(conn);
    else
        shutdown(conn->fd, SHUT_RDWR);
}

void conn_init(struct conn *conn, struct server *server, int fd)
{
    conn->server = server;
    conn->fd = fd;
    // Asked of the socket: libmicrohttpd 1.0 tells of a connection only some time after it was
    // added.
    int family = AF_INET;
    socklen_t family_len = sizeof family;
    if (conn->fd >= 0 && !getsockopt(conn->fd, SOL_SOCKET, SO_DOMAIN, &family, &family_len))
        conn->is_unix = family == AF_UNIX;
    struct ucred peer;
    socklen_t peer_len = sizeof peer;
    conn->peer_uid = UINT32_MAX;
    if (conn->is_unix && !getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len))
        conn->peer_uid = peer.uid;
    conn_init_deadline(conn);
    list_append(&server->conns, &conn->link);
    server->conn_count++;
}

void conn_fini(struct conn *conn)
{
    conn_fini_deadline(conn);
    list_remove(&conn->link);
    conn->server->conn_count--;
    conn_leave(conn);
}

static struct conn *conn_new(struct server *server, struct MHD_Connection *mhd)
{
    struct conn *conn = mem_alloc(sizeof *conn);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    conn->mhd = mhd;
    conn_init(conn, server, info ? info->connect_fd : -1);
    conn_enter(conn);
    return conn;
}

static void conn_free(struct conn *conn)
{
    if (conn->req)
        req_abandon(conn->req);
    conn_fini(conn);
    mem_free(conn);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct server *server = arg;
        server->given_count -= server->given_count > 0;
        *context = conn_new(server, mhd);
    } else if (*context) {
        conn_free(*context);
        *context = NULL;
    }
}

void server_add_connection(struct server *server, bool is_unix, int fd)
{
    // The address is not used, and libmicrohttpd 0.9.75 reads past the end of a bound unix
    // client's.
    struct sockaddr_storage address = {.ss_family = is_unix ? AF_UNIX : AF_INET};
    server->given_count++;
    // When this fails it has closed the descriptor.
    if (MHD_add_connection(server->daemon, fd, (const struct sockaddr *)&address,
                           sizeof(struct sockaddr_in)) != MHD_YES) {
        log_warn("client.not_accepted", F_TEXT("why", strerror(errno)));
        server->given_count--;
        server_forget(server, fd);
    }
    server_want_run(server);
}

static void server_watch_listeners(struct server *server, bool on)
{
    for (struct list *link = server->listeners.next; link != &server->listeners;
         link = link->next) {
        struct listener *listener = CONTAINER_OF(link, struct listener, link);
        if (!on)
            watch_stop(server->loop, &listener->watch);
        else if (!listener->watch.events && !server->is_draining && !listener->is_shut &&
                 !watch_start(server->loop, &listener->watch, listener->watch.fd, LOOP_READ, NULL))
            log_error("listener.cannot_watch", F_TEXT("why", strerror(errno)));
    }
}

static bool server_has_newcomer(const struct server *server)
{
    if (server->is_draining)
        return false;
    for (struct list *link = server->listeners.next; link != &server->listeners;
         link = link->next) {
        const struct listener *listener = CONTAINER_OF(link, struct listener, link);
        struct pollfd look = {.fd = listener->watch.fd, .events = POLLIN};
        if (!listener->is_shut && poll(&look, 1, 0) > 0)
            return true;
    }
    return false;
}

// Newcomers wait in the backlog until somebody leaves, or is made to; the sweep looks again.
static void server_be_full(struct server *server)
{
    bool has_room = server_has_newcomer(server) && server_make_room(server);
    server_watch_listeners(server, false);
    // Looking for who idles walks over all connections: the more there are, the more seldom.
    timer_start(server->loop, &server->sweep_timer,
                has_room ? 1 + server->conn_count / 1000 : SWEEP_MS);
}

static bool is_resource_error(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

static bool server_is_full(const struct server *server)
{
    return server->conn_count + server->given_count >= server->config.max_connections;
}

// Whoever holds the same socket can shut it for us, and the loop would tell of that for ever.
static void listener_be_shut(struct listener *listener)
{
    char bound[LISTEN_ADDRESS_MAX];
    listen_address(listener->watch.fd, bound);
    log_error("listener.shut", F_TEXT("address", bound));
    listener->is_shut = true;
    watch_stop(listener->server->loop, &listener->watch);
}

bool listener_accept(struct listener *listener)
{
    struct server *server = listener->server;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (server_is_full(server)) {
            server_be_full(server);
            return false;
        }
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof address;
        int fd = accept4(listener->watch.fd, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            server->is_out_of_resources = false;
            if (!server_admit(server, fd, &address))
                continue;
            server->accepted_count++;
            if (server->config.takes_connect)
                raw_accept(server, fd);
            else
                server_add_connection(server, listener->is_unix, fd);
        } else if (is_resource_error(errno) && reserve_give(&server->reserve)) {
            continue;
        } else if (is_resource_error(errno)) {
            if (!server->is_out_of_resources)
                log_error("listener.cannot_accept", F_TEXT("why", strerror(errno)));
            server->is_out_of_resources = true; // said once, until an accept works again
            server_be_full(server);
            return false;
        } else if (errno == EINVAL) {
            listener_be_shut(listener);
            return false;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void on_listener_ready(struct watch *watch, unsigned ready)
{
    (void)ready;
    (void)listener_accept(CONTAINER_OF(watch, struct listener, watch));
}

bool server_listen(struct server *server, int fd, struct err *err)
{
    struct listener *listener = mem_alloc(sizeof *listener);
    int family = AF_INET;
    socklen_t family_len = sizeof family;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_len);
    listener->server = server;
    listener->is_unix = family == AF_UNIX;
    listener->watch.on_ready = on_listener_ready;
    if (!watch_start(server->loop, &listener->watch, fd, LOOP_READ, err)) {
        mem_free(listener);
        return false;
    }
    list_append(&server->listeners, &listener->link);
    return true;
}

// -- the sweep ---------------------------------------------------------------------------------
// Suspended connections are invisible to libmicrohttpd: that a client went away is noticed here.
// Watching costs two system calls, so only those that have waited for a while are watched.

static void on_client_gone(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct req *req = CONTAINER_OF(watch, struct req, gone_watch);
    req->is_gone = true;
    req_resume(req);
}

// True if some are still too young to be watched.
static bool server_watch_suspended(struct server *server)
{
    uint64_t now = loop_now_ms(server->loop);
    for (struct list *link = server->suspended.next; link != &server->suspended;
         link = link->next) {
        struct req *req = CONTAINER_OF(link, struct req, suspended_link);
        if (req->gone_watch.events || req->hand)
            continue;
        if (now - req->suspended_ms < SWEEP_MS)
            return true;
        req->gone_watch.on_ready = on_client_gone;
        if (!watch_start(server->loop, &req->gone_watch, req->conn->fd, LOOP_HANGUP, NULL))
            log_warn("client.cannot_watch", F_TEXT("why", strerror(errno)));
    }
    return false;
}

static void on_sweep(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, sweep_timer);
    if (server_watch_suspended(server))
        timer_start(server->loop, timer, SWEEP_MS);
    if (server_is_full(server))
        server_be_full(server);
    else
        server_watch_listeners(server, true);
}

// -- life --------------------------------------------------------------------------------------

static size_t keep_encoded(void *arg, struct MHD_Connection *mhd, char *text)
{
    (void)arg;
    (void)mhd;
    return strlen(text); // the target is ours to judge: nothing is decoded
}

static struct MHD_Daemon *server_start_daemon(struct server *server)
{
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)server->config.header_limit, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, LIBRARY_CONNECTIONS_MAX, NULL},
        // No MHD_OPTION_CONNECTION_TIMEOUT: our own deadlines are the limits, and with one, 0.9.75
        // uses a connection after its end if the reply that server_queue_answered() queues fails.
        // 0.9.75 answers what it refuses itself with its head sent twice: leave that to the guard.
        {MHD_OPTION_STRICT_FOR_CLIENT, server->parses_in_place ? 0 : 1, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME |
                                MHD_ALLOW_UPGRADE | MHD_USE_NO_LISTEN_SOCKET,
                            0, NULL, NULL, handler_on_call, server,                    //
                            MHD_OPTION_ARRAY, options,                                 //
                            MHD_OPTION_URI_LOG_CALLBACK, handler_on_target, server,    //
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,          //
                            MHD_OPTION_NOTIFY_COMPLETED, handler_on_completed, server, //
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,       //
                            MHD_OPTION_END);
}

struct server *server_new(struct loop *loop, const struct server_config *config,
                          const struct server_ops *ops, void *arg, struct err *err)
{
    struct server *server = mem_alloc(sizeof *server);
    *server = (struct server){.loop = loop, .config = *config, .ops = ops, .arg = arg};
    server->parses_in_place = !strncmp(MHD_get_version(), "0.", 2);
    server->chunks_are_loose = strverscmp(MHD_get_version(), "1.0.10") < 0;
    reserve_init(&server->reserve, config->spare_fds);
    list_init(&server->listeners);
    list_init(&server->conns);
    list_init(&server->newcomers);
    list_init(&server->suspended);
    list_init(&server->spare);
    timer_init(&server->sweep_timer, on_sweep);
    server_init_runs(server);
    server->daemon = server_start_daemon(server);
    if (!server->daemon) {
        err_set(err, "libmicrohttpd %s did not start", MHD_get_version());
        goto fail;
    }
    if (!server_start_runs(server, err))
        goto fail;
    return server;
fail:
    server_free(server);
    return NULL;
}

void server_handle(struct server *server, void *arg)
{
    server->arg = arg;
}

void server_limit(struct server *server, const struct server_config *config)
{
    size_t header_limit = server->config.header_limit; // libmicrohttpd's, once and for all
    server->config = *config;
    server->config.header_limit = header_limit;
    if (!server->is_draining)
        timer_start(server->loop, &server->sweep_timer, 0); // there may be more room now
}

static void server_end_tunnels(struct server *server)
{
    struct list *next = server->conns.next;
    while (next != &server->conns) {
        struct conn *conn = CONTAINER_OF(next, struct conn, link);
        next = next->next;
        if (conn->is_raw)
            raw_free_now(conn);
        else if (conn->req)
            request_close(&conn->req->pub);
    }
}

void server_free(struct server *server)
{
    if (!server)
        return;
    server_watch_listeners(server, false);
    struct list *link;
    while ((link = list_take_first(&server->listeners)))
        mem_free(CONTAINER_OF(link, struct listener, link));
    server_end_tunnels(server);
    // libmicrohttpd aborts the program when it is stopped while a connection is suspended.
    while (!list_is_empty(&server->suspended)) {
        struct req *req = CONTAINER_OF(server->suspended.next, struct req, suspended_link);
        req->is_gone = true;
        req_resume(req);
    }
    server_stop_runs(server);
    timer_stop(server->loop, &server->sweep_timer);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    task_cancel(&server->run_task);
    reserve_fini(&server->reserve);
    server_forget_all(server);
    while ((link = list_take_first(&server->spare)))
        req_free(CONTAINER_OF(link, struct req, suspended_link));
    mem_free(server);
}

size_t server_connection_count(const struct server *server)
{
    return server->conn_count;
}

uint64_t server_accepted_count(const struct server *server)
{
    return server->accepted_count;
}

const char *server_library_version(void)
{
    return MHD_get_version();
}
