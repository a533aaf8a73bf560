// SPDX-License-Identifier: MIT
// One run of an outside command on a loop: no shell, a clean environment, bytes in on stdin,
// bounded bytes out, a time limit after which its whole process group is killed. The caller's
// thread never waits.
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

struct child;

struct child_request {       // everything is copied by child_start
    const char *const *argv; // argv[0]: an absolute path; ends with NULL
    const char *const *env;  // NAME=VALUE; all that the command gets beside PATH, HOME and LANG
    struct str input;        // for stdin, then its end; wiped afterwards
    size_t output_max;       // of stdout; more is CHILD_TOO_MUCH
    uint64_t timeout_ms;
};

enum child_end {
    CHILD_EXITED,    // code: exit status
    CHILD_SIGNALLED, // code: signal
    CHILD_TIMEOUT,
    CHILD_TOO_MUCH, // output above output_max
};

struct child_result { // borrowed for the call
    enum child_end end;
    int code;
    struct str output;    // wiped after the call
    char error_text[256]; // the last of stderr, printable ASCII
};

typedef void child_done_fn(void *arg, const struct child_result *result);

// NULL and err when it cannot be started; otherwise done follows once, from the loop, unless
// cancelled.
struct child *child_start(struct loop *loop, const struct child_request *request,
                          child_done_fn *done, void *arg, struct err *err) WARN_UNUSED;
void child_cancel(struct child *child); // kills it

// A command line as written in the configuration, cut into words: blanks separate, '…' and "…" hold
// together, \ escapes inside "…"; nothing is expanded. NULL and err if it is malformed.
char **child_argv_parse(const char *line, struct err *err) WARN_UNUSED;
void child_argv_free(char **argv);

#endif
