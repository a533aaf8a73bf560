// SPDX-License-Identifier: MIT
// The environment that the process was started with. Some of it is hidden from libraries, which it
// would turn against us, and from processes that are started; the configuration, which may refer
// to any variable, still finds it there whenever it is read.
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include "base/mem.h"

// NULL: it is not set. Valid as long as the process lives. Any thread.
const char *env_get(const char *name);
// Takes the variable out of the process's environment, but not out of env_get()'s. Before any
// thread exists.
void env_hide(const char *name);
void env_forget(const char *name); // out of both
// The environment as it was but for what was forgotten, and more ("NAME=value", ended by NULL): for
// starting ourselves anew. The caller frees the list, not its entries.
char **env_list(const char *const *more) WARN_UNUSED;

#endif
