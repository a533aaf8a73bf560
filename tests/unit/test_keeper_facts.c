// SPDX-License-Identifier: MIT
// What the keeper tells of itself, and the tokens it keeps at hand because they are required.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fake_source.h"
#include "base/log.h"
#include "http/multi.h"

static struct loop *control, *worker;
static struct keeper *keeper;
static struct view *view;

static int set_up(void **state)
{
    (void)state;
    fake_credential.required = false;
    control = loop_new(NULL);
    worker = loop_new(NULL);
    keeper = keeper_new_of(control, &fake_config, &fake_parts, NULL);
    view = view_new(worker, keeper);
    return !keeper;
}

static int tear_down(void **state)
{
    (void)state;
    view_free(view);
    keeper_free(keeper);
    loop_free(worker);
    loop_free(control);
    return 0;
}

// Until a fetch of the slot is under way.
static void await_fetch(size_t slot)
{
    for (int i = 0; i < 1000 && !fakes[slot].done; i++) {
        loop_turn(control, 5);
        settle(worker, control);
    }
    assert_non_null(fakes[slot].done);
}

static void test_required_tokens_are_fetched_unasked(void **state)
{
    (void)state;
    keeper_keep_required(keeper);
    settle(worker, control);
    assert_int_equal(fakes[0].fetches + fakes[1].fetches, 0); // none is
    fake_credential.required = true;
    keeper_keep_required(keeper);
    await_fetch(0);
    await_fetch(1); // every set of scopes
    struct keeper_facts facts = keeper_facts(keeper, 0);
    assert_true(facts.is_kept && facts.is_fetching);
    assert_null(facts.token);
    // Until there is one, and again before it expires, without anybody having used it.
    fake_fail(0, FAILURE_TRANSIENT, "away", 0);
    await_fetch(0);
    fake_succeed(0, "one", 400);
    await_fetch(0);
    facts = keeper_facts(keeper, 0);
    assert_non_null(facts.token);
    assert_false(facts.is_used);
    fake_succeed(0, "two", 60000);
    assert_true(str_eq(keeper_facts(keeper, 0).token->value, STR("two")));
    assert_int_equal(keeper_stats(keeper, 0).renewals, 1);
    // No longer required: then it lives as long as others.
    fake_credential.required = false;
    keeper_keep_required(keeper);
    assert_false(keeper_facts(keeper, 0).is_kept);
}

static void test_an_expired_token_is_no_fact(void **state)
{
    (void)state;
    struct fake_waiter waiter = {.waiter.on_token = on_fake_token};
    view_wait(view, 0, &waiter.waiter);
    await_fetch(0);
    fake_succeed(0, "one", 100);
    struct keeper_facts facts = keeper_facts(keeper, 0);
    assert_non_null(facts.token);
    assert_int_equal(facts.dead_ms, facts.token->hard_ms);
    // The loop does not turn, so nobody has taken it away yet.
    while (clock_boottime_us() / 1000 < facts.dead_ms)
        ;
    assert_null(keeper_facts(keeper, 0).token);
    view_cancel(view, &waiter.waiter);
}

static struct {
    unsigned calls;
    const struct config_slot *slot;
    char text[64];
} told;

static void on_failure(void *arg, const struct config_slot *slot,
                       const struct token_failure *failure)
{
    assert_ptr_equal(arg, &told);
    told.calls++;
    told.slot = slot;
    snprintf(told.text, sizeof told.text, "%s", failure->text);
    assert_true(failure->retry_at_ms > 0); // it is settled how it goes on
}

static void test_failures_are_counted_and_told(void **state)
{
    (void)state;
    keeper_set_listener(keeper, on_failure, &told);
    struct fake_waiter waiter = {.waiter.on_token = on_fake_token};
    view_wait(view, 1, &waiter.waiter);
    await_fetch(1);
    fake_fail(1, FAILURE_REFUSED, "invalid_client", 0);
    settle(worker, control);
    assert_int_equal(told.calls, 1);
    assert_ptr_equal(told.slot, &fake_slots[1]);
    assert_string_equal(told.text, "invalid_client");
    struct keeper_facts facts = keeper_facts(keeper, 1);
    assert_int_equal(facts.failed_count, 1);
    assert_int_equal(facts.failure->kind, FAILURE_REFUSED);
    assert_true(facts.failed_ms > 0 && facts.failed_ms <= clock_boottime_us() / 1000);
    struct keeper_stats stats = keeper_stats(keeper, 1);
    for (unsigned kind = 0; kind < TOKEN_FAILURE_KINDS; kind++)
        assert_int_equal(stats.failures_by_kind[kind], kind == FAILURE_REFUSED);
    assert_int_equal(keeper_stats(keeper, 0).failures, 0);
    struct store_stats store;
    assert_false(keeper_store_stats(keeper, &store));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_required_tokens_are_fetched_unasked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_expired_token_is_no_fact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_counted_and_told, set_up, tear_down),
    };
    log_set_level(LOG_ERROR);
    if (!multi_global_init(NULL))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
