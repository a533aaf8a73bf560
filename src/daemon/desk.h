// SPDX-License-Identifier: MIT
// Where operators are told what they ask for: the admin listener, its socket, and the facts behind
// it. The daemon fills in what it knows, and keeps it true. Control thread.
#ifndef DAEMON_DESK_H
#define DAEMON_DESK_H

#include "admin/admin.h"
#include "daemon/gate.h"
#include "daemon/worker.h"
#include "proxy/ledger.h"

struct desk {
    // The daemon's to set; all borrowed, and to be kept up to date.
    struct loop *loop;
    struct config *config; // in force; a new one by desk_set_config()
    struct keeper *keeper;
    struct ledger *ledger;
    struct worker *const *workers;
    size_t worker_count;
    struct facts_process process;
    bool (*reload)(void *arg, struct buf *out_text); // NULL: not possible
    void (*drain)(void *arg);                        // likewise
    void *arg;
    // The desk's own.
    struct admin *admin; // NULL: there is no listener
    struct gate *gate;
    int *listen_fds;
    size_t listen_count;
    struct config_strings bound;
};

// Opens the listeners of [admin], if there are any. False: nothing is open.
bool desk_open(struct desk *desk, struct err *err) WARN_UNUSED;
void desk_close(struct desk *desk); // also of one that was never open
// Another configuration has come into force: its key and names count from now on; its addresses
// only after a restart. False: the key cannot be read; the rules before are kept.
bool desk_set_config(struct desk *desk, struct config *config, struct err *err) WARN_UNUSED;

#endif
