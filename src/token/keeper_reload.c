// SPDX-License-Identifier: MIT
// What outlives a configuration. A slot that is the same in both goes on as it is, in both sets.
// One whose token is the same, but is sent in another field, kept for another time, or of a
// credential by another name, hands down what it has to a new one. All others begin anew. It
// happens in one go: nothing is asked of anybody, and whoever waits goes on waiting.
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "config/slots.h"
#include "token/client.h"
#include "token/keeper_private.h"

// -- which slot was which ----------------------------------------------------------------------

struct former {          // the slots of the set that was in force
    struct map by_words; // credential's name, scopes, …: as their configuration told them apart
    struct map by_identity; // whom they asked as
    char **words;           // the first map's keys
    size_t count;
};

static void former_init(struct former *former, const struct keeper_set *set)
{
    map_init(&former->by_words);
    map_init(&former->by_identity);
    former->count = set->count;
    former->words = mem_array(set->count, sizeof(char *));
    for (size_t i = 0; i < set->count; i++) {
        struct keeper_slot *slot = set->places[i].slot;
        former->words[i] = config_slot_identity(slot->config);
        map_put(&former->by_words, str_of(former->words[i]), slot);
        if (slot->identity[0])
            map_put(&former->by_identity, str_of(slot->identity), slot);
    }
}

