// SPDX-License-Identifier: MIT
// Which files this process can reach, by Landlock (Linux 5.13 or later): what no rule allows is out
// of reach for good, whoever owns it. What the kernel's version does not know is not restricted.
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct landlock;

enum { // bits of a rule
    LANDLOCK_READ = 1,
    LANDLOCK_WRITE = 2,  // and create, remove, rename
    LANDLOCK_SOCKET = 4, // create and remove unix sockets
};

unsigned landlock_version(void); // of the interface; 0: the kernel has none, or it is switched off

struct landlock *landlock_new(struct err *err) WARN_UNUSED;
void landlock_free(struct landlock *landlock); // NULL is fine
// A file, or a folder with all that is or will be below it. False and errno when it is not there.
bool landlock_allow(struct landlock *landlock, const char *path, unsigned rights) WARN_UNUSED;
// From now on, for this thread and those it will start. Needs no_new_privs.
bool landlock_enforce(struct landlock *landlock, struct err *err) WARN_UNUSED;

#endif
