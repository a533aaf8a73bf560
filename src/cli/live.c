// SPDX-License-Identifier: MIT
// See live.h. Owns the loop and the keeper for as long as it takes. Sources bound themselves; the
// limits here are for what comes on top, such as waiting for another process's fetch.
#include "cli/live.h"

#include <signal.h>

#include "token/keeper.h"

#define TURN_MS       100 // how long a signal may go unnoticed
#define GRACE_MS      1000
#define STORE_WAIT_MS 25000

struct live {
    struct live_token *tokens;
    size_t count, missing;
    uint64_t started_us;
};

struct live_ask {
    struct live *live;
    struct live_token *token;
};

static uint64_t since_ms(const struct live *live)
{
    return (clock_boottime_us() - live->started_us) / 1000;
}

static void on_answer(void *arg, const struct token *token, const struct token_failure *failure)
{
    struct live_ask *ask = arg;
    ask->token->token = token ? token_ref(token) : NULL;
    ask->token->failure = failure ? token_failure_ref(failure) : NULL;
    ask->token->took_ms = since_ms(ask->live);
    ask->live->missing--;
}

// The longest that can take: metadata, a request with each of two secrets, one more with the nonce
// that was missing; or a command that hands over to all this; and what it waits for before.
static uint64_t limit_ms(const struct config_slot *slot, bool use_store)
{
    const struct config_credential *credential = slot->credential;
    uint64_t own = 4 * (credential->connect_timeout_ms + credential->timeout_ms) +
                   credential->command_timeout_ms + GRACE_MS + (use_store ? STORE_WAIT_MS : 0);
    return own + (slot->authoriser ? limit_ms(slot->authoriser, use_store) : 0);
}

static bool is_stop_asked(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

static void give_up(struct live *live)
{
    for (size_t i = 0; i < live->count; i++) {
        struct live_token *token = &live->tokens[i];
        if (token->token || token->failure)
            continue;
        token->failure = token_failure_new(FAILURE_WAITED, "no token came in time");
        token->took_ms = since_ms(live);
    }
}

static bool wait_for_all(struct live *live, struct loop *loop, uint64_t within_ms, struct err *err)
{
    while (live->missing && since_ms(live) < within_ms) {
        if (is_stop_asked())
            return err_set(err, "stopped by a signal");
        loop_turn(loop, TURN_MS);
    }
    give_up(live);
    return true;
}

static bool ask_all(struct live *live, struct loop *loop, struct keeper *keeper,
                    struct live_ask *asks, bool use_store, struct err *err)
{
    uint64_t longest_ms = 0;
    for (size_t i = 0; i < live->count; i++) {
        uint64_t limit = limit_ms(live->tokens[i].slot, use_store);
        longest_ms = limit > longest_ms ? limit : longest_ms;
        asks[i] = (struct live_ask){live, &live->tokens[i]};
        keeper_get(keeper, live->tokens[i].slot->index, on_answer, &asks[i]);
    }
    return wait_for_all(live, loop, longest_ms, err);
}

bool live_get(struct config *config, bool use_store, struct live_token *tokens, size_t count,
              struct err *err)
{
    struct loop *loop = loop_new(err);
    if (!loop)
        return false;
    struct live live = {tokens, count, count, clock_boottime_us()};
    const struct keeper_parts parts = {.no_hooks = true, .no_store = !use_store};
    struct keeper *keeper = keeper_new_of(loop, config, &parts, err);
    struct live_ask *asks = mem_array(count + 1, sizeof *asks);
    bool is_done = keeper && ask_all(&live, loop, keeper, asks, use_store, err);
    keeper_free(keeper);
    loop_free(loop);
    mem_free(asks);
    return is_done;
}

void live_fini(struct live_token *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        token_unref(tokens[i].token);
        token_failure_unref(tokens[i].failure);
        tokens[i].token = NULL;
        tokens[i].failure = NULL;
    }
}
