// SPDX-License-Identifier: MIT
// A slot's dealings with the store: before a fetch, whether another process has the token or is
// getting it; after one, that it is there. Here the clock that nobody sets (boot time, in tokens)
// and the one that all machines share (UTC, in the store) meet. A token that is bound to a key is
// of use only with that key: those of a key made for this run stay in memory, those of a configured
// one are stored with its thumbprint.
#include <string.h>

#include "token/client.h"
#include "token/jose.h"
#include "token/keeper_private.h"

#define WAIT_MS 20000 // for another process's fetch

// A configured token is at hand; what the grant fetches when it is over is like any other.
static bool is_storeable(const struct keeper_slot *slot)
{
    const struct config_credential *credential = slot->config->credential;
    bool ok = slot->keeper->store &&
              (credential->source != SOURCE_STATIC || source_static_is_over(credential));
    for (const struct config_slot *each = slot->config; ok && each; each = each->authoriser)
        ok = config_credential_is_storeable(each->credential);
    return ok;
}

// -- the store ---------------------------------------------------------------------------------

// A moment of the boot clock in UTC.
static int64_t utc_ms(uint64_t at_ms)
{
    return clock_realtime_ms() + (int64_t)at_ms - (int64_t)keeper_now_ms();
}

// The key a stored token is bound to. False: it is not the key of today.
static bool slot_binding(const struct keeper_slot *slot, const struct store_record *record,
                         struct jose_key **out_key)
{
    const struct config_credential *credential = slot->config->credential;
    *out_key =
        credential->dpop ? clients_binding(slot->keeper->source_context.clients, credential) : NULL;
    if (!credential->dpop)
        return !record->binding;
    return *out_key && record->binding && !strcmp(record->binding, jose_key_thumbprint(*out_key));
}

static uint64_t above_zero(int64_t number)
{
    return number > 0 ? (uint64_t)number : 0;
}

static void on_acquired(void *arg, enum store_answer answer, const struct store_record *record)
{
    struct keeper_slot *slot = arg;
    if (answer == STORE_FETCH) {
        slot->lease = LEASE_HELD;
        slot_ask_source(slot);
        return;
    }
    slot->lease = LEASE_NONE;
    // A machine may be younger than the token, or its clock behind another's.
    int64_t utc_now_ms = clock_realtime_ms();
    uint64_t now_ms = keeper_now_ms();
    uint64_t ago_ms = above_zero(utc_now_ms - store_record_sent_ms(record));
    uint64_t left_ms = above_zero(store_record_expires_ms(record) - utc_now_ms);
    uint64_t sent_ms = ago_ms < now_ms ? now_ms - ago_ms : 0;
    struct source_result result = {
        .value = buf_str(&record->value),
        .sent_ms = sent_ms,
        .lifetime_ms = now_ms - sent_ms + left_ms,
        .granted_scope = record->granted_scope,
    };
    // The last moments of its use may have passed on the way here.
    if (left_ms <= token_skew_ms(slot->config->credential->clock_skew_ms, result.lifetime_ms) ||
        !slot_binding(slot, record, &result.binding)) {
        slot_ask_source(slot);
        return;
    }
    slot->reason = "store";
    slot_take_result(slot, &result, true);
}

void slot_ask_store(struct keeper_slot *slot)
{
    if (!is_storeable(slot) || !slot_store_key(slot->config, slot->store_key)) {
        slot_ask_source(slot);
        return;
    }
    struct store_wish wish = {.clock_skew_ms = slot->config->credential->clock_skew_ms,
                              .wait_ms = WAIT_MS};
    if (slot->token) {
        wish.newer_than_ms = utc_ms(slot->token->expires_ms);
        memcpy(wish.known, slot->token->fingerprint, sizeof wish.known);
    }
    slot->lease = LEASE_ASKED;
    store_acquire(slot->keeper->store, slot->store_key, &wish, on_acquired, slot);
}

static void slot_put(const struct keeper_slot *slot, const char *key, const struct token *token)
{
    struct store_record record;
    store_record_init(&record);
    store_record_set_times(&record, utc_ms(token->sent_ms), utc_ms(token->expires_ms));
    record.granted_scope = mem_strdup(token->granted_scope);
    record.binding = token->binding ? mem_strdup(jose_key_thumbprint(token->binding)) : NULL;
    if (buf_append(&record.value, token->value))
        store_put(slot->keeper->store, key, &record);
    store_record_fini(&record);
}

void slot_tell_store(struct keeper_slot *slot, const struct token *token)
{
    char key[STORE_KEY_LEN + 1];
    bool is_ours = slot->lease == LEASE_HELD;
    slot->lease = LEASE_NONE;
    if (!is_ours)
        return;
    // A secret that changed meanwhile makes it another client's entry, in which this token has no
    // place.
    if (token && slot_store_key(slot->config, key) && !strcmp(key, slot->store_key))
        slot_put(slot, slot->store_key, token);
    else
        store_release(slot->keeper->store, slot->store_key);
}

void slot_leave_store(struct keeper_slot *slot)
{
    if (slot->lease == LEASE_ASKED)
        store_cancel(slot->keeper->store, slot);
    else
        slot_tell_store(slot, NULL);
}

bool slot_change_store(struct keeper_slot *slot)
{
    bool is_asking = slot->lease == LEASE_ASKED;
    slot_leave_store(slot);
    slot->lease = LEASE_NONE;
    return is_asking;
}
