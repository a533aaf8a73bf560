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
    bool is_unix; // came over a unix socket, from user peer_uid
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
    void (*on_body_end)(struct request *request);
    // Fills out; returns the count, or PULL_WAIT, PULL_END, PULL_ABORT (the client sees a broken
    // body).
    ssize_t (*on_pull)(struct request *request, char *out, size_t out_max);
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
};

struct server_config {
    size_t header_limit; // bytes of a connection's pool: bounds request head and response head
    uint64_t max_connections;
    size_t spare_fds; // held back for when there are no descriptors left; 0: none
    uint64_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms;
};

struct server *server_new(struct loop *loop, const struct server_config *config,
                          const struct server_ops *ops, void *arg, struct err *err) WARN_UNUSED;
// Ends every request (on_end is called) and closes every connection.
void server_free(struct server *server);
// Accepts from a listening socket, which stays the caller's. May be called for several.
bool server_listen(struct server *server, int fd, struct err *err) WARN_UNUSED;
// Stops accepting; replies from now on close their connections, and idle ones are closed.
void server_drain(struct server *server);
size_t server_connection_count(const struct server *server);
uint64_t server_accepted_count(const struct server *server); // since the start
// Bytes of response head (fields and their ": ", CRLF) that still fit into the connection's pool.
size_t request_reply_room(struct request *request);
const char *server_library_version(void);

void request_accept(struct request *request);
void request_reply(struct request *request, const struct reply *reply);
void request_resume(struct request *request); // on_body may be called again
void request_wake(struct request *request);   // on_pull may be called again
// Breaks the connection off: the client sees a broken or missing answer. on_end follows from the
// loop.
void request_abort(struct request *request);

// A listening socket: "127.0.0.1:8080", "[::1]:8080", ":8080", "unix:/path". is_shared:
// SO_REUSEPORT. Writes the address with the port that was bound. Returns the descriptor or -1.
int listen_open(const char *address, bool is_shared, unsigned unix_mode, char *out_bound,
                size_t out_bound_max, struct err *err) WARN_UNUSED;

#endif
