// SPDX-License-Identifier: MIT
// A request once more, with another head and the same body: after an answer that asks for it, or on
// a new connection where the head must not be sent twice. The rules of when are forward.c's and the
// caller's. Invariant: `held` is empty but while a new head is written.
#include "base/log.h"
#include "proxy/forward_private.h"

bool forward_may_resend(const struct forward *forward)
{
    return forward->phase == FORWARD_BODY && forward->out_is_held && forward->out_is_over &&
           forward->out_sent == forward->out.len;
}

// What is behind the head goes out of the way of a new one.
static struct buf *forward_lift_body(struct forward *forward)
{
    forward_drop_head(forward, forward->head_len);
    struct buf empty = forward->held;
    forward->held = forward->out;
    forward->out = empty;
    forward->out.max = forward->held.max;
    buf_clear(&forward->out);
    return &forward->out;
}

static void forward_put_back_body(struct forward *forward)
{
    forward->head_len = forward->out.len;
    if (!buf_append(&forward->out, buf_str(&forward->held)))
        log_error("upstream.buffer_full"); // cannot happen: the ceiling is twice a head and a body
    mem_wipe(forward->held.ptr, forward->held.len);
    buf_recycle(&forward->held);
}

bool forward_renew_head(struct forward *forward)
{
    bool ok = forward->ops->on_retry(forward, forward_lift_body(forward));
    forward_put_back_body(forward);
    return ok;
}

struct buf *forward_resend_head(struct forward *forward)
{
    struct str unused;
    if (!forward_take_whole(forward, &unused)) {
        forward->response.keep_alive = false; // the rest of its body is still to come
        forward_release(forward);
    }
    buf_clear(&forward->in);
    forward->in_at = 0;
    forward->interim_count = 0;
    return forward_lift_body(forward);
}

void forward_resend(struct forward *forward)
{
    forward_put_back_body(forward);
    forward->out_sent = 0;
    forward->was_retried = forward->awaits_head = false;
    forward_open(forward, false);
}
