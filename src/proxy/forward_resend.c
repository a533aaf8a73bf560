// SPDX-License-Identifier: MIT
// A request that is sent again: on a new connection when a pooled one turned out dead with the
// first write, or, as its owner asks, with another head once the response to the first is in. Its
// body is still in `out` behind the head.
#include "base/log.h"
#include "proxy/forward_private.h"

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
    forward_recycle(&forward->held);
}

// For the second try on a new connection. False: there is no head for it.
static bool forward_renew_head(struct forward *forward)
{
    bool ok = forward->ops->on_retry(forward, forward_lift_body(forward));
    forward_put_back_body(forward);
    return ok;
}

// The connection broke before any byte of the response. A pooled one may have been closed by the
// upstream while the request was on its way: try once more on a new one, if sending twice does no
// harm.
void forward_broke(struct forward *forward, const char *why)
{
    bool is_silent = !forward->in.len && !forward->interim_count;
    bool may_retry = forward->lease.is_reused && !forward->was_retried && is_silent &&
                     forward->out_is_held && (forward->is_idempotent || !forward->out_sent);
    if (!may_retry) {
        forward_fail(forward, FORWARD_CLOSED, why);
        return;
    }
    if (forward->head_is_once && !forward_renew_head(forward)) {
        forward_fail(forward, FORWARD_CLOSED, why);
        return;
    }
    log_debug("upstream.retried", F_TEXT("why", why));
    forward->was_retried = true;
    forward->is_broken = false;
    lease_end(&forward->lease, false);
    forward->out_sent = 0;
    forward->awaits_head = false;
    forward_open(forward, true);
}

bool forward_may_resend(const struct forward *forward)
{
    return forward->phase == FORWARD_BODY && forward->out_is_held && forward->out_is_over &&
           forward->out_sent == forward->out.len;
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
