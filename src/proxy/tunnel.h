// SPDX-License-Identifier: MIT
// Bytes both ways between a client's descriptor and an upstream link, nothing of them understood:
// what follows a switch of protocols, or a CONNECT. Each way is read only as fast as the other side
// takes, and holds what did not fit there; idle, it holds nothing. An end of one side is passed on,
// and the other way goes on. All of it belongs to one loop's thread.
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "http/link.h"

enum tunnel_end {
    TUNNEL_CLOSED,         // both sides ended in order
    TUNNEL_CLIENT_BROKE,   // or left without an end
    TUNNEL_UPSTREAM_BROKE, //
    TUNNEL_IDLE,           // nothing moved for the idle limit
    TUNNEL_CANNOT_WATCH,   // no descriptors or memory
};

struct tunnel_way {
    struct buf held; // read, and not yet taken by the other side
    size_t at;       // first byte of held not yet taken
    bool has_ended;  // its giver has closed …
    bool is_shut;    // … and its taker was told
    uint64_t bytes;  // taken so far
};

struct tunnel {
    struct loop *loop;
    void (*on_over)(struct tunnel *tunnel,
                    enum tunnel_end end); // once, from the loop; it is stopped
    struct watch client;
    int fd;
    struct link *link;
    struct tunnel_way up, down; // towards the upstream, towards the client
    struct timer idle_timer;
    uint64_t idle_ms;
    struct task task;
    bool is_on;
};

struct tunnel_start {
    int fd;            // non-blocking; stays its owner's
    struct link *link; // connected; stays its owner's, who says tunnel_look() when it is ready
    // What was read from either side before; copied.
    struct str from_client, from_upstream;
    uint64_t idle_ms;
};

void tunnel_init(struct tunnel *tunnel, struct loop *loop,
                 void (*on_over)(struct tunnel *tunnel, enum tunnel_end end));
// on_over follows at some time, unless it is stopped before.
void tunnel_start(struct tunnel *tunnel, const struct tunnel_start *start);
void tunnel_look(struct tunnel *tunnel);
void tunnel_stop(struct tunnel *tunnel); // any time; nothing is called any more
void tunnel_fini(struct tunnel *tunnel);
const char *tunnel_end_text(enum tunnel_end end); // for logs

#endif
