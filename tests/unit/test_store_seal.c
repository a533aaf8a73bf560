// SPDX-License-Identifier: MIT
// What is kept opens only as it was sealed: with the key, in its place, every bit the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "token/store_seal.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"

static struct store_keys *keys_of(const char *secret, const char *previous)
{
    struct err err;
    struct store_keys *keys = store_keys_new(str_of(secret), str_of(previous), &err);
    assert_non_null(keys);
    return keys;
}

static void fill(struct store_record *record, const char *value)
{
    store_record_init(record);
    record->sent_s = 1750000000;
    record->expires_s = 1750003600;
    record->sent_part_ms = 999;
    record->expires_part_ms = 1;
    record->granted_scope = mem_strdup("items:read items:write");
    record->binding = mem_strdup("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_true(buf_append(&record->value, str_of(value)));
}

static void seal(const struct store_keys *keys, const char *value, struct buf *out)
{
    struct store_record record;
    struct err err;
    fill(&record, value);
    buf_init(out, STORE_BLOB_MAX);
    assert_true(store_seal(keys, KEY_A, &record, out, &err));
    store_record_fini(&record);
}

static bool opens(const struct store_keys *keys, const char *key, struct str blob)
{
    struct store_record record;
    store_record_init(&record);
    bool ok = store_unseal(keys, key, blob, &record);
    assert_int_equal(record.value.len > 0, ok);
    store_record_fini(&record);
    return ok;
}

static void test_comes_back(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct buf blob;
    struct store_record record;
    seal(keys, "mF_9.B5f-4.1JqM", &blob);
    store_record_init(&record);
    assert_true(store_unseal(keys, KEY_A, buf_str(&blob), &record));
    assert_int_equal(record.sent_s, 1750000000);
    assert_int_equal(record.expires_s, 1750003600);
    assert_int_equal(store_record_sent_ms(&record), INT64_C(1750000000999));
    assert_int_equal(store_record_expires_ms(&record), INT64_C(1750003600001));
    assert_true(str_eq(buf_str(&record.value), STR("mF_9.B5f-4.1JqM")));
    assert_string_equal(record.granted_scope, "items:read items:write");
    assert_string_equal(record.binding, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    store_record_fini(&record);
    buf_fini(&blob);
    store_keys_free(keys);
}

static void test_absent_and_empty_texts(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct store_record record;
    struct buf blob;
    struct err err;
    fill(&record, "t");
    record.granted_scope[0] = '\0';
    mem_free(record.binding);
    record.binding = NULL;
    buf_init(&blob, STORE_BLOB_MAX);
    assert_true(store_seal(keys, KEY_A, &record, &blob, &err));
    assert_true(store_unseal(keys, KEY_A, buf_str(&blob), &record));
    assert_string_equal(record.granted_scope, "");
    assert_null(record.binding);
    store_record_fini(&record);
    buf_fini(&blob);
    store_keys_free(keys);
}

static void test_nothing_to_read_and_never_the_same(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct buf one, other;
    seal(keys, "canary-of-a-token", &one);
    seal(keys, "canary-of-a-token", &other);
    assert_null(memmem(one.ptr, one.len, "canary", 6));
    assert_null(memmem(one.ptr, one.len, "items", 5));
    assert_int_equal(one.len, other.len);
    assert_memory_not_equal(one.ptr + 1, other.ptr + 1, 12); // the nonce
    assert_memory_not_equal(one.ptr + 13, other.ptr + 13, one.len - 13);
    buf_fini(&one);
    buf_fini(&other);
    store_keys_free(keys);
}

static void test_every_bit_flipped(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", "the secret before that");
    struct buf blob;
    seal(keys, "mF_9.B5f-4.1JqM", &blob);
    for (size_t bit = 0; bit < blob.len * 8; bit++) {
        blob.ptr[bit / 8] = (char)(blob.ptr[bit / 8] ^ 1 << bit % 8);
        assert_false(opens(keys, KEY_A, buf_str(&blob)));
        blob.ptr[bit / 8] = (char)(blob.ptr[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(opens(keys, KEY_A, buf_str(&blob)));
    buf_fini(&blob);
    store_keys_free(keys);
}

static void test_cut_and_lengthened(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct buf blob;
    seal(keys, "mF_9.B5f-4.1JqM", &blob);
    for (size_t len = 0; len < blob.len; len++) {
        // In memory of exactly that size, so that reading behind its end is noticed.
        char *cut = mem_strndup(blob.ptr, len);
        assert_false(opens(keys, KEY_A, (struct str){cut, len}));
        mem_free(cut);
        assert_false(opens(keys, KEY_A, str_from(buf_str(&blob), len + 1)));
    }
    assert_true(buf_append_char(&blob, 'x'));
    assert_false(opens(keys, KEY_A, buf_str(&blob)));
    buf_fini(&blob);
    char *large = mem_alloc(STORE_BLOB_MAX + 1);
    large[0] = 1;
    assert_false(opens(keys, KEY_A, (struct str){large, STORE_BLOB_MAX + 1}));
    mem_free(large);
    store_keys_free(keys);
}

static void test_moved_to_another_key(void **state)
{
    (void)state;
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct buf blob;
    seal(keys, "mF_9.B5f-4.1JqM", &blob);
    assert_true(opens(keys, KEY_A, buf_str(&blob)));
    assert_false(opens(keys, KEY_B, buf_str(&blob)));
    buf_fini(&blob);
    store_keys_free(keys);
}

static void test_rotation(void **state)
{
    (void)state;
    struct store_keys *old = keys_of("the secret before that", NULL);
    struct store_keys *both = keys_of("a secret of the store", "the secret before that");
    struct store_keys *new = keys_of("a secret of the store", NULL);
    struct buf by_old, by_both;
    seal(old, "t1", &by_old);
    seal(both, "t2", &by_both);
    assert_true(opens(both, KEY_A, buf_str(&by_old)));
    assert_true(opens(both, KEY_A, buf_str(&by_both)));
    assert_true(opens(new, KEY_A, buf_str(&by_both)));
    assert_false(opens(new, KEY_A, buf_str(&by_old)));
    assert_false(opens(old, KEY_A, buf_str(&by_both)));
    buf_fini(&by_old);
    buf_fini(&by_both);
    store_keys_free(old);
    store_keys_free(both);
    store_keys_free(new);
}

static void test_places(void **state)
{
    (void)state;
    struct store_keys *old = keys_of("the secret before that", NULL);
    struct store_keys *both = keys_of("a secret of the store", "the secret before that");
    char places[4][STORE_KEY_LEN + 1];
    assert_true(store_place(both, false, KEY_A, places[0]));
    assert_false(store_place(old, true, KEY_A, places[1])); // no previous key
    assert_true(store_place(both, false, KEY_B, places[1]));
    assert_true(store_place(both, true, KEY_A, places[2]));
    assert_true(store_place(old, false, KEY_A, places[3]));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(strlen(places[i]), STORE_KEY_LEN);
    assert_string_not_equal(places[0], places[1]);
    assert_string_not_equal(places[0], places[2]);
    assert_string_not_equal(places[0], KEY_A);
    assert_string_equal(places[2], places[3]);
    store_keys_free(old);
    store_keys_free(both);
}

static void test_short_keys(void **state)
{
    (void)state;
    struct err err;
    assert_null(store_keys_new(STR("fifteen bytes.."), STR_NONE, &err));
    assert_non_null(strstr(err.text, "[store] key has 15 bytes, at least 16"));
    assert_null(strstr(err.text, "fifteen"));
    assert_null(store_keys_new(STR("sixteen bytes..."), STR("short"), &err));
    assert_non_null(strstr(err.text, "key_previous"));
    struct store_keys *keys = keys_of("sixteen bytes...", NULL);
    store_keys_free(keys);
}

static unsigned part_ms; // of expires_s

static bool seals(int64_t sent_s, int64_t expires_s, struct str value, const char *scope)
{
    struct store_keys *keys = keys_of("a secret of the store", NULL);
    struct store_record record;
    struct buf blob;
    struct err err;
    store_record_init(&record);
    record.value.max = 1 << 20;
    record.sent_s = sent_s;
    record.expires_s = expires_s;
    record.expires_part_ms = part_ms;
    record.granted_scope = mem_strdup(scope);
    assert_true(buf_append(&record.value, value));
    buf_init(&blob, STORE_BLOB_MAX);
    bool ok = store_seal(keys, KEY_A, &record, &blob, &err);
    assert_int_equal(blob.len > 0, ok);
    store_record_fini(&record);
    buf_fini(&blob);
    store_keys_free(keys);
    return ok;
}

static void test_what_makes_no_sense(void **state)
{
    (void)state;
    assert_true(seals(1750000000, 1750003600, STR("t"), NULL));
    // T18 milliseconds for seconds
    assert_false(seals(1750000000, INT64_C(1750003600000), STR("t"), NULL));
    assert_false(seals(INT64_C(1750000000000), INT64_C(1750003600000), STR("t"), NULL));
    part_ms = 1000;
    assert_false(seals(1750000000, 1750003600, STR("t"), NULL));
    part_ms = 0;
    assert_false(seals(0, 1750003600, STR("t"), NULL));
    assert_false(seals(1750000000, 1749999999, STR("t"), NULL));
    assert_false(seals(1750000000, 1750003600, STR(""), NULL));
    assert_false(seals(1750000000, 1750003600, STR("t\r\nX: y"), NULL));
    assert_false(seals(1750000000, 1750003600, STR("t\0t"), NULL));
    assert_false(seals(1750000000, 1750003600, STR("t\x80"), NULL));
    assert_false(seals(1750000000, 1750003600, STR("t"), "a\nb"));
    char *large = mem_alloc(STORE_VALUE_MAX + 1);
    memset(large, 'x', STORE_VALUE_MAX + 1);
    assert_true(seals(1750000000, 1750003600, (struct str){large, STORE_VALUE_MAX}, NULL));
    assert_false(seals(1750000000, 1750003600, (struct str){large, STORE_VALUE_MAX + 1}, NULL));
    mem_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_absent_and_empty_texts),
        cmocka_unit_test(test_nothing_to_read_and_never_the_same),
        {"T-19 every bit flipped", test_every_bit_flipped, NULL, NULL, NULL},
        {"T-19 cut at every byte, and lengthened", test_cut_and_lengthened, NULL, NULL, NULL},
        {"T-19 moved to another key", test_moved_to_another_key, NULL, NULL, NULL},
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_short_keys),
        {"T18 what makes no sense is not kept", test_what_makes_no_sense, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
