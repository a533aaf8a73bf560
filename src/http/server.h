// SPDX-License-Identifier: MIT
// The HTTP/1.1 server towards clients: libmicrohttpd, driven by a loop, behind a guard that refuses
// what two readers could understand differently. One server per worker, everything on its loop's
// thread.
//
// One request's life. `on_request` comes when the head is complete. The handler then calls, at once
// or later, request_accept() (the body may come; 100-continue is answered) or request_reply(). Body
// bytes arrive by `on_body`; what it does not take is held, and nothing more is read, until
// request_resume(). `on_body_end` follows the last byte (also when there was no body). The reply's
// body is pulled by `on_pull`; PULL_WAIT holds until request_wake(). `on_end` is the last call,
// always, exactly once.
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "http/crowd.h"
#include "http/headers.h"

struct server;

enum request_body { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

// A client's request. Views are good until on_end.
struct request {
    struct str method;
    struct str target; // raw request target, byte for byte
    int minor;         // HTTP/1.minor
    size_t head_len;   // bytes of the head, 0 if unknown
    struct fields fields;
    enum request_body body;
    uint64_t content_length; // for BODY_LENGTH
    bool expects_continue;
    bool may_tunnel; // a CONNECT that request_switch() can answer
    bool is_unix;    // came over a unix socket, from user peer_uid
    uint32_t peer_uid;
    void *user; // the handler's own
};

enum { PULL_WAIT = 0, PULL_END = -1, PULL_ABORT = -2 };
#define REPLY_LENGTH_UNKNOWN UINT64_MAX

struct server_ops {
    void (*on_request)(void *arg, struct request *request);
    // The head is not one that two readers would understand alike: must call request_reply() with
    // `status`; the connection is closed behind it. No on_request, on_body or on_body_end for this
    // request.
    void (*on_refused)(void *arg, struct request *request, int status, const char *why);
    // Returns how many bytes it took.
    size_t (*on_body)(struct request *request, struct str bytes);
    void (*on_body_end)(struct request *request); // may call request_trailers()
    // The body comes too slowly. The answer, if there is none yet, does not wait for the rest of
    // it; without one the connection is broken off. May be NULL.
    void (*on_late)(struct request *request);
    // Fills out; returns the count, or PULL_WAIT, PULL_END, PULL_ABORT (the client sees a broken
    // body).
    ssize_t (*on_pull)(struct request *request, char *out, size_t out_max);
    // After request_switch(): the connection is the handler's to read and write, beginning with the
    // bytes that came early, until request_close(). It is non-blocking and stays the server's to
    // close.
    void (*on_switched)(struct request *request, int fd, struct str early);
    // is_complete: the whole reply was sent.
    void (*on_end)(struct request *request, bool is_complete);
};

struct reply {
    int status;
    const struct fields
        *fields; // copied. No hop-by-hop fields, no Content-Length: framing is the server's
    // Either the whole body, borrowed until on_end …
    bool is_whole;
    struct str body;
    // … or pulled: this many bytes, or REPLY_LENGTH_UNKNOWN (chunked, or until close for HTTP/1.0).
    // For HEAD and 304 the length that Content-Length shall state; nothing is pulled.
    uint64_t length;
    bool close; // close the connection afterwards: also what the client sent behind is dropped then
    // The rest of the request is still wanted: on_body goes on. Only if request_may_overlap().
    bool overlaps;
};

struct server_config {
    size_t header_limit; // bytes of a connection's pool: bounds request head and response head
    uint64_t max_connections;
    size_t spare_fds;   // held back for when there are no descriptors left; 0: none
    bool takes_connect; // CONNECT comes with may_tunnel; costs each new connection a look
    uint64_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms;
    uint64_t body_min_rate; // bytes a second, on average of body_timeout; 0: any
    struct crowd *crowd;    // borrowed, shared by the servers of a process; NULL: no limit
};

struct server *server_new(struct loop *loop, const struct server_config *config,
                          const struct server_ops *ops, void *arg, struct err *err) WARN_UNUSED;
// Ends every request (on_end is called) and closes every connection.
void server_free(struct server *server);
// Accepts from a listening socket, which stays the caller's. May be called for several.
bool server_listen(struct server *server, int fd, struct err *err) WARN_UNUSED;
// Others accept from this one, too: when we stop, what stands in its queue is left to them.
void server_lend(struct server *server, int fd);
// The same of all, until it is taken back; those lent one by one stay lent.
void server_lend_all(struct server *server, bool is_lent);
// Lets in who stands in the queue, and refuses newcomers; connections that came by it end with the
// next reply. It must be open during the call, and is not watched any more behind it.
void server_unlisten(struct server *server, int fd);
// Requests whose heads are complete from now on go to this handler, those under way stay with
// theirs. The operations are the same.
void server_handle(struct server *server, void *arg);
// Other limits, header_limit excepted; for connections that are open as well.
void server_limit(struct server *server, const struct server_config *config);
// Stops accepting; replies from now on close their connections, and idle ones are closed. One that
// has not asked yet gets a second to do so.
void server_drain(struct server *server);
size_t server_connection_count(const struct server *server);
uint64_t server_accepted_count(const struct server *server); // since the start
// Bytes of response head (fields and their ": ", CRLF) that still fit into the connection's pool.
size_t request_reply_room(struct request *request);
// The client's address as text; empty when it came over a unix socket.
#define REQUEST_PEER_MAX 46
struct str request_peer(struct request *request, char out[REQUEST_PEER_MAX]);
const char *server_library_version(void);

// Can a reply begin while the request's body comes? It costs the connection, so it is said of long
// bodies only.
bool request_may_overlap(struct request *request);
void request_accept(struct request *request);
void request_reply(struct request *request, const struct reply *reply);
// An interim response (1xx but 101), past which the request waits on. Dropped where it cannot be
// sent without waiting, for HTTP/1.0 clients, and once the reply is known.
void request_inform(struct request *request, int status, const struct fields *fields);
// Instead of a reply: this status and these fields; on_switched follows, or on_end. 101 to a
// request without a body, Upgrade being among the fields; 200 to one that may_tunnel.
void request_switch(struct request *request, int status, const struct fields *fields);
// Ends what on_switched began; on_end follows from the loop. Not from inside on_switched.
void request_close(struct request *request);
// The trailer fields behind a chunked body; views as the request's. False: not ones that two
// readers would understand alike.
bool request_trailers(struct request *request, struct fields *out) WARN_UNUSED;
// From inside on_pull, before it says PULL_END: goes out behind the body if that is chunked, and is
// dropped else. Bounded like a head: see request_reply_room().
void request_add_trailer(struct request *request, const struct field *field);
void request_resume(struct request *request); // on_body may be called again
void request_wake(struct request *request);   // on_pull may be called again
// Breaks the connection off: the client sees a broken or missing answer. on_end follows from the
// loop.
void request_abort(struct request *request);

// A listening socket: "127.0.0.1:8080", "[::1]:8080", ":8080", "unix:/path". is_shared:
// SO_REUSEPORT. Writes the address with the port that was bound. Returns the descriptor or -1.
int listen_open(const char *address, bool is_shared, unsigned unix_mode, char *out_bound,
                size_t out_bound_max, struct err *err) WARN_UNUSED;
// Does nobody listen on this TCP address? With SO_REUSEPORT two processes of a user may, and would
// share the connections, which is hardly ever meant.
bool listen_is_free(const char *address, struct err *err) WARN_UNUSED;
// What stands behind "unix:"; NULL: it is no unix socket's.
const char *listen_path(const char *address);
// Would two sockets, each on one of these, take connections from each other? False: not TCP.
bool listen_overlaps(const char *address, const char *other);
// Where a socket is bound, as listen_open() writes it; "" if it cannot be told.
#define LISTEN_ADDRESS_MAX 128
void listen_address(int fd, char out[LISTEN_ADDRESS_MAX]);

#endif
