// SPDX-License-Identifier: MIT
// The response body on its way to whoever pulls it: by length, in chunks, or until the connection
// closes. What is pulled is read from the connection then and there, so a slow taker slows the
// giver. A body that ends too early is never made to look whole.
#include <string.h>

#include "proxy/forward.h"
#include "proxy/forward_private.h"

// From `in` first, then straight from the connection into out.
static ssize_t forward_read_raw(struct forward *forward, char *out, size_t out_max)
{
    size_t held = forward->in.len - forward->in_at;
    if (held) {
        size_t len = held < out_max ? held : out_max;
        memcpy(out, forward->in.ptr + forward->in_at, len);
        forward->in_at += len;
        return (ssize_t)len;
    }
    return link_recv(forward->lease.link, out, out_max);
}

ssize_t forward_cut(struct forward *forward, const char *why)
{
    forward->was_cut = true;
    forward->cut_why = why;
    forward_release(forward);
    return FORWARD_CUT;
}

static ssize_t forward_wait(struct forward *forward)
{
    forward->wants_data = true;
    timer_start(forward->loop, &forward->timer, forward->limits.idle_timeout_ms);
    return FORWARD_WAIT;
}

static ssize_t forward_end_body(struct forward *forward)
{
    forward_release(forward);
    return FORWARD_END;
}

static ssize_t forward_pull_length(struct forward *forward, char *out, size_t out_max)
{
    if (!forward->left)
        return forward_end_body(forward);
    size_t want = forward->left < out_max ? (size_t)forward->left : out_max;
    ssize_t got = forward_read_raw(forward, out, want);
    if (got == LINK_AGAIN)
        return forward_wait(forward);
    if (got <= 0)
        return forward_cut(forward, "the connection was closed within the body");
    forward->left -= (uint64_t)got;
    if (!forward->left)
        forward_release(forward); // free for others before the client has it all
    return got;
}

static ssize_t forward_pull_until_close(struct forward *forward, char *out, size_t out_max)
{
    ssize_t got = forward_read_raw(forward, out, out_max);
    if (got == LINK_AGAIN)
        return forward_wait(forward);
    if (got == LINK_FAILED)
        return forward_cut(forward, "the connection broke within the body");
    return got == LINK_EOF ? forward_end_body(forward) : got;
}

// Of what was decoded last. The decoder's own bound is the buffer's.
static bool forward_keep_trailers(struct forward *forward)
{
    size_t len = forward->chunks.trailer_len;
    return buf_append(&forward->trailers,
                      (struct str){forward->in.ptr + forward->in_at - len, len});
}

struct str forward_trailers(const struct forward *forward)
{
    return buf_str(&forward->trailers);
}

// Decodes what `in` holds into out. FORWARD_WAIT here means: in has nothing more.
static ssize_t forward_decode(struct forward *forward, char *out, size_t out_max)
{
    while (forward->in_at < forward->in.len) {
        // The decoder hands out views; no more of `in` than out can take.
        struct str rest = str_from(buf_str(&forward->in), forward->in_at);
        if (rest.len > out_max)
            rest.len = out_max;
        size_t used = 0;
        struct str data = STR_NONE;
        enum h1_result result = h1_chunks_decode(&forward->chunks, rest, &used, &data);
        forward->in_at += used;
        if (forward->chunks.trailer_len && !forward_keep_trailers(forward))
            return forward_cut(forward, "the trailer section is too large");
        if (data.len)
            memcpy(out, data.ptr, data.len);
        if (result == H1_DONE)
            forward_release(forward);
        if (data.len)
            return (ssize_t)data.len;
        if (result == H1_DONE)
            return FORWARD_END;
        if (result == H1_ERROR)
            return forward_cut(forward, "malformed chunk");
    }
    return FORWARD_WAIT;
}

static ssize_t forward_pull_chunked(struct forward *forward, char *out, size_t out_max)
{
    for (;;) {
        ssize_t got = forward_decode(forward, out, out_max);
        if (got != FORWARD_WAIT)
            return got;
        buf_clear(&forward->in);
        forward->in_at = 0;
        got = forward_fill(forward);
        if (got == LINK_AGAIN)
            return forward_wait(forward);
        if (got <= 0)
            return forward_cut(forward, "the connection was closed before the last chunk");
    }
}

ssize_t forward_pull(struct forward *forward, char *out, size_t out_max)
{
    if (forward->was_cut)
        return FORWARD_CUT;
    if (forward->phase != FORWARD_BODY)
        return FORWARD_END;
    timer_disarm(&forward->timer);
    forward->wants_data = false;
    switch (forward->response.framing) {
    case H1_LENGTH:
        return forward_pull_length(forward, out, out_max);
    case H1_CHUNKED:
        return forward_pull_chunked(forward, out, out_max);
    case H1_UNTIL_CLOSE:
        return forward_pull_until_close(forward, out, out_max);
    case H1_NO_BODY:
        break;
    }
    return forward_end_body(forward);
}

bool forward_take_whole(struct forward *forward, struct str *out_body)
{
    const struct h1_response *response = &forward->response;
    if (forward->phase != FORWARD_BODY)
        return false;
    uint64_t len = response->framing == H1_LENGTH ? response->content_length : 0;
    if ((response->framing != H1_LENGTH && response->framing != H1_NO_BODY) ||
        forward->in.len - forward->in_at < len)
        return false;
    *out_body = (struct str){forward->in.ptr + forward->in_at, (size_t)len};
    forward->in_at += (size_t)len;
    forward->left = 0;
    forward_release(forward);
    return true;
}
