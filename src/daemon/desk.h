// SPDX-License-Identifier: MIT
// Where operators are told what they ask for: the admin listener, its sockets, and the facts behind
// it. Part of the daemon; control thread.
#ifndef DAEMON_DESK_H
#define DAEMON_DESK_H

#include "admin/admin.h"
#include "daemon/gate.h"
#include "daemon/listening.h"

struct daemon;

struct desk {
    int64_t started_at_s;
    struct admin *admin; // NULL: no configuration had a listener for it so far
    struct gate *gate;
    struct listeners listeners;
    struct config_strings proxy_bound; // where the proxy listens: borrowed but for the array
};

struct desk_change { // what another configuration needs, made beside what is there
    struct gate *gate;
    struct listeners listeners;
};

// Opens what the daemon's configuration asks for in [admin].
bool desk_open(struct daemon *daemon, struct err *err) WARN_UNUSED;
void desk_close(struct daemon *daemon); // also one that was never open
// False: nothing has changed. A prepared change is committed, which cannot fail, or given up.
bool desk_prepare(struct daemon *daemon, const struct config *config, struct desk_change *out,
                  struct err *err) WARN_UNUSED;
void desk_commit(struct daemon *daemon, struct desk_change *change);
void desk_give_up(struct desk_change *change);
void desk_set_mode(const struct daemon *daemon); // of unix sockets, as configured
// Another process that has the same sockets answers from now on.
void desk_hand_over(struct daemon *daemon);

#endif
