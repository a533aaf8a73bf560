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

// From now on, for this thread and those it will start. Needs no_new_privs. with_modes: it can
// still change the modes of files by their paths, which unix sockets need, and nothing else does.
bool syscalls_restrict(bool with_modes, struct err *err) WARN_UNUSED;

#endif
