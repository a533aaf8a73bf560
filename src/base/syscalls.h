// SPDX-License-Identifier: MIT
// Which system calls this process can make: those of a network program with threads and small
// files. Starting programs, new processes, tracing, mounting and their like end the process at
// once; what is merely unknown fails as if the kernel had no such call, so that a newer libc falls
// back on an older one.
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

// From now on, for this thread and those it will start. Needs no_new_privs.
bool syscalls_restrict(struct err *err) WARN_UNUSED;

#endif
