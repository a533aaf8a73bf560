// SPDX-License-Identifier: MIT
// A reply written by hand, past libmicrohttpd, which answers no request before the last byte of its
// body, and closes a connection in a way that can reset the reply away. Two ways. Usually the
// connection is suspended, what the client still sends is read here and thrown away, and after the
// reply our side is closed and the client's end awaited for a while. Or request and reply overlap:
// libmicrohttpd goes on reading the request. Either way the connection ends behind it. Invariant:
// while there is a hand, libmicrohttpd writes nothing.
#include <errno.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

#define PIECE_MAX  ((size_t)16 * 1024) // of the body at a time
#define CHUNK_LINE 6                   // "4000\r\n"
#define ROUNDS_MAX 16                  // then it is others' turn
#define LINGER_MS  5000                // for the client to read the reply and close
#define HEAD_ROOM  ((size_t)1024)      // for lines of ours

enum hand_state { HAND_SENDING, HAND_LINGERING, HAND_OVER };

struct hand {
    struct req *req;
    struct buf out;
    size_t sent;         // of out
    struct buf trailers; // lines that go behind the last chunk
    struct pace pace;    // at which it is taken; the request's own goes on beside it
    struct watch watch;
    struct task task;
    enum hand_state state;
    bool overlaps;   // libmicrohttpd reads the request on
    bool is_chunked; // the reply's body is
    bool is_over;    // its last byte is in out
    bool has_ended;  // the client has closed its side
};

// -- the head ----------------------------------------------------------------------------------

struct head_writer {
    struct buf *out;
    bool ok, has_date;
};

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct head_writer *writer = arg;
    if (kind != MHD_HEADER_KIND)
        return MHD_YES;
    writer->has_date |= str_eq_nocase(str_of(name), STR("Date"));
    writer->ok = writer->ok && message_add(writer->out, str_of(name), str_of(value));
    return MHD_YES;
}

static bool hand_is_bodyless(const struct hand *hand)
{
    int status = hand->req->status;
    return str_eq(hand->req->pub.method, STR("HEAD")) || status == 204 || status == 205 ||
           status == 304;
}

// The framing, and what there is of the body.
static bool hand_append_framing(struct hand *hand)
{
    const struct req *req = hand->req;
    uint64_t length = req->reply.is_whole ? req->reply.body.len : req->reply.length;
    bool is_bodyless = hand_is_bodyless(hand), ok = true;
    if (req->status == 205)
        length = 0;
    hand->is_chunked = !is_bodyless && length == REPLY_LENGTH_UNKNOWN && req->pub.minor == 1;
    if (hand->is_chunked)
        ok = buf_append(&hand->out, STR("Transfer-Encoding: chunked\r\n"));
    else if (length != REPLY_LENGTH_UNKNOWN && req->status != 204 &&
             (req->status != 304 || !req->reply.is_whole))
        ok = buf_printf(&hand->out, "Content-Length: %llu\r\n", (unsigned long long)length);
    hand->is_over = is_bodyless || req->reply.is_whole;
    ok = ok && buf_append(&hand->out, STR("\r\n"));
    return ok && (!req->reply.is_whole || is_bodyless || buf_append(&hand->out, req->reply.body));
}

// The fields are those of the response that libmicrohttpd would have sent.
static bool hand_append_head(struct hand *hand)
{
    struct req *req = hand->req;
    struct head_writer writer = {.out = &hand->out, .ok = message_start(&hand->out, req->status)};
    const char *close = MHD_get_response_header(req->response, "Connection");
    MHD_get_response_headers(req->response, on_header, &writer);
    return writer.ok && (close || message_add(&hand->out, STR("Connection"), STR("close"))) &&
           (writer.has_date || message_add_date(&hand->out)) && hand_append_framing(hand);
}

// -- the end -----------------------------------------------------------------------------------

