// SPDX-License-Identifier: MIT
// Tokens that no route asks for, for subcommands that get one by hand.
#ifndef CONFIG_SLOTS_EXTRA_H
#define CONFIG_SLOTS_EXTRA_H

#include "config/config.h"

// The slot of the credential with exactly these scopes, aliases or wire values (NULL: the
// credential's own), and its own audience and resources. One that is not there is added to the
// config, which therefore must not have been shared yet. NULL and err: a scope that it cannot ask
// for.
const struct config_slot *slots_extra_get(struct config *config,
                                          const struct config_credential *credential,
                                          const struct config_strings *scopes,
                                          struct err *err) WARN_UNUSED;

#endif
