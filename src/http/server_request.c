// SPDX-License-Identifier: MIT
// A request comes in: libmicrohttpd's callbacks turned into the life that server.h describes. Rules
// that keep libmicrohttpd right: no response is queued in the first call (it would close the
// connection) unless that is wanted; what is not consumed or not decided suspends the connection
// before the callback returns; a suspended connection is ended by resuming it and refusing the next
// call.
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_handler.h"
#include "http/server_private.h"

#define SPARE_MAX      1024
#define TARGET_MAX     ((size_t)128 * 1024)
#define REPLY_ROOM_MIN 1536 // of the pool, behind the request: for a problem's fields

// -- the object --------------------------------------------------------------------------------

struct req *req_new(struct server *server, struct conn *conn)
{
    struct list *link = list_take_first(&server->spare);
    struct req *req;
    if (link) {
        req = CONTAINER_OF(link, struct req, suspended_link);
        server->spare_count--;
    } else {
        req = mem_alloc(sizeof *req);
        buf_init(&req->target, TARGET_MAX);
    }
    req->server = server;
    req->conn = conn;
    req->mhd = conn->mhd;
    conn->req = req;
    return req;
}

void req_free(struct req *req)
{
    buf_fini(&req->target);
    mem_free(req);
}

// The fields array is large and never cleared: its count says what is valid.
static void req_reset(struct req *req)
{
    struct buf target = req->target;
    memset((char *)req + offsetof(struct req, server), 0,
           sizeof *req - offsetof(struct req, server));
    req->target = target;
    buf_clear(&req->target);
    req->pub.fields.count = 0;
    req->pub.user = NULL;
}

void req_unpark(struct req *req)
{
    req->server->parked_count -= req->is_parked;
    req->is_parked = false;
}

void req_end(struct req *req, bool is_complete)
{
    struct server *server = req->server;
    if (req->was_announced)
        server->ops->on_end(&req->pub, is_complete);
    watch_stop(server->loop, &req->gone_watch);
    req_unpark(req);
    list_remove(&req->suspended_link);
    hand_free(req->hand);
    if (req->response)
        MHD_destroy_response(req->response);
    req->conn->req = NULL;
    req->conn->has_asked = true;
    req_reset(req);
    if (server->spare_count < SPARE_MAX) {
        list_prepend(&server->spare, &req->suspended_link);
        server->spare_count++;
    } else {
        req_free(req);
    }
}

void req_suspend(struct req *req)
{
    if (req->is_suspended || !req->mhd)
        return;
    struct server *server = req->server;
    req->is_suspended = true;
    req->suspended_ms = loop_now_ms(server->loop);
    list_append(&server->suspended, &req->suspended_link);
    if (server->sweep_timer.due_ms == TIMER_NEVER)
        timer_start(server->loop, &server->sweep_timer, SWEEP_MS);
    MHD_suspend_connection(req->mhd);
}

// Until the answer is known. Being suspended costs three system calls, so at first a request is
// parked: libmicrohttpd 0.9.75 keeps its connection among the ready ones, and asks again on each
// run. That is good for a few (see server_weigh_parking()), and for a short while.
static void req_await_reply(struct req *req)
{
    struct server *server = req->server;
    uint64_t now = loop_now_ms(server->loop);
    server->weighed_asks += !req->is_parked;
    if (req->is_parked && now - req->suspended_ms < PARK_MS)
        return;
    if (req->is_parked || server->parked_count >= server->parked_max) {
        req_unpark(req);
        req_suspend(req);
        return;
    }
    req->is_parked = true;
    req->suspended_ms = now;
    server->parked_count++;
    if (server->park_timer.due_ms == TIMER_NEVER)
        timer_start(server->loop, &server->park_timer, PARK_MS);
}

void req_resume(struct req *req)
{
    if (req->is_parked)
        server_want_run(req->server);
    if (!req->is_suspended)
        return;
    req->is_suspended = false;
    list_remove(&req->suspended_link);
    watch_stop(req->server->loop, &req->gone_watch);
    MHD_resume_connection(req->mhd);
    // A resume only sets a mark, and nothing in libmicrohttpd's timeout tells of it.
    server_want_run(req->server);
}

