// SPDX-License-Identifier: MIT
// The latest failures: one place for each cause, the latest first, a remedy for every one.
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
    add(&failures, "a", "invalid_client", "one");
    add(&failures, "b", "invalid_client", "one");
    int64_t first_ms = failures.items[1].at_ms;
    add(&failures, "a", "invalid_client", "one");
    add(&failures, "a", "invalid_client", "two");
    add(&failures, "a", "invalid_client", "one");
    assert_int_equal(failures.count, 3);
    assert_string_equal(failures.items[0].subject, "a");
    assert_string_equal(failures.items[0].cause, "one");
    assert_int_equal(failures.items[0].count, 3);
    assert_int_equal(failures.items[0].first_at_ms, first_ms);
    assert_true(failures.items[0].at_ms >= first_ms);
    assert_string_equal(failures.items[1].cause, "two");
    assert_string_equal(failures.items[2].subject, "b");
    failures_add_upstream(&failures, "a", NULL, TRAFFIC_TLS, "one", 6);
    assert_int_equal(failures.items[0].count, 7); // with those that were not told
    assert_int_equal(failures.count, 4);          // an upstream may be called as a credential
}

static void test_the_oldest_goes(void **state)
{
    (void)state;
    struct failures failures = {0};
    char text[16];
    for (int i = 0; i < FAILURES_MAX + 5; i++) {
        snprintf(text, sizeof text, "cause %d", i);
        add(&failures, "a", "invalid_scope", text);
    }
    assert_int_equal(failures.count, FAILURES_MAX);
    assert_string_equal(failures.items[0].cause, "cause 24");
    assert_string_equal(failures.items[FAILURES_MAX - 1].cause, "cause 5");
    add(&failures, "a", "invalid_scope", "cause 5");
    assert_int_equal(failures.count, FAILURES_MAX);
    assert_string_equal(failures.items[0].cause, "cause 5");
    assert_string_equal(failures.items[FAILURES_MAX - 1].cause, "cause 6");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct failures failures = {0};
    char *text = mem_alloc(5001);
    memset(text, 'x', 5000);
    for (int i = 0; i < 2; i++)
        failures_add_upstream(&failures, text, text, TRAFFIC_LOCAL, text, 0);
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
        failures_add_upstream(&failures, "a", "r", (enum traffic_failure)kind, "x", 0);
        assert_true(failures.items[0].remedy && strlen(failures.items[0].remedy) > 15);
        assert_true(strlen(failures.items[0].kind) > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_takes_one_place),
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_every_failure_has_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
