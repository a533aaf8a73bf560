// SPDX-License-Identifier: MIT
// The upstream leg of one exchange: sends the request, receives the response, streams both,
// bounded. What is not taken by one side is not read from the other. It does not know routes,
// tokens or the client's side.
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/h1.h"
#include "http/transport.h"

enum forward_error {
    FORWARD_UNREACHABLE,
    FORWARD_TLS,
    FORWARD_CONNECT_TIMEOUT,
    FORWARD_BUSY, // all connections are in use, and too many wait for one or it waited too long
    FORWARD_FIRST_BYTE_TIMEOUT,
    FORWARD_IDLE_TIMEOUT,
    FORWARD_CLOSED,    // before a whole response head
    FORWARD_MALFORMED, // not an HTTP/1.1 response two readers would agree on
    FORWARD_HEAD_TOO_LARGE,
    FORWARD_EXHAUSTED, // bearerd has no descriptor or memory left for a connection
    FORWARD_LOCAL,
};

struct forward;

struct forward_ops { // all called from the loop, never from inside a forward_… call
    void (*on_head)(struct forward *forward); // forward->response is valid until forward_pull()
    // Instead of on_head, for a request that may switch: a 101, which forward->response holds. The
    // link is the callee's to read and write, beginning behind what forward_early() has; on_link
    // comes when it is ready. forward_end() closes it.
    void (*on_switch)(struct forward *forward);
    void (*on_link)(struct forward *forward);
    // A 1xx before it; forward->response is valid in this call only.
    void (*on_interim)(struct forward *forward);
    // Instead of on_head. `why` is for logs.
    void (*on_failed)(struct forward *forward, enum forward_error error, const char *why);
    void (*on_room)(struct forward *forward); // forward_write() takes bytes again
    void (*on_data)(struct forward *forward); // forward_pull() has something to say
    // After on_head, while the request still goes on: the upstream takes no more of it.
    void (*on_refusal)(struct forward *forward);
    // For requests with head_is_once: a pooled connection was dead, writes the head for the second
    // try. False: it cannot be had.
    bool (*on_retry)(struct forward *forward, struct buf *head);
};

struct forward_limits {
    size_t head_max;   // response head
    size_t buffer_max; // request bytes held for the upstream, head not counted
    uint64_t connect_timeout_ms, queue_timeout_ms, first_byte_timeout_ms, idle_timeout_ms;
};

enum forward_phase {
    FORWARD_OFF,
    FORWARD_LEASING,
    FORWARD_HEAD,
    FORWARD_BODY,
    FORWARD_SWITCHED,
    FORWARD_OVER
};

struct forward {
    const struct forward_ops *ops;
    struct loop *loop;
    struct pool *pool;
    struct forward_limits limits;
    enum forward_phase phase;
    struct lease lease;
    struct timer timer; // runs only while the upstream owes us something
    struct task task;   // sends what there is, once no more comes
    struct buf out;     // the request on its way: head, framed body
    struct buf held;    // the body, while a new head is written in front of it
    size_t out_sent;
    size_t head_len;  // of the request
    bool out_is_held; // out starts at the request's first byte: it can be sent again
    bool out_is_over; // the request's last byte is in out
    bool wants_room;
    bool has_grown;     // out has, since `task` looked last
    unsigned put_off;   // how often it has waited for more
    bool is_chunked;    // request body framing
    bool is_head;       // method is HEAD
    bool is_idempotent; // RFC 9110 9.2.2
    bool head_is_once;  // it must not be sent twice
    bool may_switch;    // a 101 is an answer
    bool was_retried;
    struct buf in; // the response as it came
    size_t in_at;  // first byte of in not yet used
    struct h1_response response;
    struct h1_chunks chunks;
    struct buf trailers; // what came behind the last chunk
    uint64_t left;       // of a body with a length
    unsigned interim_count;
    bool wants_data;
    bool is_broken;      // a write failed inside a call: the loop finds out
    bool out_is_dropped; // the rest of the request will not be sent
    bool awaits_head;    // the request is out, first_byte_timeout runs
    bool is_queued;      // for a connection that comes free, queue_timeout runs
    bool was_cut;        // the response broke off …
    const char *cut_why; // … because of this, for logs
};

// One-time; the object is used for one request after the other.
void forward_init(struct forward *forward, struct loop *loop, const struct forward_ops *ops);
void forward_fini(struct forward *forward);

// There will be a request to that pool's upstream, though its head cannot be written yet: its
// connection comes up meanwhile.
void forward_announce(struct forward *forward, struct pool *pool);
// The request head goes into forward_head()'s buffer, then forward_start() sends it.
struct buf *forward_head(struct forward *forward, const struct forward_limits *limits);
struct forward_request {
    bool is_chunked, is_head, is_idempotent, head_is_once;
    bool may_switch; // it offers another protocol
    bool has_body;   // else the request is over with its head
};
void forward_start(struct forward *forward, struct pool *pool,
                   const struct forward_request *request);
// Takes body bytes; fewer than given: on_room follows.
size_t forward_write(struct forward *forward, struct str bytes);
// The body is over. trailers: field lines, for a chunked one.
void forward_finish(struct forward *forward, struct str trailers);
void forward_drop_request(
    struct forward *forward); // no more of it is sent; what is written is swallowed

// The response's body, once on_head was called: fills out; or one of these, as a server's on_pull.
enum { FORWARD_WAIT = 0, FORWARD_END = -1, FORWARD_CUT = -2 };
ssize_t forward_pull(struct forward *forward, char *out, size_t out_max);
// The trailer section that came with the body, empty line included, once it was pulled to its end.
struct str forward_trailers(const struct forward *forward);
// The whole body if it is here already, in one piece; stays valid until forward_end(). The
// connection is given back. False: pull it.
bool forward_take_whole(struct forward *forward, struct str *out_body) WARN_UNUSED;

// Can the whole request be sent once more with another head? Only after on_head, before
// forward_pull().
bool forward_may_resend(const struct forward *forward);
// Drops the response; the new head goes into the buffer, then forward_resend() sends it with the
// same body.
struct buf *forward_resend_head(struct forward *forward);
void forward_resend(struct forward *forward);

// In on_switch, before anything else: what the upstream sent behind its 101.
struct str forward_early(const struct forward *forward);

// Ends the leg, whatever its state; nothing is called any more.
void forward_end(struct forward *forward);

#endif
