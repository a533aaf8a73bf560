// SPDX-License-Identifier: MIT
// A blocking connection with deadlines, for the store's thread: TCP, TLS over it, or a unix socket.
// Each call ends by its deadline, however slowly the peer drips (looking a name up excepted, which
// is the resolver's).
#ifndef TOKEN_STORE_LINK_H
#define TOKEN_STORE_LINK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

struct store_link;

struct store_link_peer {
    const char *host, *port;      // port in digits
    const char *unix_path;        // not NULL: instead of host and port
    const struct config_tls *tls; // NULL: without TLS
};

// deadline_ms: of CLOCK_BOOTTIME.
struct store_link *store_link_open(const struct store_link_peer *peer, uint64_t deadline_ms,
                                   struct err *err) WARN_UNUSED;
void store_link_close(struct store_link *link); // NULL is fine

bool store_link_send(struct store_link *link, struct str bytes, uint64_t deadline_ms,
                     struct err *err) WARN_UNUSED;
// Appends at least one byte and at most up to out's ceiling. *out_is_over: the peer closed it, or
// it broke, before any came; then false.
bool store_link_receive(struct store_link *link, struct buf *out, uint64_t deadline_ms,
                        bool *out_is_over, struct err *err) WARN_UNUSED;

#endif
