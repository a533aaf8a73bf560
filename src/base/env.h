// SPDX-License-Identifier: MIT
// The environment that the process was started with. Some of it is hidden from libraries, which it
// would turn against us; what holds secrets is overwritten, where everybody who may look at
// /proc/PID/environ would find it. The configuration, which may refer to any variable, still finds
// both here whenever it is read, and so does a successor.
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stdbool.h>

#include "base/mem.h"

// All of it belongs to the thread that loads configurations. NULL: it is not set. Valid until
// env_forget_secrets().
const char *env_get(const char *name);
const char *env_get_secret(const char *name); // the same, for env_hide_secrets() to know
// Takes the variable out of the process's environment, but not out of env_get()'s. Before any
// thread exists.
void env_hide(const char *name);
// Overwrites the values of those that were got as secrets, in the place where they stand: other
// threads may be looking through the environment. env_get() knows them still.
void env_hide_secrets(void);
void env_forget(const char *name); // out of both; before any thread exists
void env_forget_secrets(void);     // wipes what is known of them but their names
bool env_is_secret(const char *name);

// The environment as it was but for what was forgotten, and more ("NAME=value", ended by NULL),
// which stands above it: for starting ourselves anew. The caller frees the list, not its entries.
char **env_list(const char *const *more) WARN_UNUSED;
// Only the secrets that are hidden, and more.
char **env_secret_list(const char *const *more) WARN_UNUSED;

#endif
