// SPDX-License-Identifier: MIT
// What server.c (connections, the library's life), server_request.c (a request comes in) and
// server_reply.c (its answer goes out) share; nobody else includes this.
#ifndef HTTP_SERVER_PRIVATE_H
#define HTTP_SERVER_PRIVATE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "http/reserve.h"
#include "http/server.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

struct server {
    struct loop *loop;
    struct server_config config;
    const struct server_ops *ops;
    void *arg;
    struct MHD_Daemon *daemon;
    bool parses_in_place; // libmicrohttpd before 1.0: the guard checks the layout, too
                          // hidden
    bool is_draining;
    struct reserve reserve;
    bool is_out_of_resources; // accept failed for want of descriptors or memory
    struct watch epoll_watch; // libmicrohttpd's own epoll descriptor
    struct task run_task;
    struct timer tick_timer;  // libmicrohttpd's inactivity limits want a run now and then
    struct timer sweep_timer; // arms the watches of connections suspended for a while
    struct list listeners;
    struct list conns;
    struct list suspended; // of struct req, oldest first
    // Requests that wait for their answer without being suspended, and what they make necessary:
    // libmicrohttpd then always says that there is work, so what it has to go on with is counted.
    size_t parked_count, parked_max; // requests that wait without being suspended
    struct timer park_timer;
    unsigned runs_owed;
    const struct req *open_head; // the last that began in this run, unless it is complete
    struct list spare;           // of struct req, kept for the next request
    size_t conn_count, spare_count;
    uint64_t accepted_count;
};

struct conn {
    struct list link;
    struct server *server;
    struct MHD_Connection *mhd;
    int fd;
    bool is_unix;
    uint32_t peer_uid;
    struct req *req;       // the request under way, or NULL
    struct timer deadline; // the client owes us something until then
};

enum req_phase {
    REQ_NEW,     // the head is not complete
    REQ_HEAD,    // on_request was called; nothing accepted or replied yet, body not read
    REQ_BODY,    // body bytes arrive (or are drained)
    REQ_FULL,    // the whole request is here
    REQ_REPLYING // the response was queued
};

struct req {
    struct request pub;
    // From here on cleared between requests, the target's memory excepted.
    struct server *server;
    struct conn *conn;
    struct MHD_Connection *mhd;
    struct buf target;
    enum req_phase phase;
    bool was_announced; // the handler knows of it: on_end is owed
    bool is_accepted, is_draining, is_suspended, is_parked, is_gone;
    bool ends_by_close; // the end of the reply's body is the end of the connection
    bool is_taken_over; // the reply went out by hand; what still comes is read and thrown away
    size_t drained_len;
    struct MHD_Response *response; // ours until it is queued
    int status;
    struct list suspended_link; // in server->suspended, or in server->spare
    uint64_t suspended_ms;      // or parked
    struct watch gone_watch; // the client's descriptor while the connection is suspended for long
};

static inline struct req *req_of(struct request *request)
{
    return CONTAINER_OF(request, struct req, pub);
}

// server.c
#define SWEEP_MS   100
#define PARK_MS    10
#define PARKED_MAX 64
#define HEAD_READS 8 // a head of the whole pool takes about as many
void server_want_run(struct server *server);
void server_owe_runs(struct server *server, unsigned count); // behind the one under way
void conn_break(struct conn *conn); // so that no reply under way can look whole
void conn_set_deadline(struct conn *conn, uint64_t delay_ms); // 0: none

// server_request.c
void req_free(struct req *req);
void req_abandon(struct req *req); // its connection is closing and nobody said so
void req_suspend(struct req *req);
void req_resume(struct req *req);
bool req_has_body(const struct req *req);
void req_reset_on_close(const struct req *req, bool on);

// server_takeover.c
// Sends a whole reply by hand, while the request's body is still to come, and closes our side.
// libmicrohttpd would only do it after the last byte of the body, or close with unread bytes, which
// can reset the reply away. False: it did not go out.
bool req_take_over(struct req *req, const struct reply *reply);
// A body up to this is read to its end when the answer is known before: many a client reads only
// when it has sent everything.
#define DRAIN_MAX     ((size_t)1024 * 1024)
#define DRAIN_TIME_MS 5000

#endif
