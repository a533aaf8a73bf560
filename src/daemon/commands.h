// SPDX-License-Identifier: MIT
// Which commands the helper may run: those that the configuration in force names. It looks for
// itself, in the files, so that nobody who has got hold of the process on the network can have
// others run; but only when they are loaded, for what is in them since then is not in force.
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include "config/config.h"

struct commands;

struct commands *commands_new(const struct config *config) WARN_UNUSED;
void commands_free(struct commands *commands); // NULL is fine
// The other process has loaded the configuration again. What the one before named stays permitted
// until the next time: what was begun under it may still have to be run.
void commands_refresh(struct commands *commands);
// argv: letter by letter a command line of the configuration. env: BEARERD_… alone, since variables
// of other names could make of a harmless command any other.
bool commands_permit(const struct commands *commands, const char *const *argv,
                     const char *const *env) WARN_UNUSED;

#endif
