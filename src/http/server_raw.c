// SPDX-License-Identifier: MIT
// Connections that begin with CONNECT, which libmicrohttpd cannot answer with a tunnel: it would
// swallow what comes behind. So where tunnels are allowed, the first bytes of each connection are
// looked at before it is handed over, and those that are CONNECT stay here: one request, read by a
// parser of our own and looked at by the guard, one reply by hand or a tunnel, and the end.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/guard.h"
#include "http/h1.h"
#include "http/server.h"
#include "http/server_private.h"

enum raw_state {
    RAW_GREETING, // what will it be?
    RAW_HEAD,     // CONNECT: its head is not complete
    RAW_REQUEST,  // the handler has it, or a hand, or a tunnel
};

struct raw {
    struct conn conn;
    enum raw_state state;
    struct watch watch; // until somebody else watches the descriptor
    struct task task;   // what must not happen inside another's call: the switch, the end
    struct buf head;    // and what came behind it
    size_t head_len;
    struct buf answer; // to CONNECT, before the tunnel
    bool is_switching, is_ending, is_tunnel, is_handed_over;
};

static struct raw *raw_of(struct conn *conn)
{
    return CONTAINER_OF(conn, struct raw, conn);
}

static void raw_free(struct raw *raw)
{
    struct server *server = raw->conn.server;
    raw_unwatch(&raw->conn);
    task_cancel(&raw->task);
    if (raw->conn.req) {
        const struct req *req = raw->conn.req;
        bool is_complete = raw->is_tunnel || (req->hand && hand_is_complete(req->hand));
        req_end(raw->conn.req, is_complete && !req->is_gone);
    }
    conn_fini(&raw->conn);
    if (!raw->is_handed_over) {
        server_forget(server, raw->conn.fd);
        close(raw->conn.fd);
    }
    buf_fini(&raw->head);
    buf_fini(&raw->answer);
    mem_free(raw);
    server_want_run(server);
}

void raw_unwatch(struct conn *conn)
{
    watch_stop(conn->server->loop, &raw_of(conn)->watch);
}

void raw_end(struct conn *conn)
{
    struct raw *raw = raw_of(conn);
    raw->is_ending = true;
    loop_defer(conn->server->loop, &raw->task);
}

void raw_free_now(struct conn *conn)
{
    raw_free(raw_of(conn));
}

// -- the switch --------------------------------------------------------------------------------

void raw_switch(struct conn *conn, int status, const struct fields *fields)
{
    struct raw *raw = raw_of(conn);
    bool ok = message_start(&raw->answer, status);
    for (size_t i = 0; ok && i < fields->count; i++)
        ok = message_add(&raw->answer, fields->items[i].name, fields->items[i].value);
    ok = ok && buf_append(&raw->answer, STR("\r\n"));
    raw->is_switching = ok;
    raw->is_ending = !ok;
    loop_defer(conn->server->loop, &raw->task);
}

