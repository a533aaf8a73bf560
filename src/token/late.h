// SPDX-License-Identifier: MIT
// Internal to token/: what a source knows at once, told later, as source.h demands. Part of a
// source's object; one at a time.
#ifndef TOKEN_LATE_H
#define TOKEN_LATE_H

#include "base/buf.h"
#include "base/loop.h"
#include "token/source.h"

struct late {
    struct loop *loop;
    struct task task;
    source_done_fn *done; // NULL: nothing is to be told
    void *arg;
    struct buf value;
    uint64_t lifetime_ms;
    struct token_failure *failure;
};

void late_init(struct late *late, struct loop *loop);
void late_cancel(struct late *late); // also before its memory goes; wipes
// Takes the failure over.
void late_fail(struct late *late, source_done_fn *done, void *arg, struct token_failure *failure);
// Clients are told "WHAT of credential 'NAME' (see the log)"; the log gets the cause, too.
void late_fail_locally(struct late *late, source_done_fn *done, void *arg,
                       const struct config_credential *credential, const char *what,
                       const struct err *err);
// value is the caller's to fill before this; it is wiped once told.
void late_succeed(struct late *late, source_done_fn *done, void *arg, uint64_t lifetime_ms);

#endif
