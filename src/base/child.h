// SPDX-License-Identifier: MIT
// One run of an outside command on a loop: no shell, a clean environment, bytes in on stdin,
// bounded bytes out, a time limit after which its whole process group is killed. The caller's
// thread never waits. The process must ignore SIGPIPE: commands need not read their input. Where
// there is a helper (helper.h), it starts them, and this process does not fork.
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

#define CHILD_ERROR_MAX ((size_t)1024 * 1024) // of stderr; more is CHILD_TOO_MUCH

struct child;

struct child_request {       // everything is copied by child_start
    const char *const *argv; // argv[0]: an absolute path; ends with NULL
    const char *const *env;  // NAME=VALUE; all that the command gets beside PATH, HOME and LANG
    struct str input;        // for stdin, then its end; wiped afterwards
    size_t output_max;       // of stdout; more is CHILD_TOO_MUCH. 0: stdout goes nowhere
    uint64_t timeout_ms;
};

enum child_end {
    CHILD_EXITED,    // code: exit status
    CHILD_SIGNALLED, // code: signal
    CHILD_TIMEOUT,
    CHILD_TOO_MUCH,    // output above output_max
    CHILD_NOT_STARTED, // error_text says why
};

struct child_result { // borrowed for the call
    enum child_end end;
    int code;
    struct str output;    // wiped after the call
    char error_text[256]; // the last line of stderr that is not empty, printable ASCII
};

typedef void child_done_fn(void *arg, const struct child_result *result);

// NULL and err when it is plain that it cannot be started; otherwise done follows once, from the
// loop, unless cancelled; the child is no more when done is called. Whatever the command leaves
// behind in its process group is killed when it ends: what shall live on must leave the group
// (setsid).
struct child *child_start(struct loop *loop, const struct child_request *request,
                          child_done_fn *done, void *arg, struct err *err) WARN_UNUSED;
void child_cancel(struct child *child); // kills it

// "exit status 1: no such profile", "killed by signal 9", "took longer than 500 ms", …
void child_describe(const struct child_result *result, uint64_t timeout_ms, char *out,
                    size_t out_size);
// Does the error text repeat the secret, or a good part of it?
bool child_error_repeats(const struct child_result *result, struct str secret);

// A command line as written in the configuration, cut into words: blanks separate, '…' and "…" hold
// together, \ escapes inside "…"; nothing is expanded. NULL and err if it is malformed.
char **child_argv_parse(const char *line, struct err *err) WARN_UNUSED;
void child_argv_free(char **argv); // NULL is fine

#endif
