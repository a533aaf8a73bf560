// SPDX-License-Identifier: MIT
// The sockets of a `listen`, one for each worker, and those of a whole configuration. Two
// configurations that listen on the same address share them, so that a reload closes nothing that
// goes on. The control thread's.
#ifndef DAEMON_LISTENING_H
#define DAEMON_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"
#include "daemon/passed.h"

struct listening_socket {
    int fd;
    char bound[LISTEN_ADDRESS_MAX];
    size_t worker;              // who accepts from it
    struct passed_socket *from; // it is a copy of; NULL: of none
};

struct listening { // counted
    unsigned refs;
    char *address;                  // as configured
    char bound[LISTEN_ADDRESS_MAX]; // the first socket
    bool is_lent;                   // a service manager has them, too: see server_lend()
    bool is_anothers;               // our predecessor's still, or our successor's already: its path
                                    // is not ours to remove
    struct listening_socket *items; // a worker may have several
    size_t count;
};

struct listening_request {
    const char *address; // 127.0.0.1:8080, [::1]:8080, unix:/path, fd:name
    size_t worker_count;
    unsigned unix_mode;
    bool expose; // may it be reached from other machines?
    // This process listens there: 127.0.0.1:8080 may have to make room for 0.0.0.0:8080, and both
    // are open for a moment.
    bool is_ours;
    struct passed *passed; // where it may be already; NULL: nowhere
};

struct listening *listening_open(const struct listening_request *request,
                                 struct err *err) WARN_UNUSED;
struct listening *listening_ref(struct listening *listening);
// The last closes the sockets, and removes the path of a unix socket that is our own. NULL is fine.
void listening_unref(struct listening *listening);

struct listeners { // of a configuration, in its order
    struct listening **items;
    size_t count;
};

// Those that `before` has are shared, others are opened. False: nothing is open that was not.
bool listeners_open(struct listeners *out, const struct config *config,
                    const struct listeners *before, struct passed *passed,
                    struct err *err) WARN_UNUSED;
void listeners_close(struct listeners *listeners);
bool listeners_have(const struct listeners *listeners, const struct listening *listening);
// They are another process's as well; or no more.
void listeners_give_away(const struct listeners *listeners);
void listeners_take_over(const struct listeners *listeners);
void listeners_set_mode(const struct listeners *listeners, unsigned mode); // of unix sockets
// The addresses as bound, those of `before` (NULL: none) as well; borrowed but for the array, which
// the caller frees.
struct config_strings listeners_bound(const struct listeners *listeners,
                                      const struct listeners *before) WARN_UNUSED;

#endif
