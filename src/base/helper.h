// SPDX-License-Identifier: MIT
// The helper: a small process of its own that starts commands for this one. It is forked once,
// before there are threads, so that the process that talks to the network need never fork or exec
// and can be forbidden to. It runs only what its own rule permits, whoever asks; it ends, and kills
// what it runs, when this process is gone.
#ifndef BASE_HELPER_H
#define BASE_HELPER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/spawn.h"

struct helper_setup {
    // All of these are called in the helper. settle: once, before anything else: gives up rights
    // and memory; false ends it, and helper_start() fails with err.
    bool (*settle)(void *arg, struct err *err);
    bool (*permits)(void *arg, const char *const *argv, const char *const *env);
    bool (*permits_restart)(void *arg, const char *const *env);
    void (*refresh)(void *arg); // after helper_refresh(); may be NULL
    void *arg;
    char *const *restart_argv; // NULL: this program is not started once more
};

// Before any thread is started. From then on child_start() uses it.
bool helper_start(const struct helper_setup *setup, struct err *err) WARN_UNUSED;
void helper_stop(void); // waits for its end; no-op when there is none
bool helper_is_used(void);
pid_t helper_pid(void); // what getppid() says in processes that it starts

// What the rule was made of has changed, and this process goes by the new: so does the helper,
// before it looks at any request that comes later. One thread only, the one that makes those.
void helper_refresh(void);

// Has a command started. Returns the line to it: a socket that does not block and is the caller's.
// One struct helper_report comes over it when the command has ended, or could not be started; the
// end of data without one means that the helper is gone. Shutting the line down for writing, or
// closing it, has the command's group killed. -1 and err when it cannot be asked. One thread only.
int helper_run(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
               struct err *err) WARN_UNUSED;

// Has this same program started once more, as spawn_program() does, with restart_argv; env stands
// above the helper's own environment. It lives on when we are gone, and so does it when the line is
// closed; a byte sent over the line has it killed. Two reports come: HELPER_STARTED and its end.
int helper_restart(const int *fds, size_t fd_count, const char *const *env,
                   struct err *err) WARN_UNUSED;

enum helper_outcome { HELPER_STARTED, HELPER_EXITED, HELPER_SIGNALLED, HELPER_NOT_STARTED };

struct helper_report {
    enum helper_outcome outcome;
    int code;       // process number, exit status, or signal
    struct err why; // HELPER_NOT_STARTED
};

#endif
