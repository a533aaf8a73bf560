// SPDX-License-Identifier: MIT
// See forward.h. The request is kept in `out` while it may have to be sent again
// (forward_resend.c). Once more than buffer_max would have to be held, what was sent is dropped,
// and with it the second try. Invariant: the lease is out or waited for exactly in LEASING, HEAD,
// BODY and SWITCHED, and announced in OFF only.
#include "proxy/forward.h"

#include <string.h>

#include "base/log.h"
#include "proxy/forward_private.h"

#define KEEP_MEM_MAX                                                                               \
    ((size_t)64 * 1024) // buffers up to this stay with the object for the next request
#define ENOUGH_TO_SEND ((size_t)48 * 1024)
#define PUT_OFF_MAX    8

void forward_fail(struct forward *forward, enum forward_error error, const char *why)
{
    forward->phase = FORWARD_OVER;
    timer_disarm(&forward->timer);
    lease_end(&forward->lease, false);
    forward->ops->on_failed(forward, error, why);
}

void forward_release(struct forward *forward)
{
    bool is_reusable = forward->response.keep_alive && forward->out_is_over &&
                       forward->out_sent == forward->out.len && forward->in_at == forward->in.len &&
                       !forward->was_cut;
    forward->phase = FORWARD_OVER;
    timer_disarm(&forward->timer);
    lease_end(&forward->lease, is_reusable);
}

// -- sending -----------------------------------------------------------------------------------

static void forward_flush_soon(struct forward *forward);
static void forward_flush_later(struct forward *forward);

static void forward_await_link(struct forward *forward)
{
    const struct forward_limits *limits = &forward->limits;
    forward->is_queued = lease_is_queued(&forward->lease);
    timer_start(forward->loop, &forward->timer,
                forward->is_queued ? limits->queue_timeout_ms : limits->connect_timeout_ms);
}

void forward_open(struct forward *forward, bool wants_fresh)
{
    forward->lease.wants_fresh = wants_fresh;
    forward->phase = FORWARD_LEASING;
    switch (lease_take(forward->pool, &forward->lease)) {
    case LEASE_NOW:
        forward->phase = FORWARD_HEAD;
        forward_flush_later(forward);
        break;
    case LEASE_LATER:
        forward_await_link(forward);
        break;
    case LEASE_REFUSED:
        forward->is_queued = true;
        timer_start(forward->loop, &forward->timer, 0); // told from the loop
        break;
    }
}

// The head bears the access token: no copy of it may stay behind the buffer's end, which no later
// wipe would reach.
void forward_drop_head(struct forward *forward, size_t len)
{
    buf_consume(&forward->out, len);
    if (forward->head_len)
        mem_wipe(forward->out.ptr + forward->out.len, len);
    forward->head_len = 0;
}

static void forward_drop_sent(struct forward *forward)
{
    forward_drop_head(forward, forward->out_sent);
    forward->out_sent = 0;
    forward->out_is_held = false;
}

// Is the end of the request still to be sent, so that the upstream owes us taking it?
static bool forward_is_sending(const struct forward *forward)
{
    return forward->phase == FORWARD_HEAD ||
           (forward->phase == FORWARD_BODY && !forward->out_is_over && !forward->out_is_dropped);
}

void forward_drop_request(struct forward *forward)
{
    forward->out_is_dropped = true;
    forward->out_is_held = forward->out_is_over = false;
    forward->out_sent = 0;
    forward_drop_head(forward, forward->out.len);
    if (!forward->wants_data) // else the rest of the response is owed
        timer_disarm(&forward->timer);
}

// The response has begun, but the rest of the request goes nowhere.
static void forward_be_refused(struct forward *forward)
{
    forward_drop_request(forward);
    forward->ops->on_refusal(forward);
}

