// SPDX-License-Identifier: MIT
// Which commands the helper may run: those that the configuration names. It looks for itself, in
// the files, so that nobody who has got hold of the process on the network can have others run.
#ifndef DAEMON_COMMANDS_H
#define DAEMON_COMMANDS_H

#include "config/config.h"

struct commands;

struct commands *commands_new(const struct config *config) WARN_UNUSED;
void commands_free(struct commands *commands); // NULL is fine
// argv: letter by letter a command line of the configuration, which is read anew if it names no
// such one yet (it may have been changed, and loaded again by the other process). env: BEARERD_…
// alone, since variables of other names could make of a harmless command any other.
bool commands_permit(struct commands *commands, const char *const *argv,
                     const char *const *env) WARN_UNUSED;

#endif