static void former_fini(struct former *former)
{
    map_fini(&former->by_words);
    map_fini(&former->by_identity);
    for (size_t i = 0; i < former->count; i++)
        mem_free(former->words[i]);
    mem_free(former->words);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

// Does the credential make the same of a token as before?
static bool is_kept_alike(const struct config_credential *a, const struct config_credential *b)
{
    return is_same_text(a->header, b->header) && is_same_text(a->prefix, b->prefix) &&
           a->clock_skew_ms == b->clock_skew_ms && a->refresh_before_ms == b->refresh_before_ms &&
           a->idle_ttl_ms == b->idle_ttl_ms;
}

// -- what goes on ------------------------------------------------------------------------------

// A reload is somebody's word that things may have changed: what the authorization server refused
// may be tried again, if not at once.
static void slot_forgive(struct keeper_slot *slot)
{
    uint64_t floor_ms = slot->started_us / 1000 + slot->keeper->pace.floor_min_ms;
    if (!slot_is_held_off(slot))
        return;
    slot_end_hold_off(slot);
    slot->floor_ms = slot->floor_ms > floor_ms ? slot->floor_ms : floor_ms;
}

static void slot_go_on(struct keeper_slot *slot, const struct config_slot *config)
{
    slot->config = config;
    slot->source->ops->rebind(slot->source, config);
    slot_forgive(slot);
}

static struct token *token_of_other(const struct token *from,
                                    const struct config_credential *credential)
{
    struct token_times times = {.sent_ms = from->fetched_ms,
                                .lifetime_ms = from->expires_ms - from->fetched_ms,
                                .clock_skew_ms = credential->clock_skew_ms,
                                .refresh_before_ms = credential->refresh_before_ms};
    struct token *token =
        token_new(from->value, credential->header, from->binding ? "DPoP" : credential->prefix);
    token_schedule(&times, &token->soft_ms, &token->hard_ms);
    token->expires_ms = from->expires_ms;
    token->fetched_ms = from->fetched_ms;
    token->fetch_us = from->fetch_us;
    token->generation = from->generation;
    token->granted_scope = mem_strdup(from->granted_scope);
    token->binding = from->binding ? jose_key_ref(from->binding) : NULL;
    token->idle_ttl_ms = credential->idle_ttl_ms;
    return token;
}

static void slot_inherit(struct keeper_slot *slot, const struct keeper_slot *from)
{
    if (from->token)
        slot->token = token_of_other(from->token, slot->config->credential);
    slot->failure = from->failure ? token_failure_ref(from->failure) : NULL;
    slot->is_used = from->is_used;
    slot->used_ms = from->used_ms;
    slot->started_us = from->started_us;
    slot->floor_ms = from->floor_ms;
    slot->generation = from->generation;
    memcpy(slot->fingerprint, from->fingerprint, sizeof slot->fingerprint);
    memcpy(slot->identity, from->identity, sizeof slot->identity);
    slot->failed_ms = from->failed_ms;
    slot->failed_count = from->failed_count;
    slot->refused_count = from->refused_count;
    slot->refused_ms = from->refused_ms;
    slot->stats = from->stats;
    slot_forgive(slot);
}

struct turnover { // for the log
    size_t kept, inherited, anew;
};

static struct keeper_slot *slot_for(struct keeper *keeper, const struct former *former,
                                    const struct config_slot *config, struct turnover *turnover)
{
    char identity[STORE_KEY_LEN + 1], *words = config_slot_identity(config);
    slot_identify(config, identity);
    struct keeper_slot *from = map_get(&former->by_words, str_of(words));
    const struct keeper_slot *namesake = from;
    bool is_same = from && slot_is_same(from, config, identity);
    mem_free(words);
    if (is_same && from->source->ops->rebind &&
        is_kept_alike(from->config->credential, config->credential)) {
        slot_go_on(from, config);
        turnover->kept++;
        return from;
    }
    if (!is_same)
        from = identity[0] ? map_get(&former->by_identity, str_of(identity)) : NULL;
    struct keeper_slot *slot = keeper_slot_new(keeper, config);
    turnover->inherited += from != NULL;
    turnover->anew += from == NULL;
    if (from)
        slot_inherit(slot, from);
    if (namesake) // counters go by names, whoever the client is now
        slot->stats = namesake->stats;
    return slot;
}

// -- the store ---------------------------------------------------------------------------------

// A slot may be in several sets; it is met once.
static void keeper_each_slot(struct keeper *keeper, void (*visit)(struct keeper_slot *slot))
{
    for (struct list *link = keeper->sets.next; link != &keeper->sets; link = link->next) {
        struct keeper_set *set = CONTAINER_OF(link, struct keeper_set, link);
        for (size_t i = 0; i < set->count; i++)
            if (set->places[i].slot->places.next == &set->places[i].link)
                visit(set->places[i].slot);
    }
}

static void leave_store(struct keeper_slot *slot)
{
    slot->is_asking_anew = slot_change_store(slot);
}

static void ask_store_anew(struct keeper_slot *slot)
{
    if (slot->is_asking_anew)
        slot_ask_store(slot);
    slot->is_asking_anew = false;
}

struct opened_store { // that the new configuration asks for
    bool is_other;
    struct store *store; // NULL: none
    char mark[STORE_KEY_LEN + 1];
};

static bool keeper_open_store(const struct keeper *keeper, const struct config *config,
                              struct opened_store *out, struct err *err)
{
    *out = (struct opened_store){0};
    if (keeper->parts.no_store)
        return true;
    struct err store_err = {""};
    store_mark(config, out->mark);
    out->is_other = strcmp(out->mark, keeper->store_mark) != 0;
    if (out->is_other)
        out->store = store_open(keeper->loop, config, &store_err);
    return out->store || !store_err.text[0] || err_set(err, "%s", store_err.text);
}

static void keeper_change_store(struct keeper *keeper, const struct opened_store *opened)
{
    struct store *before = keeper->store;
    if (!opened->is_other)
        return;
    keeper_each_slot(keeper, leave_store);
    keeper->store = opened->store;
    memcpy(keeper->store_mark, opened->mark, sizeof keeper->store_mark);
    keeper_each_slot(keeper, ask_store_anew);
    store_close(before);
    log_info("store.changed", F_TEXT("store", opened->store ? "another" : "none"));
}

// -- all of it ---------------------------------------------------------------------------------

bool keeper_reload(struct keeper *keeper, struct config *config, struct err *err)
{
    struct keeper_set *before = keeper->set;
    struct turnover turnover = {0};
    struct opened_store opened;
    struct former former;
    if (!keeper_open_store(keeper, config, &opened, err))
        return false;
    former_init(&former, before);
    clients_turn_to(keeper->source_context.clients, config);
    fetcher_refresh(keeper->fetcher);
    for (size_t i = 0; i < before->count; i++)
        before->places[i].slot->is_retired = true;
    keeper->set = keeper_set_new(keeper, config);
    for (size_t i = 0; i < config->slot_count; i++) {
        struct keeper_slot *slot = slot_for(keeper, &former, config->slots[i], &turnover);
        slot->is_retired = false;
        keeper_set_put(keeper->set, i, slot);
    }
    former_fini(&former);
    keeper_change_store(keeper, &opened);
    for (size_t i = 0; i < keeper->set->count; i++)
        slot_step(keeper->set->places[i].slot);
    keeper_set_unref(before);
    log_info("tokens.reloaded", F_NUM("kept", turnover.kept),
             F_NUM("inherited", turnover.inherited), F_NUM("anew", turnover.anew));
    return true;
}