// False when the connection broke; the object may be in any phase then.
static bool forward_flush(struct forward *forward)
{
    while (forward->out_sent < forward->out.len) {
        struct str rest = str_from(buf_str(&forward->out), forward->out_sent);
        ssize_t sent = link_send(forward->lease.link, &rest, 1);
        if (sent == LINK_AGAIN) {
            if (forward_is_sending(forward))
                timer_start(forward->loop, &forward->timer, forward->limits.idle_timeout_ms);
            return true;
        }
        if (sent == LINK_FAILED)
            return false;
        forward->out_sent += (size_t)sent;
    }
    if (!forward->out_is_held)
        forward_drop_sent(forward);
    if (forward->phase == FORWARD_HEAD && forward->out_is_over) {
        // Once: what comes in bits must not move it.
        if (!forward->awaits_head)
            timer_start(forward->loop, &forward->timer, forward->limits.first_byte_timeout_ms);
        forward->awaits_head = true;
    } else if (forward_is_sending(forward) && !forward->wants_data)
        timer_disarm(&forward->timer); // it is the client's turn
    return true;
}

static void forward_offer_room(struct forward *forward)
{
    if (forward_is_sending(forward) && forward->wants_room &&
        forward->out.len - forward->out_sent < forward->limits.buffer_max) {
        forward->wants_room = false;
        forward->ops->on_room(forward);
    }
}

static void forward_go_on(struct forward *forward)
{
    bool is_fine = forward_flush(forward);
    if (forward->phase == FORWARD_HEAD) {
        // Also after a failed write: the upstream may have answered before it closed.
        forward_read_head(forward);
        if (!is_fine && forward->phase == FORWARD_HEAD)
            forward_broke(forward, "the connection broke while the request was sent");
    }
    if (!is_fine && forward->phase == FORWARD_BODY && forward_is_sending(forward))
        forward_be_refused(forward);
    forward_offer_room(forward);
}

static void on_lease(struct lease *lease)
{
    struct forward *forward = CONTAINER_OF(lease, struct forward, lease);
    forward->phase = FORWARD_HEAD;
    timer_disarm(&forward->timer);
    forward_go_on(forward);
}

static void on_lease_failed(struct lease *lease, enum link_error error, const char *why)
{
    static const enum forward_error errors[] = {
        [LINK_OK] = FORWARD_LOCAL,
        [LINK_UNREACHABLE] = FORWARD_UNREACHABLE,
        [LINK_TLS] = FORWARD_TLS,
        [LINK_TIMEOUT] = FORWARD_CONNECT_TIMEOUT,
        [LINK_EXHAUSTED] = FORWARD_EXHAUSTED,
        [LINK_LOCAL] = FORWARD_LOCAL,
    };
    forward_fail(CONTAINER_OF(lease, struct forward, lease), errors[error], why);
}

// For callers that must not be called back from inside: a break is told from the loop.
static void forward_flush_soon(struct forward *forward)
{
    if (forward->lease.link && !forward_flush(forward) && forward_is_sending(forward)) {
        forward->is_broken = true;
        timer_start(forward->loop, &forward->timer, 0);
    }
}

// Pieces of a body that come one after the other go in one write, the first of them with the head.
// What is whole, or enough to fill a connection, does not wait.
static void forward_flush_later(struct forward *forward)
{
    if (forward->out_is_over || forward->out.len - forward->out_sent >= ENOUGH_TO_SEND) {
        task_cancel(&forward->task);
        forward->has_grown = false;
        forward->put_off = 0;
        forward_flush_soon(forward);
        if (forward->wants_room) // not told from inside the call that could not give all it had
            loop_defer(forward->loop, &forward->task);
    } else {
        loop_defer(forward->loop, &forward->task);
    }
}

