// SPDX-License-Identifier: MIT
// How a token is, in a word: the same for health, metrics and status. Pure.
#include "admin/admin_private.h"

enum token_state token_state_of(const struct keeper_facts *facts, uint64_t now_ms)
{
    if (!facts->token && facts->failure)
        return TOKEN_FAILED;
    if (!facts->token)
        return facts->is_fetching ? TOKEN_FETCHING : TOKEN_NONE;
    // A newer one may have been asked for in vain before that, for an upstream's 401: nothing is
    // wrong with the renewal of this one.
    if (!token_is_due(facts->token, now_ms))
        return TOKEN_VALID;
    return facts->failure ? TOKEN_FAILING : TOKEN_DUE;
}

const char *token_state_name(enum token_state state)
{
    static const char *const names[TOKEN_STATES] = {
        [TOKEN_NONE] = "none", [TOKEN_FETCHING] = "fetching", [TOKEN_VALID] = "valid",
        [TOKEN_DUE] = "due",   [TOKEN_FAILING] = "failing",   [TOKEN_FAILED] = "failed",
    };
    return names[state];
}
