// SPDX-License-Identifier: MIT
// What a keeper tells of itself, to those who count and show. Changes nothing but what is to be
// kept at hand.
#include "token/keeper_private.h"

static const struct keeper_slot *slot_at(const struct keeper *keeper, size_t slot)
{
    return keeper->set->places[slot].slot;
}

struct keeper_stats keeper_stats(const struct keeper *keeper, size_t slot)
{
    return slot_at(keeper, slot)->stats;
}

struct keeper_facts keeper_facts(const struct keeper *keeper, size_t slot)
{
    const struct keeper_slot *at = slot_at(keeper, slot);
    bool is_alive = at->token && keeper_now_ms() < slot_death_ms(at);
    return (struct keeper_facts){
        .token = is_alive ? at->token : NULL,
        .failure = at->failure,
        .failed_ms = at->failed_ms,
        .failed_count = at->failed_count,
        .dead_ms = is_alive ? slot_death_ms(at) : 0,
        .is_fetching = at->is_fetching,
        .is_used = at->is_used,
        .is_kept = at->is_kept,
    };
}

bool keeper_store_stats(const struct keeper *keeper, struct store_stats *out)
{
    if (keeper->store)
        *out = store_stats(keeper->store);
    return keeper->store != NULL;
}

bool keeper_hook_stats(const struct keeper *keeper, const char *credential, struct hook_stats *out)
{
    if (keeper->hooks)
        *out = hooks_stats_of(keeper->hooks, credential);
    return keeper->hooks != NULL;
}

void keeper_set_listener(struct keeper *keeper,
                         void (*on_failure)(void *arg, const struct config_slot *slot,
                                            const struct token_failure *failure),
                         void *arg)
{
    keeper->on_failure = on_failure;
    keeper->listener = arg;
}

void keeper_keep_required(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper_slot_count(keeper); i++) {
        struct keeper_slot *slot = keeper->set->places[i].slot;
        slot->is_kept = slot->config->credential->required;
        slot_step(slot);
    }
}