static void on_turn_end(struct task *task)
{
    struct forward *forward = CONTAINER_OF(task, struct forward, task);
    if (forward->phase != FORWARD_HEAD && forward->phase != FORWARD_BODY)
        return;
    // There may be more where that came from; but one who never stops shall not be held up.
    if (forward->has_grown && forward->put_off < PUT_OFF_MAX) {
        forward->has_grown = false;
        forward->put_off++;
        loop_defer(forward->loop, task);
        return;
    }
    forward->put_off = 0;
    forward_flush_soon(forward);
    if (!forward->is_broken)
        forward_offer_room(forward);
}

static bool forward_append(struct forward *forward, struct str bytes)
{
    struct buf *out = &forward->out;
    if (!buf_reserve(out, bytes.len + H1_CHUNK_HEAD_MAX + 2))
        return false;
    char line[H1_CHUNK_HEAD_MAX];
    bool ok =
        !forward->is_chunked || buf_append(out, (struct str){line, h1_chunk_head(line, bytes.len)});
    ok = ok && buf_append(out, bytes);
    return ok && (!forward->is_chunked || buf_append(out, STR("\r\n")));
}

static bool forward_takes_request(const struct forward *forward)
{
    return forward->phase != FORWARD_OVER && forward->phase != FORWARD_OFF &&
           !forward->out_is_dropped;
}

size_t forward_write(struct forward *forward, struct str bytes)
{
    if (!forward_takes_request(forward))
        return bytes
            .len; // failed meanwhile: the answer is on its way, the rest of the body is of no use
    // What was sent goes only when its room is needed: until then it could be sent again.
    size_t body_len = forward->out.len - (forward->out_is_held ? forward->head_len : 0);
    if (body_len + bytes.len > forward->limits.buffer_max && forward->out_sent)
        forward_drop_sent(forward);
    size_t used = forward->out.len - (forward->out_is_held ? forward->head_len : 0);
    size_t room = used < forward->limits.buffer_max ? forward->limits.buffer_max - used : 0;
    if (bytes.len > room) {
        bytes.len = room;
        forward->wants_room = true;
    }
    if (!bytes.len)
        return 0;
    if (!forward_append(forward, bytes)) {
        forward->wants_room = true; // cannot happen: the ceiling of `out` is above buffer_max
        return 0;
    }
    forward->has_grown = true;
    forward_flush_later(forward);
    return bytes.len;
}

static bool forward_append_last_chunk(struct forward *forward, struct str trailers)
{
    return buf_append(&forward->out, STR("0\r\n")) && buf_append(&forward->out, trailers) &&
           buf_append(&forward->out, STR("\r\n"));
}

void forward_finish(struct forward *forward, struct str trailers)
{
    if (!forward_takes_request(forward))
        return;
    if (forward->is_chunked && !forward_append_last_chunk(forward, trailers))
        log_error("upstream.buffer_full"); // cannot happen: its ceiling holds a whole head more
    forward->out_is_over = true;
    forward_flush_later(forward);
}

// -- events ------------------------------------------------------------------------------------

static void on_ready(struct lease *lease, bool is_hangup)
{
    (void)is_hangup; // the reads find out
    struct forward *forward = CONTAINER_OF(lease, struct forward, lease);
    if (forward->phase == FORWARD_SWITCHED) {
        forward->ops->on_link(forward);
        return;
    }
    forward_go_on(forward);
    if (forward->phase == FORWARD_BODY && forward->wants_data) {
        forward->wants_data = false;
        forward->ops->on_data(forward);
    }
}

static void forward_give_up_lease(struct forward *forward)
{
    bool is_refused = !forward->lease.pool;
    if (!forward->is_queued)
        forward_fail(forward, FORWARD_CONNECT_TIMEOUT, "no connection in time");
    else if (is_refused || lease_is_queued(&forward->lease))
        forward_fail(forward, FORWARD_BUSY,
                     is_refused ? "max_queue requests wait already" : "none came free in time");
    else
        forward_await_link(forward); // one is on its way now
}

