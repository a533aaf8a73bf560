// SPDX-License-Identifier: MIT
// Tokens and failures as values: when a token is due, what may be one, what is left of it in
// memory. Linked with --wrap=mem_free, so that a block can be looked at in the moment it goes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "token/token.h"

// -- schedule ----------------------------------------------------------------------------------

struct schedule_row {
    const char *name;
    uint64_t lifetime_s, skew_s, refresh_s;
    double jitter;
    uint64_t soft_ms, hard_ms; // after sent
};

static const struct schedule_row schedule_rows[] = {
    {"an hour", 3600, 30, 300, 0, 3270000, 3570000},
    {"an hour, earliest", 3600, 30, 300, 1, 3240000, 3570000},
    {"a quarter of the lifetime at most", 400, 30, 300, 0, 270000, 370000},
    {"T09 skew longer than the lifetime", 20, 30, 300, 0, 5000, 10000},
    {"T09 skew longer than the lifetime, earliest", 20, 30, 300, 1, 4500, 10000},
    {"T09 one second", 1, 30, 300, 0, 250, 500},
    {"no skew", 10, 0, 1, 0, 9000, 10000},
    {"never ahead", 10, 0, 0, 1, 10000, 10000},
};

static void test_schedule(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schedule_rows); i++) {
        const struct schedule_row *row = &schedule_rows[i];
        struct token_times times = {.sent_ms = 1000000,
                                    .lifetime_ms = row->lifetime_s * 1000,
                                    .clock_skew_ms = row->skew_s * 1000,
                                    .refresh_before_ms = row->refresh_s * 1000,
                                    .jitter = row->jitter};
        uint64_t soft_ms = 0, hard_ms = 0;
        token_schedule(&times, &soft_ms, &hard_ms);
        if (soft_ms != 1000000 + row->soft_ms || hard_ms != 1000000 + row->hard_ms)
            fail_msg("%s: soft %llu, hard %llu", row->name, (unsigned long long)soft_ms,
                     (unsigned long long)hard_ms);
    }
}

static void test_edges_of_time(void **state)
{
    (void)state;
    struct token token = {.soft_ms = 100, .hard_ms = 200};
    assert_false(token_is_due(&token, 99));
    assert_true(token_is_due(&token, 100));
    assert_true(token_is_usable(&token, 199));
    assert_false(token_is_usable(&token, 200)); // T04: not even in the last millisecond
}

// -- values ------------------------------------------------------------------------------------

struct value_row {
    struct str value;
    bool is_valid;
};

static const struct value_row value_rows[] = {
    {STR("a"), true},
    {STR("AZaz09-._~+/"), true},
    {STR("abc=="), true},
    {STR("eyJhbGciOiJub25lIn0.e30."), true},
    {STR(""), false},
    {STR("="), false},
    {STR("a=b"), false},
    {STR("a b"), false},
    {STR("a,b"), false},
    {STR("a\"b"), false},
    {STR("a\r\nX-Evil: 1"), false},
    {STR("a\0b"), false},
    {STR("a\x7f"), false},
    {STR("t\xc3\xb6ken"), false},
    {STR("a\t"), false},
};

static void test_values(void **state) // BT-1
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(value_rows); i++)
        if (token_value_is_valid(value_rows[i].value) != value_rows[i].is_valid)
            fail_msg("row %zu: %.*s", i, STR_ARG(value_rows[i].value));
}

static void test_rendering(void **state)
{
    (void)state;
    struct token *token = token_new(STR("abc"), "Authorization", "Bearer");
    assert_true(str_eq(token->header_name, STR("Authorization")));
    assert_true(str_eq(token->header_value, STR("Bearer abc")));
    assert_true(str_eq(token->value, STR("abc")));
    assert_string_equal(token->fingerprint, "ba7816bf"); // FIPS 180: SHA-256 of "abc"
    token_unref(token);
    token = token_new(STR("abc"), "X-Key", "");
    assert_true(str_eq(token->header_value, STR("abc")));
    assert_true(str_eq(token->value, STR("abc")));
    token_unref(token);
}

// -- memory ------------------------------------------------------------------------------------

static const char *watched;
static size_t watched_len;
static unsigned watched_wiped, watched_dirty;

void __real_mem_free(void *ptr);
void __wrap_mem_free(void *ptr);
void __wrap_mem_free(void *ptr)
{
    if (ptr && ptr == watched) {
        bool is_wiped = true;
        for (size_t i = 0; i < watched_len; i++)
            is_wiped = is_wiped && watched[i] == 0;
        watched_wiped += is_wiped;
        watched_dirty += !is_wiped;
        watched = NULL;
    }
    __real_mem_free(ptr);
}

static void test_wiped_with_the_last_reference(void **state)
{
    (void)state;
    struct token *token = token_new(STR("secret-token-value"), "Authorization", "Bearer");
    watched = token->header_value.ptr;
    watched_len = token->header_value.len;
    struct token *second = token_ref(token);
    assert_ptr_equal(second, token);
    token_unref(token);
    assert_int_equal(watched_wiped + watched_dirty, 0);
    assert_true(str_eq(second->value, STR("secret-token-value")));
    token_unref(second);
    assert_int_equal(watched_dirty, 0);
    assert_int_equal(watched_wiped, 1);
    token_unref(NULL);
}

// -- failures ----------------------------------------------------------------------------------

static void test_failures(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[0] = '\r';
    text[1] = '\n';
    text[2] = '\x1b';
    struct token_failure *failure = token_failure_new(FAILURE_REFUSED, text);
    assert_int_equal(strlen(failure->text), sizeof failure->text - 1);
    assert_memory_equal(failure->text, "???x", 4);
    token_failure_unref(token_failure_ref(failure));
    assert_int_equal(failure->kind, FAILURE_REFUSED);
    token_failure_unref(failure);
    token_failure_unref(NULL);
    static const int status[] = {
        [FAILURE_UNREACHABLE] = 503, [FAILURE_TIMEOUT] = 504,   [FAILURE_TRANSIENT] = 503,
        [FAILURE_REFUSED] = 502,     [FAILURE_MALFORMED] = 502, [FAILURE_LOCAL] = 503,
        [FAILURE_WAITED] = 504,
    };
    for (size_t i = 0; i < ARRAY_LEN(status); i++)
        assert_int_equal(token_failure_status((enum token_failure_kind)i), status[i]);
    assert_string_equal(token_failure_name(FAILURE_WAITED), "waited");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_edges_of_time),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_rendering),
        cmocka_unit_test(test_wiped_with_the_last_reference),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
