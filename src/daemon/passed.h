// SPDX-License-Identifier: MIT
// Listening sockets that somebody else opened for us: a service manager (LISTEN_FDS, as systemd and
// others do), or the process whose place this one takes (upgrade.c). Whoever holds such a socket
// beside us keeps its queue, so nobody is refused while we are replaced.
#ifndef DAEMON_PASSED_H
#define DAEMON_PASSED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/server.h"

#define PASSED_MAX      1024
#define PASSED_FD_FIRST 3

struct passed_socket {
    int fd;
    char *name; // as the service manager calls it; "" if it has none
    char bound[LISTEN_ADDRESS_MAX];
    bool is_own;  // of our predecessor: closed, and its path unlinked, by us in the end
    bool is_used; // or gone: not to be found any more
};

struct passed {
    struct passed_socket *items;
    size_t count;
    int parent_fd; // where our predecessor waits for word that we are ready; -1: there is none
};

// Takes what the environment tells of, and takes that out of the environment: once, before any
// thread. What is passed and is no listening stream socket is an error.
bool passed_load(struct passed *passed, struct err *err) WARN_UNUSED;
// Calls visit for the paths of our predecessor's unix sockets, before they are taken.
void passed_visit_paths(void (*visit)(void *arg, const char *path), void *arg);
void passed_fini(struct passed *passed); // closes
void passed_forget(void);                // what the environment tells: it is for one process

// The next unused socket that a `listen` means, by its name (fd:NAME) or by where it is bound;
// NULL: none.
struct passed_socket *passed_find(struct passed *passed, const char *address);

// How a predecessor tells its successor (a process that the helper starts) of them: the value of
// PASSED_VARIABLE, for descriptors from PASSED_FD_FIRST on (those that are its own first), the last
// of all being where it waits. The names of those that are not its own go into
// PASSED_NAMES_VARIABLE, with colons between them.
#define PASSED_VARIABLE       "BEARERD_UPGRADE"
#define PASSED_NAMES_VARIABLE "BEARERD_UPGRADE_NAMES"
void passed_describe(size_t own_count, size_t lent_count, char *out, size_t out_max);

#endif
