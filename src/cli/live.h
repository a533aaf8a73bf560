// SPDX-License-Identifier: MIT
// Access tokens got here and now, for people at a terminal, the way `serve` gets them but with no
// proxy round it: a keeper on a loop of its own, asked until every answer is there. It sets off no
// on_token_update.
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "config/config.h"
#include "token/token.h"

struct live_token {
    const struct config_slot *slot;      // whose token is asked for; the caller's to set
    const struct token *token;           // NULL: failure says why
    const struct token_failure *failure; // NULL: there is a token
    uint64_t took_ms;
};

// Asks for all of them at once; every one has its token or failure when it returns true, within the
// time limits of its credential. use_store: one that the store has will do, and one that is fetched
// is put there. False: it could not begin, or a signal asked to stop.
bool live_get(struct config *config, bool use_store, struct live_token *tokens, size_t count,
              struct err *err) WARN_UNUSED;
void live_fini(struct live_token *tokens, size_t count);

// What `bearerd check` looks at; never NULL, and not for running when there are faults. And the
// whole of it; its exit code. With is_live the process must be prepared, before either. (check.c)
struct config *check_inspect(const char *path, struct config_faults *faults) WARN_UNUSED;
int check_run(const char *path, bool is_live);

// What came of it, in 100 columns (live_table.c).
void live_table_print(FILE *to, const struct live_token *tokens, size_t count);

#endif
