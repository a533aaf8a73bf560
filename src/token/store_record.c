// SPDX-License-Identifier: MIT
// What is kept of a token, as a value, and whether it is what somebody wishes for. Pure.
#include <string.h>

#include "token/store.h"
#include "token/store_seal.h"

void store_record_init(struct store_record *record)
{
    *record = (struct store_record){0};
    buf_init(&record->value, STORE_VALUE_MAX);
}

void store_record_fini(struct store_record *record)
{
    buf_fini(&record->value);
    mem_free(record->granted_scope);
    mem_free(record->binding);
    record->granted_scope = record->binding = NULL;
}

void store_record_copy(struct store_record *to, const struct store_record *from)
{
    store_record_init(to);
    to->sent_s = from->sent_s;
    to->expires_s = from->expires_s;
    to->sent_part_ms = from->sent_part_ms;
    to->expires_part_ms = from->expires_part_ms;
    to->granted_scope = mem_strdup(from->granted_scope);
    to->binding = mem_strdup(from->binding);
    // Beyond the ceiling it stays empty, which sealing refuses.
    if (!buf_append(&to->value, buf_str(&from->value)))
        buf_clear(&to->value);
}

void store_record_set_times(struct store_record *record, int64_t sent_ms, int64_t expires_ms)
{
    record->sent_s = sent_ms / 1000;
    record->sent_part_ms = (unsigned)(sent_ms % 1000);
    record->expires_s = expires_ms / 1000;
    record->expires_part_ms = (unsigned)(expires_ms % 1000);
}

int64_t store_record_sent_ms(const struct store_record *record)
{
    return record->sent_s * 1000 + record->sent_part_ms;
}

int64_t store_record_expires_ms(const struct store_record *record)
{
    return record->expires_s * 1000 + record->expires_part_ms;
}

bool store_wish_fits(const struct store_wish *wish, const struct store_record *record,
                     int64_t now_ms)
{
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    int64_t expires_ms = store_record_expires_ms(record);
    int64_t left_ms = expires_ms - now_ms, lifetime_ms = expires_ms - store_record_sent_ms(record);
    if (left_ms <= 0 || lifetime_ms <= 0 || expires_ms <= wish->newer_than_ms ||
        (uint64_t)left_ms <= token_skew_ms(wish->clock_skew_ms, (uint64_t)lifetime_ms))
        return false;
    token_fingerprint(buf_str(&record->value), fingerprint);
    return strcmp(fingerprint, wish->known) != 0;
}