// -- the head ----------------------------------------------------------------------------------

bool req_has_body(const struct req *req)
{
    return req->pub.body == BODY_CHUNKED ||
           (req->pub.body == BODY_LENGTH && req->pub.content_length);
}

// Whatever closes the connection from here on resets it, until the reply is whole.
void req_reset_on_close(const struct req *req, bool on)
{
    struct linger linger = {.l_onoff = on, .l_linger = 0};
    setsockopt(req->conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static enum MHD_Result req_queue(struct req *req)
{
    struct MHD_Response *response = req->response;
    req->response = NULL;
    req->queued = response;
    req->phase = REQ_REPLYING;
    req_unpark(req);
    server_owe_runs(req->server, 2); // to write it, to see that it was written
    conn_start_pace(req->conn, true);
    if (req->ends_by_close)
        req_reset_on_close(req, true);
    enum MHD_Result result = MHD_queue_response(req->mhd, (unsigned)req->status, response);
    MHD_destroy_response(response); // the queue has its own reference
    return result;
}

// A parked request's reply need not wait for libmicrohttpd to ask: queued from outside its calls,
// the head is made at once, and the run that follows writes it.
void server_queue_answered(struct server *server)
{
    struct list *link;
    while ((link = list_take_first(&server->answered))) {
        struct req *req = CONTAINER_OF(link, struct req, suspended_link);
        if (!req->is_gone && req_queue(req) != MHD_YES)
            req->is_gone = true; // the next call is refused, which closes the connection
    }
}

static enum MHD_Result req_drain(struct req *req)
{
    req->phase = REQ_BODY;
    req->is_draining = true;
    conn_set_deadline(req->conn, DRAIN_TIME_MS);
    return MHD_YES;
}

// Called after the handler had its say, and again after each resume before the body.
static enum MHD_Result req_after_head(struct req *req)
{
    if (req->hand)
        return MHD_YES;                     // it is suspended
    if (req->response && req_has_body(req)) // a short body is read to its end
        return req->pub.expects_continue ? req_queue(req) : req_drain(req);
    if (!req_has_body(req) || req->is_accepted) {
        req->phase = REQ_BODY;
        server_owe_runs(req->server, req_has_body(req) ? 2 : 0); // 100 Continue
        if (req_has_body(req))
            conn_start_pace(req->conn, false);
        return MHD_YES;
    }
    req_suspend(req);
    return MHD_YES;
}

static enum MHD_Result req_on_head(struct req *req, const char *method, const char *version)
{
    struct server *server = req->server;
    struct request *pub = &req->pub;
    req->phase = REQ_HEAD;
    if (server->open_head == req)
        server->open_head = NULL;
    conn_set_deadline(req->conn, 0);
    struct guard_verdict verdict = req_check_head(req, method, version);
    pub->method = str_of(method);
    pub->target = buf_str(&req->target);
    pub->minor = !strcmp(version, "HTTP/1.0") ? 0 : 1;
    pub->may_tunnel = false;
    pub->is_unix = req->conn->is_unix;
    pub->peer_uid = req->conn->peer_uid;
    if (request_reply_room(pub) < REPLY_ROOM_MIN) {
        conn_say(req->conn, SAY_HEAD_TOO_LARGE);
        return MHD_NO;
    }
    req->was_announced = true;
    if (verdict.status) {
        log_debug("request.refused", F_NUM("status", verdict.status), F_TEXT("why", verdict.why));
        server->ops->on_refused(server->arg, pub, verdict.status, verdict.why);
        if (req->hand)
            return MHD_YES; // it is suspended
        return req->response ? req_queue(req) : MHD_NO;
    }
    req_read_framing(req);
    server->ops->on_request(server->arg, pub);
    return req_after_head(req);
}

// -- body and end ------------------------------------------------------------------------------

static enum MHD_Result req_on_body(struct req *req, const char *bytes, size_t *len)
{
    server_owe_runs(req->server, 1);
    if (req->is_draining) {
        req->drained_len += *len;
        *len = 0;
        return MHD_YES; // only time limits how long it may go on
    }
    req->has_body_bytes = true;
    if (!req->hand) // else the handler's limits tell of a standstill
        pace_move(&req->conn->pace, *len);
    size_t taken = req->server->ops->on_body(&req->pub, (struct str){bytes, *len});
    *len -= taken;
    if (req->hand && !hand_overlaps(req->hand)) {
        *len = 0; // it was answered just now, and is suspended
    } else if (req->response) {
        req->is_draining = true;
        req->drained_len = *len;
        *len = 0;
        conn_set_deadline(req->conn, DRAIN_TIME_MS);
    } else if (*len) {
        // Not suspending here would make libmicrohttpd spin.
        if (!req->hand)
            pace_pause(&req->conn->pace);
        req_suspend(req);
    }
    return MHD_YES;
}

static enum MHD_Result req_on_full(struct req *req)
{
    if (req->phase == REQ_BODY) {
        req->phase = REQ_FULL;
        if (!req->hand)
            conn_set_deadline(req->conn, 0);
        if (!req->is_draining)
            req->server->ops->on_body_end(&req->pub);
    }
    if (req->hand && hand_is_over(req->hand))
        return MHD_NO; // all was read: the close is an orderly one
    if (req->hand) {
        req_suspend(req);
        return MHD_YES;
    }
    if (req->response)
        return req_queue(req);
    req_await_reply(req);
    return MHD_YES;
}

enum MHD_Result handler_on_call(void *arg, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_len, void **context)
{
    (void)arg;
    (void)mhd;
    (void)url;
    struct req *req = *context;
    if (!req || req->is_gone || (req->hand && hand_is_over(req->hand)))
        return MHD_NO;
    if (req->phase == REQ_NEW)
        return req_on_head(req, method, version);
    if (req->phase == REQ_HEAD)
        return req_after_head(req);
    if (*upload_len)
        return req_on_body(req, upload, upload_len);
    return req_on_full(req);
}

// A head that fits into the pool while libmicrohttpd's notes about it do not: it tries to answer
// twice, and then closes without having sent a byte or told of the request's end.
void req_abandon(struct req *req)
{
    conn_say(req->conn, SAY_HEAD_TOO_LARGE);
    req_end(req, false);
}

void handler_on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    struct server *server = arg;
    struct req *req = *context;
    *context = NULL;
    server_owe_runs(server, 1); // the next request may be here already
    if (!req)
        return;
    struct conn *conn = req->conn;
    conn->has_asked = true;
    bool is_complete =
        req->hand ? hand_is_complete(req->hand) : code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    is_complete = is_complete && !req->is_gone;
    bool may_shut = is_complete || !req->ends_by_close; // else a cut body would look whole
    req_end(req, is_complete);
    if (conn_is_leaving(conn) && may_shut)
        shutdown(conn->fd, SHUT_RDWR); // a reply that was queued before could not say close
    else
        conn_set_deadline(conn, server->config.keepalive_timeout_ms);
}

// -- what the handler says ---------------------------------------------------------------------

void request_accept(struct request *request)
{
    struct req *req = req_of(request);
    req->is_accepted = true;
    req_resume(req);
}

void request_resume(struct request *request)
{
    struct req *req = req_of(request);
    if (req->phase == REQ_BODY && (!req->hand || hand_overlaps(req->hand)))
        req_resume(req);
}

void request_wake(struct request *request)
{
    struct req *req = req_of(request);
    if (req->hand)
        hand_wake(req->hand);
    else if (req->phase == REQ_REPLYING)
        req_resume(req);
}

void request_abort(struct request *request)
{
    struct req *req = req_of(request);
    if (req->phase == REQ_SWITCHED) {
        request_close(request);
        return;
    }
    req->is_gone = true;
    if (req->conn->is_raw) {
        raw_end(req->conn);
        return;
    }
    // A body that was taken to its last byte so far gives libmicrohttpd no reason to ask again.
    if (req->hand || (!req->is_suspended && !req->is_parked))
        conn_break(req->conn);
    req_resume(req);
}
