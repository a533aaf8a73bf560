// SPDX-License-Identifier: MIT
// What operators look at, on a listener of its own: health, metrics, status, and a few orders. It
// runs on the control thread's loop, with a server and limits of its own, so it answers when the
// proxy is at its limits. docs/admin.md describes what it serves.
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/facts.h"
#include "base/loop.h"

struct admin;

// The facts are copied; what they lead to must outlive the admin.
struct admin *admin_new(struct loop *loop, const struct facts *facts, struct err *err) WARN_UNUSED;
void admin_free(struct admin *admin); // NULL is fine
// Takes requests from a listening socket, which stays the caller's.
bool admin_listen(struct admin *admin, int fd, struct err *err) WARN_UNUSED;
void admin_lend(struct admin *admin, int fd);     // see server_lend()
void admin_unlisten(struct admin *admin, int fd); // it must still be open

// News for the list of the latest failures; arg is the admin.
void admin_on_token_failure(void *arg, const struct config_slot *slot,
                            const struct token_failure *failure);
// As failures_add_upstream() in admin/failures.h.
void admin_on_upstream_failure(struct admin *admin, const char *upstream, const char *route,
                               enum traffic_failure failure, const char *why, uint64_t count);

#endif
