// SPDX-License-Identifier: MIT
// From a process that may do everything to one that may do what a proxy needs: user, capabilities,
// secrets in the environment, the helper for commands, the sandbox.
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include "config/config.h"
#include "daemon/daemon.h"

// Behind daemon_prepare_process(), before daemon_new() and any thread; nobody else may hold the
// configuration yet. helper_stop() ends what it starts.
bool daemon_confine(struct config *config, const struct daemon_service *service,
                    struct err *err) WARN_UNUSED;

#endif
