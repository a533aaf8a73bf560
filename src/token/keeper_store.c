// SPDX-License-Identifier: MIT
// A slot's dealings with the store: before a fetch, whether another process has the token or is
// getting it; after one, that it is there. Here the clock that stops (boot time, in tokens) and the
// in the store) meet. A token that is bound to a key is of use only with that key: those of a key
// made for this run stay in memory, those of a configured one are stored with its thumbprint.
#include <string.h>

#include "token/client.h"
#include "token/jose.h"
#include "token/keeper_private.h"

#define WAIT_MS 20000 // for another process's fetch

// What a command answers may depend on the machine, an assertion in a file on the pod; and of a
// token that dies unused nobody can tell from the store whether it still lives.
static bool is_storeable(const struct keeper_slot *slot)
{
    bool ok = slot->keeper->store != NULL;
    for (const struct config_slot *each = slot->config; ok && each; each = each->authoriser) {
        const struct config_credential *credential = each->credential;
        bool is_known = credential->source == SOURCE_OAUTH || credential->source == SOURCE_LOGIN;
        ok = is_known && credential->auth_method != AUTH_ASSERTION_FILE &&
             !credential->idle_ttl_ms && (!credential->dpop || credential->dpop_key);
    }
    return ok;
}

// -- the store ---------------------------------------------------------------------------------

static uint64_t since_ms(int64_t then_s)
{
    int64_t ago_s = clock_realtime_s() - then_s;
    return ago_s > 0 ? (uint64_t)ago_s * 1000 : 0;
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

static void on_acquired(void *arg, enum store_answer answer, const struct store_record *record)
{
    struct keeper_slot *slot = arg;
    if (answer == STORE_FETCH) {
        slot->lease = LEASE_HELD;
        slot_ask_source(slot);
        return;
    }
    slot->lease = LEASE_NONE;
    struct jose_key *binding;
    if (!slot_binding(slot, record, &binding)) {
        slot_ask_source(slot);
        return;
    }
    // A machine may be younger than the token.
    uint64_t now_ms = keeper_now_ms(), ago_ms = since_ms(record->sent_s);
    uint64_t sent_ms = ago_ms < now_ms ? now_ms - ago_ms : 0;
    int64_t left_s = record->expires_s - clock_realtime_s();
    struct source_result result = {
        .binding = binding,
        .value = buf_str(&record->value),
        .sent_ms = sent_ms,
        .lifetime_ms = now_ms - sent_ms + (left_s > 0 ? (uint64_t)left_s : 0) * 1000,
        .granted_scope = record->granted_scope,
    };
    slot->reason = "store";
    slot_take_result(slot, &result, true);
}

void slot_ask_store(struct keeper_slot *slot)
{
    if (!is_storeable(slot) || !slot_store_key(slot->config, slot->store_key)) {
        slot_ask_source(slot);
        return;
    }
    // Newer than ours, and good for longer than the clocks may differ.
    int64_t now_s = clock_realtime_s();
    int64_t newer_than_s = now_s + (int64_t)(slot->config->credential->clock_skew_ms / 1000) + 1;
    if (slot->token) {
        int64_t ours_s =
            now_s + ((int64_t)slot->token->expires_ms - (int64_t)keeper_now_ms()) / 1000;
        newer_than_s = ours_s + 1 > newer_than_s ? ours_s + 1 : newer_than_s;
    }
    slot->lease = LEASE_ASKED;
    store_acquire(slot->keeper->store, slot->store_key, newer_than_s, WAIT_MS, on_acquired, slot);
}

static void slot_put(const struct keeper_slot *slot, const char *key, const struct token *token)
{
    struct store_record record;
    store_record_init(&record);
    int64_t now_s = clock_realtime_s();
    int64_t left_ms = (int64_t)token->expires_ms - (int64_t)keeper_now_ms();
    record.expires_s = now_s + left_ms / 1000;
    record.sent_s = now_s;
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
