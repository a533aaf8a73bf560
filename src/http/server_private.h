// SPDX-License-Identifier: MIT
// What server.c (connections, the library's life), server_run.c (when it runs), server_drain.c (how
// accepting ends), server_request.c (a request comes in), server_head.c (what it says) and
// server_reply.c (its answer goes out) share with their smaller siblings; nobody else includes
// this.
#ifndef HTTP_SERVER_PRIVATE_H
#define HTTP_SERVER_PRIVATE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "http/guard.h"
#include "http/reserve.h"
#include "http/server.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct MHD_UpgradeResponseHandle;

struct server {
    struct loop *loop;
    struct server_config config;
    const struct server_ops *ops;
    void *arg;
    struct MHD_Daemon *daemon;
    bool parses_in_place;  // libmicrohttpd before 1.0: the guard checks the layout, too
    bool chunks_are_loose; // it may take chunked bodies for ended where others do not
                           // hidden
    bool is_draining;
    bool is_lent; // so are all its listeners
    struct reserve reserve;
    bool is_out_of_resources; // accept failed for want of descriptors or memory
    struct watch epoll_watch; // libmicrohttpd's own epoll descriptor
    struct timer sweep_timer; // arms the watches of connections suspended for a while
    struct list listeners;
    struct list conns;
    struct list newcomers;               // see server_admit.c; empty without a crowd
    uint64_t turned_away_ms;             // when that was last said
    struct list suspended;               // of struct req, oldest first
    size_t parked_count, parked_max;     // requests that wait without being suspended
    unsigned weighed_runs, weighed_asks; // since parked_max was reckoned: of the library; requests
    struct timer park_timer;
    struct list answered; // of parked requests: their replies are queued before the next run
    struct task run_task;
    struct timer tick_timer; // the limit of an aborted reply wants a run now and then
    unsigned runs_owed;
    const struct req *open_head; // the last that began in this run, unless it is complete
    struct list spare;           // of struct req, kept for the next request
    size_t conn_count, spare_count;
    size_t given_count; // to libmicrohttpd, which 1.0 tells of only when it runs
    uint64_t accepted_count;
};

struct listener {
    struct list link;
    struct watch watch;
    struct server *server;
    bool is_unix;
    bool is_lent; // others accept from it, too
    bool is_shut; // by one of them: nobody comes by it any more
};

struct pace { // of a body that comes, or of an answer that is taken; see server_pace.c
    struct conn *conn;
    void (*on_late)(struct pace *pace);
    struct timer timer; // armed while it is the client's turn
    bool is_reply;
    uint64_t moved; // bytes from the client, or for it, since the last look
    uint64_t mark;  // what the socket said at the last look
    uint64_t purse_ms, looked_ms;
};

struct conn {
    struct list link;
    struct server *server;
    struct MHD_Connection *mhd; // NULL: libmicrohttpd has no part in it, see server_raw.c
    int fd;
    bool is_raw, is_unix;
    uint32_t peer_uid;
    bool has_asked;  // one request or more is over
    bool is_leaving; // its listener has gone: the next reply is the last
    bool is_counted; // in the crowd, as this client
    struct crowd_client client;
    struct req *req;       // the request under way, or NULL
    struct timer deadline; // the client owes us something until then
    struct pace pace;
};

enum req_phase {
    REQ_NEW,      // the head is not complete
    REQ_HEAD,     // on_request was called; nothing accepted or replied yet, body not read
    REQ_BODY,     // body bytes arrive (or are drained)
    REQ_FULL,     // the whole request is here
    REQ_REPLYING, // the response was queued
    REQ_SWITCHED  // the connection is the handler's
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
    bool is_late;        // the body comes too slowly: the answer does not wait for it
    bool ends_by_close;  // the end of the reply's body is the end of the connection
    bool has_body_bytes; // some of its body came
    struct MHD_UpgradeResponseHandle *switched; // not yet given back
    struct hand *hand;                          // that writes the reply past libmicrohttpd
    size_t drained_len;
    struct reply reply;            // that is under way, without its fields
    struct MHD_Response *response; // ours until it is queued
    struct MHD_Response *queued;   // libmicrohttpd's from then on
    size_t trailer_len;            // bytes of its trailer fields
    int status;
    struct list suspended_link; // in server->suspended, server->answered or server->spare
    uint64_t suspended_ms;      // or parked
    struct watch gone_watch; // the client's descriptor while the connection is suspended for long
};

static inline struct req *req_of(struct request *request)
{
    return CONTAINER_OF(request, struct req, pub);
}