static void raw_do_switch(struct raw *raw)
{
    struct req *req = raw->conn.req;
    // Nothing was sent on this connection before: it fits into the socket.
    ssize_t sent =
        send(raw->conn.fd, raw->answer.ptr, raw->answer.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    raw->is_switching = false;
    if (sent != (ssize_t)raw->answer.len) {
        raw->is_ending = true;
        return;
    }
    raw_unwatch(&raw->conn);
    raw->is_tunnel = true;
    req->phase = REQ_SWITCHED;
    req->server->ops->on_switched(&req->pub, raw->conn.fd,
                                  str_from(buf_str(&raw->head), raw->head_len));
}

static void on_task(struct task *task)
{
    struct raw *raw = CONTAINER_OF(task, struct raw, task);
    if (raw->is_switching && !raw->is_ending)
        raw_do_switch(raw);
    if (raw->is_ending)
        raw_free(raw);
}

// -- the request -------------------------------------------------------------------------------

// As the server's other requests are told to the handler.
static void raw_announce(struct raw *raw, const struct h1_request *head,
                         struct guard_verdict verdict)
{
    struct server *server = raw->conn.server;
    struct req *req = raw->conn.req;
    struct request *pub = &req->pub;
    raw->state = RAW_REQUEST;
    conn_set_deadline(&raw->conn, 0);
    req->phase = REQ_FULL;
    req->was_announced = true;
    pub->method = head->method;
    pub->target = head->target;
    pub->head_len = head->head_len;
    pub->minor = str_eq(head->version, STR("HTTP/1.0")) ? 0 : 1;
    pub->is_unix = raw->conn.is_unix;
    pub->peer_uid = raw->conn.peer_uid;
    pub->may_tunnel = true;
    pub->body = BODY_NONE;
    raw->head_len = head->head_len;
    if (!verdict.status) {
        req_read_framing(req);
        if (req_has_body(req))
            verdict = (struct guard_verdict){400, "CONNECT has no body"};
    }
    if (verdict.status)
        server->ops->on_refused(server->arg, pub, verdict.status, verdict.why);
    else
        server->ops->on_request(server->arg, pub);
}

static struct guard_verdict raw_judge(const struct raw *raw, const struct h1_request *head)
{
    char method[16], version[16];
    snprintf(method, sizeof method, "%.*s", STR_ARG(head->method)); // it is CONNECT
    snprintf(version, sizeof version, "%.*s", STR_ARG(head->version));
    struct guard_input input = {
        .method = method,
        .target = head->target.ptr,
        .target_len = head->target.len,
        .version = version,
        .head_len = head->head_len,
        .fields = &raw->conn.req->pub.fields,
    };
    return guard_check(&input);
}

static void raw_parse(struct raw *raw)
{
    const char *why = "";
    struct h1_request head = {.method = STR("CONNECT"), .version = STR("HTTP/1.1")};
    struct req *req = raw->conn.req ? raw->conn.req : req_new(raw->conn.server, &raw->conn);
    switch (h1_parse_request(buf_str(&raw->head), &head, &req->pub.fields, &why)) {
    case H1_MORE:
        if (raw->head.len >= raw->conn.server->config.header_limit)
            raw_announce(raw, &head, (struct guard_verdict){431, "the request head is too large"});
        break;
    case H1_ERROR:
        req->pub.fields.count = 0;
        raw_announce(raw, &head, (struct guard_verdict){400, why});
        break;
    case H1_DONE:
        raw_announce(raw, &head, raw_judge(raw, &head));
        break;
    }
}

// -- reading -----------------------------------------------------------------------------------

static void raw_hand_over(struct raw *raw)
{
    struct server *server = raw->conn.server;
    bool is_unix = raw->conn.is_unix;
    int fd = raw->conn.fd;
    raw->is_handed_over = true;
    raw_free(raw);
    server_add_connection(server, is_unix, fd);
}

// False: nothing more for now, or it is over. has_ended: and nothing more will come.
static bool raw_greet(struct raw *raw, bool has_ended)
{
    const struct str wanted = STR("CONNECT ");
    char first[8];
    ssize_t got = recv(raw->conn.fd, first, sizeof first, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0) {
        raw_end(&raw->conn);
        return false;
    }
    if (memcmp(first, wanted.ptr, (size_t)got) != 0) {
        raw_hand_over(raw);
        return false;
    }
    if ((size_t)got < wanted.len) {
        if (has_ended) // which a look does not see behind bytes that are left where they are
            raw_end(&raw->conn);
        return false;
    }
    raw->state = RAW_HEAD;
    conn_enter(&raw->conn);
    return true;
}

static void raw_read_head(struct raw *raw)
{
    while (raw->state == RAW_HEAD) {
        char bytes[4096];
        size_t room = raw->head.max - raw->head.len;
        ssize_t got =
            recv(raw->conn.fd, bytes, room < sizeof bytes ? room : sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || !buf_append(&raw->head, (struct str){bytes, (size_t)got})) {
            raw_end(&raw->conn);
            return;
        }
        raw_parse(raw);
    }
}

static void raw_look(struct raw *raw, bool has_ended)
{
    if (raw->state == RAW_GREETING && !raw_greet(raw, has_ended))
        return;
    raw_read_head(raw);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct raw *raw = CONTAINER_OF(watch, struct raw, watch);
    if (raw->state != RAW_REQUEST) {
        raw_look(raw, ready & LOOP_HANGUP);
    } else if (ready & LOOP_HANGUP) {
        raw->conn.req->is_gone = true;
        raw_end(&raw->conn);
    }
}

void raw_accept(struct server *server, int fd)
{
    struct raw *raw = mem_alloc(sizeof *raw);
    struct err err;
    conn_init(&raw->conn, server, fd);
    raw->conn.is_raw = true;
    raw->watch.on_ready = on_ready;
    task_init(&raw->task, on_task);
    buf_init(&raw->head, server->config.header_limit);
    buf_init(&raw->answer, server->config.header_limit);
    unsigned events = LOOP_READ | LOOP_HANGUP | LOOP_EDGE;
    if (!watch_start(server->loop, &raw->watch, fd, events, &err)) {
        log_warn("client.cannot_watch", F_TEXT("why", err.text));
        raw_end(&raw->conn);
        return;
    }
    raw_look(raw, false); // most have sent something by now
}