// Whatever libmicrohttpd waits for, it finds the connection ended, or is told to end it.
static void hand_end(struct hand *hand, bool is_complete)
{
    struct req *req = hand->req;
    hand->state = is_complete ? HAND_OVER : hand->state;
    req->is_gone |= !is_complete;
    watch_stop(req->server->loop, &hand->watch);
    timer_disarm(&hand->pace.timer);
    conn_set_deadline(req->conn, 0);
    conn_break(req->conn);
    req_resume(req);
    if (req->conn->is_raw)
        raw_end(req->conn);
}

// The reply is out: the client's end is awaited, so that no reset overtakes it.
static void hand_linger(struct hand *hand)
{
    struct req *req = hand->req;
    hand->state = HAND_LINGERING;
    if (req->ends_by_close)
        req_reset_on_close(req, false);
    req->ends_by_close = false;
    shutdown(req->conn->fd, SHUT_WR);
    if (hand->has_ended || (hand->overlaps && req->phase == REQ_FULL)) {
        hand_end(hand, true);
        return;
    }
    req->is_draining = true;
    conn_set_deadline(req->conn, LINGER_MS);
    if (hand->overlaps)
        req_resume(req); // what was held back is of no use any more
}

// The kernel shall not hold for the client what we do not.
static void on_late(struct pace *pace)
{
    conn_reset(pace->conn);
    hand_end(CONTAINER_OF(pace, struct hand, pace), false);
}

void hand_on_deadline(struct hand *hand)
{
    hand_end(hand, hand->state == HAND_LINGERING);
}

bool hand_is_complete(const struct hand *hand)
{
    return hand->state != HAND_SENDING;
}

bool hand_is_over(const struct hand *hand)
{
    return hand->state == HAND_OVER ||
           (hand->state == HAND_LINGERING && hand->overlaps && hand->req->phase == REQ_FULL);
}

bool hand_overlaps(const struct hand *hand)
{
    return hand->overlaps;
}

bool hand_add_trailer(struct hand *hand, const struct field *field)
{
    return message_add(&hand->trailers, field->name, field->value);
}

// -- bytes -------------------------------------------------------------------------------------

// False when the connection is broken.
static bool hand_flush(struct hand *hand)
{
    struct conn *conn = hand->req->conn;
    while (hand->sent < hand->out.len) {
        ssize_t sent = send(conn->fd, hand->out.ptr + hand->sent, hand->out.len - hand->sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent > 0) {
            hand->sent += (size_t)sent;
            pace_move(&hand->pace, (size_t)sent);
        } else if (errno == EAGAIN) {
            pace_move(&hand->pace, 0);
            return true;
        }
    }
    buf_clear(&hand->out);
    hand->sent = 0;
    pace_pause(&hand->pace); // it is the handler's turn
    return true;
}

static bool hand_append_tail(struct hand *hand)
{
    if (!hand->is_chunked)
        return true;
    return buf_append(&hand->out, STR("0\r\n")) &&
           buf_append(&hand->out, buf_str(&hand->trailers)) && buf_append(&hand->out, STR("\r\n"));
}

static void put_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
}

// A chunk's size goes in front of it, in digits enough for any.
static void hand_add_piece(struct hand *hand, size_t len)
{
    char *at = hand->out.ptr + hand->out.len;
    if (!hand->is_chunked) {
        hand->out.len += len;
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        at[i] = "0123456789abcdef"[len >> (12 - 4 * i) & 15];
    put_line_end(at + 4);
    put_line_end(at + CHUNK_LINE + len);
    hand->out.len += CHUNK_LINE + len + 2;
}

// False: nothing more for now.
static bool hand_pull(struct hand *hand)
{
    struct req *req = hand->req;
    if (!buf_reserve(&hand->out, PIECE_MAX + CHUNK_LINE + 2))
        return false; // cannot happen: it is empty, and its ceiling above that
    char *at = hand->out.ptr + (hand->is_chunked ? CHUNK_LINE : 0);
    ssize_t got = req->server->ops->on_pull(&req->pub, at, PIECE_MAX);
    if (got > 0) {
        hand_add_piece(hand, (size_t)got);
        return true;
    }
    if (got == PULL_END)
        hand->is_over = hand_append_tail(hand);
    else if (got != PULL_WAIT)
        hand_end(hand, false);
    return got == PULL_END;
}

// What still comes is of no use to anybody. False when the connection is broken.
static bool hand_discard(struct hand *hand)
{
    char scratch[16 * 1024] __attribute__((uninitialized));
    for (int round = 0; round < ROUNDS_MAX && !hand->has_ended; round++) {
        ssize_t got = recv(hand->req->conn->fd, scratch, sizeof scratch, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        hand->has_ended = got == 0;
    }
    if (!hand->has_ended)
        loop_defer(hand->req->server->loop, &hand->task);
    return true;
}

static void hand_send(struct hand *hand)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (!hand_flush(hand)) {
            hand_end(hand, false);
            return;
        }
        if (hand->sent < hand->out.len)
            return;
        if (hand->is_over) {
            hand_linger(hand);
            return;
        }
        if (!hand_pull(hand))
            return;
    }
    loop_defer(hand->req->server->loop, &hand->task);
}