static void on_timer(struct timer *timer)
{
    struct forward *forward = CONTAINER_OF(timer, struct forward, timer);
    switch (forward->phase) {
    case FORWARD_LEASING:
        forward_give_up_lease(forward);
        break;
    case FORWARD_HEAD:
        if (forward->is_broken) {
            forward->is_broken = false;
            forward_go_on(forward);
        } else if (forward->out_sent < forward->out.len)
            forward_fail(forward, FORWARD_IDLE_TIMEOUT, "the upstream does not take the request");
        else
            forward_fail(forward, FORWARD_FIRST_BYTE_TIMEOUT, "no response in time");
        break;
    case FORWARD_BODY:
        if (forward_is_sending(forward) &&
            (forward->is_broken || forward->out_sent < forward->out.len)) {
            forward->is_broken = false;
            forward_be_refused(forward);
            break;
        }
        forward_cut(forward, "nothing came for idle_timeout");
        forward->ops->on_data(forward);
        break;
    case FORWARD_SWITCHED:
    case FORWARD_OFF:
    case FORWARD_OVER:
        break;
    }
}

// -- life --------------------------------------------------------------------------------------

void forward_init(struct forward *forward, struct loop *loop, const struct forward_ops *ops)
{
    forward->ops = ops;
    forward->loop = loop;
    forward->lease.on_link = on_lease;
    forward->lease.on_failed = on_lease_failed;
    forward->lease.on_ready = on_ready;
    timer_init(&forward->timer, on_timer);
    task_init(&forward->task, on_turn_end);
    buf_init(&forward->out, 0);
    buf_init(&forward->held, 0);
    buf_init(&forward->in, 0);
    buf_init(&forward->trailers, H1_TRAILERS_MAX);
}

void forward_fini(struct forward *forward)
{
    forward_end(forward);
    timer_stop(forward->loop, &forward->timer);
    buf_fini(&forward->out);
    buf_fini(&forward->held);
    buf_fini(&forward->in);
    buf_fini(&forward->trailers);
}

struct buf *forward_head(struct forward *forward, const struct forward_limits *limits)
{
    forward->limits = *limits;
    forward->in.max = limits->head_max + READ_SIZE;
    forward->out.max = 2 * limits->head_max + 2 * limits->buffer_max;
    return &forward->out;
}

void forward_announce(struct forward *forward, struct pool *pool)
{
    if (forward->phase == FORWARD_OFF)
        lease_announce(pool, &forward->lease);
}

void forward_start(struct forward *forward, struct pool *pool,
                   const struct forward_request *request)
{
    forward->pool = pool;
    forward->head_len = forward->out.len;
    forward->is_chunked = request->is_chunked;
    forward->is_head = request->is_head;
    forward->is_idempotent = request->is_idempotent;
    forward->head_is_once = request->head_is_once;
    forward->may_switch = request->may_switch;
    forward->out_is_held = true;
    forward->out_is_over = !request->has_body;
    forward_open(forward, false);
}

void forward_recycle(struct buf *buf)
{
    if (buf->cap > KEEP_MEM_MAX)
        buf_fini(buf);
    buf_clear(buf);
}

void forward_end(struct forward *forward)
{
    lease_end(&forward->lease, false);
    timer_disarm(&forward->timer);
    task_cancel(&forward->task);
    // The access token was in the head; one that was never sent has no length yet.
    mem_wipe(forward->out.ptr, forward->head_len ? forward->head_len : forward->out.len);
    forward_recycle(&forward->out);
    forward_recycle(&forward->in);
    buf_clear(&forward->trailers);
    forward->phase = FORWARD_OFF;
    forward->out_sent = forward->in_at = forward->head_len = 0;
    forward->wants_room = forward->wants_data = forward->was_cut = forward->was_retried = false;
    forward->is_broken = forward->out_is_dropped = forward->awaits_head = false;
    forward->has_grown = false;
    forward->put_off = 0;
    forward->interim_count = 0;
    forward->response.keep_alive = false;
}
