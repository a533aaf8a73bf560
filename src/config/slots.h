// SPDX-License-Identifier: MIT
// One token to hold, as a value: what a route and a credential make of it, and what tells it from
// others. Shared by the files that give routes their slots (slots.c) and make some besides
// (slots_extra.c); nobody else in need of a slot makes one.
#ifndef CONFIG_SLOTS_H
#define CONFIG_SLOTS_H

#include "config/config.h"

// What the route needs of the credential; NULL: a token that no route asks for. index and
// authoriser are the caller's to set.
struct config_slot *config_slot_new(const struct config_route *route,
                                    const struct config_credential *credential) WARN_UNUSED;
void config_slot_free(struct config_slot *slot);
// Equal for two slots when one token serves both. The caller frees it.
char *config_slot_identity(const struct config_slot *slot) WARN_UNUSED;

// Does what a route asks for make a difference to the credential's tokens?
bool config_slot_is_scoped(const struct config_credential *credential);
// The scopes of both lists (more: NULL for none) as a slot's normalised set of wire values.
char *config_slot_scope(const struct config_credential *credential,
                        const struct config_strings *scopes,
                        const struct config_strings *more) WARN_UNUSED;

#endif
