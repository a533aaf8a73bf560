// SPDX-License-Identifier: MIT
// A slot's dealings with the store: before a fetch, whether another process has the token or is
// getting it; after one, that it is there. Here the clock that stops (boot time, in tokens) and the
// in the store) meet. A token that is bound to a key is of use only with that key: those of a key
// made for this run stay in memory, those of a configured one are stored with its thumbprint.
#include <string.h>

#include "base/log.h"
#include "config/secret.h"
#include "token/client.h"
#include "token/jose.h"
#include "token/keeper_private.h"

#define WAIT_MS 20000 // for another process's fetch

static bool is_storeable(const struct keeper_slot *slot)
{
    const struct config_credential *credential = slot->config->credential;
    return slot->keeper->store && credential->source != SOURCE_STATIC &&
           (!credential->dpop || credential->dpop_key);
}

// False: the secret cannot be read, and so no entry can be known as ours.
static bool slot_key(const struct keeper_slot *slot, char out[STORE_KEY_LEN + 1])
{
    const struct config_credential *credential = slot->config->credential;
    const struct secret *secrets[] = {credential->client_secret, credential->signing_key};
    struct buf identity;
    struct err err;
    bool ok = true;
    buf_init(&identity, 2 * SECRET_MAX + 16);
    for (size_t i = 0; ok && i < ARRAY_LEN(secrets); i++)
        ok = !secrets[i] || secret_read(secrets[i], &identity, &err);
    if (ok)
        store_key_of(slot->config, buf_str(&identity), out);
    buf_fini(&identity);
    return ok;
}

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
    struct source_result result = {
        .binding = binding,
        .value = buf_str(&record->value),
        .sent_ms = keeper_now_ms() - since_ms(record->sent_s),
        .lifetime_ms = (uint64_t)(record->expires_s - record->sent_s) * 1000,
        .granted_scope = record->granted_scope,
    };
    slot->reason = "store";
    slot_take_result(slot, &result, true);
}

void slot_ask_store(struct keeper_slot *slot)
{
    char key[STORE_KEY_LEN + 1];
    if (!is_storeable(slot) || !slot_key(slot, key)) {
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
    store_acquire(slot->keeper->store, key, newer_than_s, WAIT_MS, on_acquired, slot);
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
    if (!is_ours || !slot_key(slot, key))
        return; // a lease that cannot be named any more ends by itself
    if (token)
        slot_put(slot, key, token);
    else
        store_release(slot->keeper->store, key);
}

void slot_leave_store(struct keeper_slot *slot)
{
    if (slot->lease == LEASE_ASKED)
        store_cancel(slot->keeper->store, slot);
    else
        slot_tell_store(slot, NULL);
}
