// SPDX-License-Identifier: MIT
// Starts an outside command: no shell, an environment of its own, no descriptor but the three it is
// given, a process group that it leads. It refuses to know what becomes of it.
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

#define SPAWN_ARGS_MAX 257 // argv[0] included
#define SPAWN_ENV_MAX  64  // what the caller may add

struct spawn_ends { // descriptors that become 0, 1 and 2; they stay the caller's
    int input;
    int output; // -1: /dev/null
    int errors;
};

// Whether the file may be run: an absolute path to a regular file of root's or ours, which nobody
// else can write to.
bool spawn_check(const char *path, struct err *err) WARN_UNUSED;

// argv ends with NULL, argv[0] is the path. env: NAME=VALUE, ends with NULL, may be NULL; the
// command gets them behind PATH, LANG and our HOME, and nothing else.
bool spawn_start(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
                 pid_t *out_pid, struct err *err) WARN_UNUSED;

// Starts this or another program as itself: standard descriptors and signals' masks as a service
// manager gives them, fds as the numbers from SPAWN_FD_FIRST on and no others, exactly that
// environment. fds stay the caller's.
#define SPAWN_FD_FIRST 3
bool spawn_program(const char *program, char *const *argv, char *const *env, const int *fds,
                   size_t fd_count, pid_t *out_pid, struct err *err) WARN_UNUSED;

// For a process that does nothing else: takes as many descriptors as the hard limit lets it, and
// gives what it starts from then on the limit of before.
void spawn_raise_limit(void);

// Of a process that is not reaped yet, so that the number is its own: kills it and all of its
// group.
void spawn_kill(pid_t pid);

#endif