// server.c
#define SWEEP_MS 100
void server_add_connection(struct server *server, bool is_unix, int fd); // takes fd
void conn_init(struct conn *conn, struct server *server, int fd);
void conn_fini(struct conn *conn);
void conn_break(const struct conn *conn); // so that no reply under way can look whole
void conn_reset(const struct conn *conn); // the same, and what was sent of it is dropped

// server_run.c
#define PARK_MS    10
#define PARKED_MIN 16
#define PARKED_MAX 1024
#define HEAD_READS 8 // a head of the whole pool takes about as many
void server_init_runs(struct server *server);
bool server_start_runs(struct server *server, struct err *err) WARN_UNUSED; // the daemon is there
void server_stop_runs(struct server *server);
void server_want_run(struct server *server);
void server_owe_runs(struct server *server, unsigned count); // behind the one under way

// server_pace.c
void conn_init_deadline(struct conn *conn); // of the first head
void conn_fini_deadline(struct conn *conn);
void conn_set_deadline(struct conn *conn, uint64_t delay_ms); // 0: none; ends the pace, too
void conn_start_pace(struct conn *conn, bool is_reply);       // in the place of a deadline
void pace_init(struct pace *pace, struct conn *conn, void (*on_late)(struct pace *pace));
void pace_fini(struct pace *pace);
// From here on the client sends a body or takes a reply, at the rate that is asked for …
void pace_start(struct pace *pace, bool is_reply);
void pace_move(struct pace *pace, size_t len); // … these are so many bytes of it …
void pace_pause(struct pace *pace);            // … and now it is not its turn, until pace_move()

// server_admit.c
// False: the client has too many connections, was told so, and fd is closed.
bool server_admit(struct server *server, int fd, const struct sockaddr_storage *address);
void server_forget(struct server *server, int fd); // it was admitted and will not become a conn
void server_forget_all(struct server *server);
void conn_enter(struct conn *conn);
void conn_leave(const struct conn *conn);
bool conn_has_input(const struct conn *conn); // not yet read
bool server_make_room(struct server *server); // closes the connection that idles longest, if any

// server_say.c
enum saying_kind { SAY_HEAD_TOO_LARGE, SAY_LATE_HEAD, SAY_TOO_MANY_CONNECTIONS };
void conn_say(const struct conn *conn, enum saying_kind kind);
void socket_say(int fd, enum saying_kind kind);

// server_head.c
struct guard_verdict req_check_head(struct req *req, const char *method, const char *version);
void req_read_framing(struct req *req);

bool listener_accept(struct listener *listener); // some; true: more may be waiting

// server_drain.c
// Are replies on it to say that they are the last?
bool conn_is_leaving(const struct conn *conn);

// server_request.c
struct req *req_new(struct server *server, struct conn *conn);
void req_free(struct req *req);
void req_end(struct req *req, bool is_complete);
void req_abandon(struct req *req); // its connection is closing and nobody said so
void req_suspend(struct req *req);
void req_unpark(struct req *req);
void req_resume(struct req *req);
void server_queue_answered(struct server *server); // just before libmicrohttpd runs
bool req_has_body(const struct req *req);
void req_reset_on_close(const struct req *req, bool on);

// server_raw.c
void raw_accept(struct server *server, int fd); // takes fd
void raw_unwatch(struct conn *conn);            // somebody else does
void raw_switch(struct conn *conn, int status, const struct fields *fields);
void raw_end(struct conn *conn); // on_end follows, from the loop
void raw_free_now(struct conn *conn);

// server_reply.c
bool response_add_field(struct MHD_Response *response, const struct field *field);

// server_message.c
bool message_start(struct buf *out, int status) WARN_UNUSED;
bool message_add(struct buf *out, struct str name, struct str value) WARN_UNUSED;
bool message_add_date(struct buf *out) WARN_UNUSED;

// server_hand.c
// Sends the reply of req->response and req->reply by hand; the response is gone then. overlaps: the
// rest of the request goes on to the handler; else nothing more of it is of use.
void hand_start(struct req *req, bool overlaps);
void hand_wake(struct hand *hand); // on_pull may be called again
void hand_on_deadline(struct hand *hand);
bool hand_add_trailer(struct hand *hand, const struct field *field) WARN_UNUSED;
bool hand_overlaps(const struct hand *hand);
bool hand_is_complete(const struct hand *hand); // all of the reply is out
bool hand_is_over(const struct hand *hand);     // and nothing more is to be awaited
void hand_free(struct hand *hand);              // NULL is fine

// A body up to this is read to its end when the answer is known before: many a client reads only
// when it has sent everything, and its connection can be kept. It must come within that time.
#define DRAIN_MAX     ((size_t)1024 * 1024)
#define DRAIN_TIME_MS 1000

#endif
