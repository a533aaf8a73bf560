// SPDX-License-Identifier: MIT
// Variables of the environment. Those that hold secrets are overwritten once the configuration has
// been read, where everybody who may look at /proc/PID/environ sees them; those that would change
// what libraries do are taken out of it. Both stay known here: the configuration may be read again.
#ifndef CONFIG_ENV_H
#define CONFIG_ENV_H

#include "base/mem.h"

// All of it belongs to the thread that loads configurations. NULL: there is no such variable.
const char *env_get(const char *name);
const char *env_get_secret(const char *name); // the same, for env_hide() to know
// Overwrites the values that were got as secrets, where they stand.
void env_hide(void);
// Takes a variable out of the environment, where libraries would see it. No threads yet.
void env_take_away(const char *name);
// Wipes what is known of variables that were hidden or taken away.
void env_forget(void);

#endif
