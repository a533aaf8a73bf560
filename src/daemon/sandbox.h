// SPDX-License-Identifier: MIT
// What this process can still do once it has started: files of the folders that the configuration
// names and that the system's libraries need, system calls of a network program.
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "config/config.h"

// As the configuration's `sandbox` says. Before any thread, since it binds only those started
// later; for good. Needs no_new_privs. false: SANDBOX_STRICT, and something is missing.
bool sandbox_enter(const struct config *config, struct err *err) WARN_UNUSED;

// Whether a configuration that is to be loaded now can be served: false and err name a folder that
// is out of reach, so that a restart is needed. true when there is no sandbox.
bool sandbox_covers(const struct config *config, struct err *err) WARN_UNUSED;
// Adds to the faults of such a configuration what may be behind them.
void sandbox_explain(struct config_faults *faults, const char *config_path);

#endif
