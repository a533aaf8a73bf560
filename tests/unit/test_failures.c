// SPDX-License-Identifier: MIT
// The latest failures: one place for what is the same, the newest words, the latest first, a remedy
// for every one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "admin/failures.h"
#include "base/mem.h"

static void add(struct failures *failures, const char *credential, const char *error,
                const char *text)
{
    struct token_failure *failure = token_failure_new(FAILURE_REFUSED, text);
    snprintf(failure->error, sizeof failure->error, "%s", error);
    failures_add_token(failures, credential, "x", failure);
    token_failure_unref(failure);
}

static void test_the_same_takes_one_place(void **state)
{
    (void)state;
    struct failures failures = {0};
    add(&failures, "a", "invalid_client", "after 3 ms");
    add(&failures, "b", "invalid_client", "after 3 ms");
    int64_t first_ms = failures.items[1].at_ms;
    add(&failures, "a", "invalid_client", "after 3 ms");
    add(&failures, "a", "invalid_scope", "after 3 ms");
    add(&failures, "a", "invalid_client", "after 4 ms");
    assert_int_equal(failures.count, 3);
    assert_string_equal(failures.items[0].subject, "a");
    assert_string_equal(failures.items[0].error, "invalid_client");
    assert_string_equal(failures.items[0].cause, "after 4 ms"); // the newest
    assert_int_equal(failures.items[0].count, 3);
    assert_int_equal(failures.items[0].first_at_ms, first_ms);
    assert_true(failures.items[0].at_ms >= first_ms);
    assert_string_equal(failures.items[1].error, "invalid_scope");
    assert_string_equal(failures.items[2].subject, "b");
}

static void test_an_upstream_takes_one_place_for_a_kind(void **state)
{
    (void)state;
    struct failures failures = {0};
    add(&failures, "a", "", "one");
    failures_add_upstream(&failures, "a", "r", TRAFFIC_TLS, NULL, 5); // of what is not known
    assert_int_equal(failures.count, 1);
    failures_add_upstream(&failures, "a", "r", TRAFFIC_TLS, "after 3 ms", 1);
    failures_add_upstream(&failures, "a", NULL, TRAFFIC_CUT, "cut", 1);
    failures_add_upstream(&failures, "a", "s", TRAFFIC_TLS, "after 4 ms", 7);
    failures_add_upstream(&failures, "a", NULL, TRAFFIC_CUT, NULL, 3);
    assert_int_equal(failures.count, 3); // an upstream may be called as a credential
    assert_string_equal(failures.items[0].part, "s");
    assert_string_equal(failures.items[0].cause, "after 4 ms");
    assert_int_equal(failures.items[0].count, 8);
    assert_string_equal(failures.items[1].cause, "cut");
    assert_int_equal(failures.items[1].count, 4);
}

static void test_the_oldest_goes(void **state)
{
    (void)state;
    struct failures failures = {0};
    char error[16];
    for (int i = 0; i < FAILURES_MAX + 5; i++) {
        snprintf(error, sizeof error, "error_%d", i);
        add(&failures, "a", error, "x");
    }
    assert_int_equal(failures.count, FAILURES_MAX);
    assert_string_equal(failures.items[0].error, "error_24");
    assert_string_equal(failures.items[FAILURES_MAX - 1].error, "error_5");
    add(&failures, "a", "error_5", "x");
    assert_int_equal(failures.count, FAILURES_MAX);
    assert_string_equal(failures.items[0].error, "error_5");
    assert_string_equal(failures.items[FAILURES_MAX - 1].error, "error_6");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct failures failures = {0};
    char *text = mem_alloc(5001);
    memset(text, 'x', 5000);
    for (int i = 0; i < 2; i++)
        failures_add_upstream(&failures, text, text, TRAFFIC_LOCAL, text, 1);
    assert_int_equal(failures.count, 1);
    mem_free(text);
}

static void test_every_failure_has_a_remedy(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < TOKEN_FAILURE_KINDS; kind++) {
        struct failures failures = {0};
        struct token_failure *failure = token_failure_new((enum token_failure_kind)kind, "x");
        failures_add_token(&failures, "a", NULL, failure);
        token_failure_unref(failure);
        assert_true(failures.items[0].remedy && strlen(failures.items[0].remedy) > 20);
    }
    for (unsigned kind = 0; kind < TRAFFIC_FAILURES; kind++) {
        struct failures failures = {0};
        failures_add_upstream(&failures, "a", "r", (enum traffic_failure)kind, "x", 1);
        assert_true(failures.items[0].remedy && strlen(failures.items[0].remedy) > 15);
        assert_true(strlen(failures.items[0].kind) > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_takes_one_place),
        cmocka_unit_test(test_an_upstream_takes_one_place_for_a_kind),
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_every_failure_has_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
