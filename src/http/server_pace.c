// SPDX-License-Identifier: MIT
// What a client owes us, and until when: a head, a body, to take its answer. A head has one limit
// from its start to its end. A body or an answer has a purse of body_timeout milliseconds: time
// spends it, bytes fill it at body_min_rate, never above its size. So a client may pause, or be
// slow for a while, and one that sends a byte now and then comes to its end all the same.
#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

#define LOOKS 4 // into the purse, in the time that empties it

// -- the purse ---------------------------------------------------------------------------------

static struct tcp_info conn_tcp_info(const struct conn *conn)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
        return (struct tcp_info){0};
    return info;
}

// What was written may lie in the kernel for minutes; taken is what the client's side has.
static uint64_t pace_taken(struct pace *pace)
{
    const struct conn *conn = pace->conn;
    uint64_t before = pace->mark;
    if (!conn->is_unix) {
        pace->mark = conn_tcp_info(conn).tcpi_bytes_acked;
        return pace->mark - before;
    }
    int queued = 0;
    if (ioctl(conn->fd, TIOCOUTQ, &queued) == 0)
        pace->mark = (uint64_t)queued;
    return pace->moved + (before > pace->mark ? before - pace->mark : 0);
}

// Brings the purse up to date.
static void pace_settle(struct pace *pace)
{
    const struct server *server = pace->conn->server;
    const struct server_config *config = &server->config;
    uint64_t now = loop_now_ms(server->loop), spent = now - pace->looked_ms;
    uint64_t bytes = pace->is_reply ? pace_taken(pace) : pace->moved;
    uint64_t full = config->body_timeout_ms, gained = bytes ? full : 0;
    if (config->body_min_rate && bytes < full * config->body_min_rate)
        gained = bytes * 1000 / config->body_min_rate;
    uint64_t purse = pace->purse_ms + gained;
    purse = purse > spent ? purse - spent : 0;
    pace->purse_ms = purse < full ? purse : full;
    pace->looked_ms = now;
    pace->moved = 0;
}

static void pace_look_later(struct pace *pace)
{
    const struct server *server = pace->conn->server;
    uint64_t step = server->config.body_timeout_ms / LOOKS, purse = pace->purse_ms;
    timer_start(server->loop, &pace->timer, step < purse ? step : purse);
}

static void on_look(struct timer *timer)
{
    struct pace *pace = CONTAINER_OF(timer, struct pace, timer);
    pace_settle(pace);
    if (pace->purse_ms) {
        pace_look_later(pace);
        return;
    }
    log_debug("client.too_slow", F_NUM("fd", pace->conn->fd));
    pace->on_late(pace);
}

void pace_init(struct pace *pace, struct conn *conn, void (*on_late)(struct pace *pace))
{
    *pace = (struct pace){.conn = conn, .on_late = on_late};
    timer_init(&pace->timer, on_look);
}

void pace_fini(struct pace *pace)
{
    timer_stop(pace->conn->server->loop, &pace->timer);
}

void pace_start(struct pace *pace, bool is_reply)
{
    pace->is_reply = is_reply;
    pace->moved = pace->mark = 0;
    pace->purse_ms = pace->conn->server->config.body_timeout_ms;
    pace->looked_ms = loop_now_ms(pace->conn->server->loop);
    pace_look_later(pace);
}

static bool pace_is_on(const struct pace *pace)
{
    return pace->timer.due_ms != TIMER_NEVER;
}

void pace_pause(struct pace *pace)
{
    if (!pace_is_on(pace))
        return;
    // It took all of what was there of an answer.
    if (pace->is_reply)
        pace->purse_ms = pace->conn->server->config.body_timeout_ms;
    else
        pace_settle(pace);
    timer_disarm(&pace->timer);
}

void pace_move(struct pace *pace, size_t len)
{
    pace->moved += len;
    if (pace_is_on(pace))
        return;
    pace->looked_ms = loop_now_ms(pace->conn->server->loop);
    pace_look_later(pace);
}

// -- deadlines ---------------------------------------------------------------------------------

void conn_set_deadline(struct conn *conn, uint64_t delay_ms)
{
    timer_disarm(&conn->pace.timer);
    if (delay_ms)
        timer_start(conn->server->loop, &conn->deadline, delay_ms);
    else
        timer_disarm(&conn->deadline);
}

void conn_start_pace(struct conn *conn, bool is_reply)
{
    timer_disarm(&conn->deadline);
    pace_start(&conn->pace, is_reply);
}

// A connection that was opened and never used is closed without a word: what is said on it could be
// taken for the answer to a request that is just being sent.
static bool conn_owes_head(const struct conn *conn)
{
    if (conn->req)
        return conn->req->phase == REQ_NEW;
    return !conn->has_asked && !conn->is_unix && conn_tcp_info(conn).tcpi_bytes_received;
}

// True: the client gets an answer in the place of the rest of its body.
static bool conn_answer_late_body(const struct conn *conn)
{
    struct req *req = conn->req;
    if (!req || req->phase != REQ_BODY || req->is_draining || !req->server->ops->on_late)
        return false;
    req->is_late = true;
    req->server->ops->on_late(&req->pub);
    return req->hand != NULL;
}

static void conn_be_late(struct conn *conn)
{
    struct req *req = conn->req;
    if (req && req->hand) {
        hand_on_deadline(req->hand);
        return;
    }
    if (req && req->is_draining && req->response) {
        hand_start(req, false); // it waits for the answer before it sends the rest
        return;
    }
    if (conn_answer_late_body(conn))
        return;
    if (req && req->phase == REQ_REPLYING) {
        conn_reset(conn); // else the kernel would hold for the client what we do not
        return;
    }
    if (conn_owes_head(conn))
        conn_say(conn, SAY_LATE_HEAD);
    conn_break(conn);
}

static void on_deadline(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, deadline);
    log_debug("client.too_slow", F_NUM("fd", conn->fd));
    conn_be_late(conn);
}

static void on_late(struct pace *pace)
{
    conn_be_late(pace->conn);
}

void conn_init_deadline(struct conn *conn)
{
    timer_init(&conn->deadline, on_deadline);
    pace_init(&conn->pace, conn, on_late);
    conn_set_deadline(conn, conn->server->config.header_timeout_ms);
}

void conn_fini_deadline(struct conn *conn)
{
    timer_stop(conn->server->loop, &conn->deadline);
    pace_fini(&conn->pace);
}
