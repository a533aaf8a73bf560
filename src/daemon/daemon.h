// SPDX-License-Identifier: MIT
// The composition root: listeners, control loop, keeper, workers, signals, drain. Built and run on
// one thread, the control thread.
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "token/keeper.h"

struct daemon;

// Opens the listeners and builds everything; no thread runs yet. The config is referenced.
struct daemon *daemon_new(struct config *config, struct err *err) WARN_UNUSED;
// Starts the workers, then runs the control loop until SIGTERM, SIGINT or daemon_stop(); drains;
// all workers have ended when it returns. True: stopped as asked.
bool daemon_run(struct daemon *daemon, struct err *err) WARN_UNUSED;
void daemon_stop(struct daemon *daemon); // any thread
void daemon_free(struct daemon *daemon);

// The address that the i-th `listen` was bound to ("127.0.0.1:40123" for port 0); NULL past the
// end.
const char *daemon_address(const struct daemon *daemon, size_t i);

// Process-wide preparation, once, before any thread: ignores SIGPIPE, umask, core dumps off, clears
// environment variables that would change what libraries do, initialises libcurl.
bool daemon_prepare_process(struct err *err) WARN_UNUSED;

// Unmaps the pages of programs and libraries that starting needed and running does not.
void daemon_let_pages_go(void);

#endif