static void on_task(struct task *task)
{
    struct hand *hand = CONTAINER_OF(task, struct hand, task);
    if (hand->req->is_gone || hand->state == HAND_OVER)
        return; // its end is on its way
    if (!hand->overlaps && !hand_discard(hand)) {
        hand_end(hand, hand->state == HAND_LINGERING);
        return;
    }
    if (hand->state == HAND_SENDING)
        hand_send(hand);
    else if (hand->state == HAND_LINGERING && hand->has_ended)
        hand_end(hand, true);
}

static void on_ready(struct watch *watch, unsigned ready)
{
    struct hand *hand = CONTAINER_OF(watch, struct hand, watch);
    struct req *req = hand->req;
    if ((ready & LOOP_HANGUP) && hand->overlaps && req->is_suspended) {
        req->is_gone = true; // libmicrohttpd does not look
        req_resume(req);
        return;
    }
    on_task(&hand->task);
}

// -- life --------------------------------------------------------------------------------------

void hand_wake(struct hand *hand)
{
    loop_defer(hand->req->server->loop, &hand->task);
}

void hand_start(struct req *req, bool overlaps)
{
    struct server *server = req->server;
    struct hand *hand = mem_alloc(sizeof *hand);
    struct err err = {"the head is too large"};
    hand->req = req;
    hand->overlaps = overlaps;
    hand->watch.on_ready = on_ready;
    task_init(&hand->task, on_task);
    pace_init(&hand->pace, req->conn, on_late);
    buf_init(&hand->out,
             server->config.header_limit + HEAD_ROOM + req->reply.body.len + 2 * PIECE_MAX);
    buf_init(&hand->trailers, server->config.header_limit);
    req->hand = hand;
    watch_stop(server->loop, &req->gone_watch); // ours sees it, too
    if (req->conn->is_raw)
        raw_unwatch(req->conn);
    req_unpark(req);
    if (!overlaps)
        req_suspend(req);
    bool ok = hand_append_head(hand);
    MHD_destroy_response(req->response);
    req->response = NULL;
    unsigned events = LOOP_WRITE | LOOP_HANGUP | LOOP_EDGE | (overlaps ? 0u : LOOP_READ);
    if (!ok || !watch_start(server->loop, &hand->watch, req->conn->fd, events, &err)) {
        log_warn("reply.not_by_hand", F_TEXT("why", err.text));
        request_abort(&req->pub);
        return;
    }
    if (req->ends_by_close)
        req_reset_on_close(req, true);
    pace_start(&hand->pace, true);
    pace_pause(&hand->pace);
    if (!overlaps)
        conn_set_deadline(req->conn, 0);
    // Not from here: the caller may be in the midst of the reply's body.
    loop_defer(server->loop, &hand->task);
}

void hand_free(struct hand *hand)
{
    if (!hand)
        return;
    watch_stop(hand->req->server->loop, &hand->watch);
    task_cancel(&hand->task);
    pace_fini(&hand->pace);
    buf_fini(&hand->out);
    buf_fini(&hand->trailers);
    mem_free(hand);
}
