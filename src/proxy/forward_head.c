// SPDX-License-Identifier: MIT
// The response head: read, parsed, and handed on; interim responses before it on their own. A head
// that breaks off or that two readers would understand differently ends the leg.
#include "base/log.h"
#include "proxy/forward.h"
#include "proxy/forward_private.h"

#define INTERIM_MAX 20 // 1xx responses before the final one

// Bytes, or LINK_…; what came is appended to `in`.
ssize_t forward_fill(struct forward *forward)
{
    size_t want = forward->in.max - forward->in.len;
    want = want < READ_SIZE ? want : READ_SIZE;
    if (!want || !buf_reserve(&forward->in, want))
        return LINK_FAILED;
    size_t room = forward->in.cap - forward->in.len;
    ssize_t got = link_recv(forward->lease.link, forward->in.ptr + forward->in.len, room);
    if (got > 0)
        forward->in.len += (size_t)got;
    return got;
}

static void forward_start_body(struct forward *forward)
{
    const struct h1_response *response = &forward->response;
    forward->in_at = response->head_len;
    forward->left = response->framing == H1_LENGTH ? response->content_length : 0;
    if (response->framing == H1_CHUNKED)
        h1_chunks_init(&forward->chunks);
    forward->phase = FORWARD_BODY;
    timer_disarm(&forward->timer);
    forward->ops->on_head(forward);
}

static void forward_switch(struct forward *forward)
{
    forward->in_at = forward->response.head_len;
    forward->phase = FORWARD_SWITCHED;
    timer_disarm(&forward->timer);
    forward->ops->on_switch(forward);
}

struct str forward_early(const struct forward *forward)
{
    return str_from(buf_str(&forward->in), forward->in_at);
}

// True: the interim head was passed on; look again.
static bool forward_take_interim(struct forward *forward)
{
    if (forward->response.status == 101 && forward->may_switch) {
        forward_switch(forward);
        return false;
    }
    if (forward->response.status == 101 || ++forward->interim_count > INTERIM_MAX) {
        forward_fail(forward, FORWARD_MALFORMED, "unasked 101, or too many interim responses");
        return false;
    }
    forward->ops->on_interim(forward);
    buf_consume(&forward->in, forward->response.head_len);
    return true;
}

// True: go on reading or parsing.
static bool forward_parse_head(struct forward *forward)
{
    const char *why = "";
    switch (h1_parse_response(buf_str(&forward->in), forward->is_head, &forward->response, &why)) {
    case H1_ERROR:
        forward_fail(forward, FORWARD_MALFORMED, why);
        return false;
    case H1_MORE:
        if (forward->in.len < forward->limits.head_max)
            return true;
        forward_fail(forward, FORWARD_HEAD_TOO_LARGE,
                     "the response head is larger than header_limit");
        return false;
    case H1_DONE:
        break;
    }
    if (forward->response.status < 200)
        return forward_take_interim(forward) && (!forward->in.len || forward_parse_head(forward));
    forward_start_body(forward);
    return false;
}

void forward_read_head(struct forward *forward)
{
    while (forward->phase == FORWARD_HEAD) {
        ssize_t got = forward_fill(forward);
        if (got == LINK_AGAIN)
            return;
        if (got > 0) {
            if (!forward_parse_head(forward))
                return;
        } else if (forward->in.len) {
            forward_fail(forward, FORWARD_CLOSED,
                         "the connection was closed within the response head");
        } else {
            forward_broke(forward, "the connection was closed before a response");
        }
    }
}
