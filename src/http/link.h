// SPDX-License-Identifier: MIT
// One connection to an upstream. libcurl opens it (names, happy eyeballs, TLS with verification,
// client certificates, proxies); afterwards a plain one is a bare socket, and a TLS one a session
// of OpenSSL on one. Bytes in, bytes out: it knows no HTTP.
//
// Edge-triggered: after link_recv() or link_send() said LINK_AGAIN, on_ready comes when it is worth
// trying again. All of it belongs to one loop's thread.
#ifndef HTTP_LINK_H
#define HTTP_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "http/tls.h"

// What the links of one loop share: DNS answers, TLS sessions, the multi that plain ones connect
// through.
struct link_context;
struct link;

struct link_context *link_context_new(struct loop *loop, struct err *err) WARN_UNUSED;
void link_context_free(struct link_context *context); // after its links

struct link_target { // borrowed: must outlive the links made for it
    const char *host;
    uint16_t port;
    bool is_https;
    struct tls_options tls;
    const char *tls_name;    // in the certificate and in SNI; NULL: the host
    const char *unix_socket; // the path to connect to in place of host and port; NULL: none
    const char *proxy;       // NULL: none
    uint64_t connect_timeout_ms;
};

enum link_error {
    LINK_OK,
    LINK_UNREACHABLE, // DNS, connect, proxy
    LINK_TLS,         // handshake or verification
    LINK_TIMEOUT,     // not connected within connect_timeout
    LINK_EXHAUSTED,   // out of descriptors or memory, for now
    LINK_LOCAL,       // bad certificate file …
};

struct link_ops {
    // Exactly once after link_new(), from the loop. `why` is libcurl's text, for logs.
    void (*on_connect)(struct link *link, enum link_error error, const char *why);
    void (*on_ready)(struct link *link, bool is_hangup);
};

struct link *link_new(struct link_context *context, const struct link_target *target,
                      const struct link_ops *ops, void *owner) WARN_UNUSED;
// Closes at once, no callback follows; the memory goes at the end of the turn. Any time.
void link_close(struct link *link);
void *link_owner(const struct link *link);
// Between two messages nothing may be there to read: no stray bytes, no end. Costs a read only when
// the last one did not already tell.
bool link_is_quiet(struct link *link);

enum { LINK_EOF = 0, LINK_AGAIN = -1, LINK_FAILED = -2 };
// Bytes read, or LINK_EOF (TLS: only behind a close_notify), LINK_AGAIN, LINK_FAILED.
ssize_t link_recv(struct link *link, char *out, size_t out_max);
// Bytes written of the parts in their order, or LINK_AGAIN, LINK_FAILED.
#define LINK_PARTS_MAX 4
// Says that nothing more will be sent; what comes can still be read. Once, when all was sent.
void link_shut(struct link *link);
ssize_t link_send(struct link *link, const struct str *parts, size_t part_count);

#endif
