// SPDX-License-Identifier: MIT
// The keeper's decisions, with a source that the test plays: when it fetches, when it does not, and
// what everybody is told. Two views stand for two workers; all loops are turned by the test itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fake_source.h"
#include "base/log.h"
#include "http/multi.h"

struct bench {
    struct loop *control, *worker[2];
    struct keeper *keeper;
    struct view *view[2];
};

static int set_up(void **state)
{
    static struct bench bench;
    struct err err;
    bench.control = loop_new(&err);
    bench.keeper = keeper_new_of(bench.control, &fake_config, &fake_parts, &err);
    assert_non_null(bench.keeper);
    for (size_t i = 0; i < 2; i++) {
        bench.worker[i] = loop_new(&err);
        bench.view[i] = view_new(bench.worker[i], bench.keeper);
    }
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < 2; i++)
        view_free(bench->view[i]);
    keeper_free(bench->keeper);
    for (size_t i = 0; i < 2; i++)
        loop_free(bench->worker[i]);
    loop_free(bench->control);
    assert_int_equal(fake_config.refs, 1);
    return 0;
}

static void turn(struct bench *bench)
{
    for (int i = 0; i < 3; i++) {
        loop_turn(bench->control, 0);
        loop_turn(bench->worker[0], 0);
        loop_turn(bench->worker[1], 0);
    }
}

static uint64_t clock_ms(void)
{
    return clock_boottime_us() / 1000;
}

// Turns until a fetch is under way; how long that took. Gives up after limit_ms.
static bool turn_until_fetch(struct bench *bench, size_t slot, uint64_t limit_ms)
{
    uint64_t until = clock_ms() + limit_ms;
    turn(bench);
    while (!fakes[slot].done && clock_ms() < until) {
        loop_turn(bench->control, 5);
        turn(bench);
    }
    return fakes[slot].done != NULL;
}

static void turn_for(struct bench *bench, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    while (clock_ms() < until) {
        loop_turn(bench->control, 2);
        turn(bench);
    }
}

static void want(struct bench *bench, size_t view, size_t slot, struct fake_waiter *waiter)
{
    *waiter = (struct fake_waiter){.waiter.on_token = on_fake_token};
    view_wait(bench->view[view], slot, &waiter->waiter);
    turn(bench);
}

// Slot 0 has this token, on both views, not used yet.
static void start_with(struct bench *bench, const char *value, uint64_t lifetime_ms)
{
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    fake_succeed(0, value, lifetime_ms);
    turn(bench);
    assert_string_equal(waiter.value, value);
}

static const struct token *get(struct bench *bench, size_t view, size_t slot)
{
    loop_turn(bench->worker[view], 0); // the loop's clock is read once a turn
    return view_get(bench->view[view], slot);
}

static bool has(struct bench *bench, size_t view, const char *value)
{
    const struct token *token = get(bench, view, 0);
    return token && str_eq(token->value, str_of(value));
}

// -- fetching ----------------------------------------------------------------------------------

static void test_nothing_is_fetched_unasked(void **state)
{
    struct bench *bench = *state;
    turn_for(bench, 20);
    assert_int_equal(fakes[0].fetches, 0);
    assert_null(get(bench, 0, 0));
    assert_null(view_failure(bench->view[0], 0));
}

static void test_single_flight(void **state) // T07
{
    struct bench *bench = *state;
    static struct fake_waiter waiters[200];
    for (size_t i = 0; i < 200; i++) {
        waiters[i] = (struct fake_waiter){.waiter.on_token = on_fake_token};
        view_wait(bench->view[i % 2], 0, &waiters[i].waiter);
        if (i % 50 == 0)
            turn(bench); // some come while the fetch is under way
    }
    turn(bench);
    assert_int_equal(fakes[0].fetches, 1);
    assert_int_equal(fakes[1].fetches, 0);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(waiters[i].calls, 0);
    fake_succeed(0, "one", 60000);
    turn(bench);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(waiters[i].calls, 1);
        assert_string_equal(waiters[i].value, "one");
    }
    turn(bench);
    assert_int_equal(fakes[0].fetches, 1);
    assert_int_equal(keeper_stats(bench->keeper, 0).fetches, 1);
    assert_true(has(bench, 0, "one") && has(bench, 1, "one"));
}

static void test_slots_are_apart(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter first, second;
    want(bench, 0, 0, &first);
    want(bench, 0, 1, &second);
    fake_succeed(1, "two", 60000);
    turn(bench);
    assert_int_equal(first.calls, 0);
    assert_string_equal(second.value, "two");
    fake_fail(0, FAILURE_REFUSED, "no", 0);
    turn(bench);
    assert_string_equal(first.text, "no");
    assert_non_null(get(bench, 0, 1));
}

static void test_default_lifetime(void **state) // T03
{
    struct bench *bench = *state;
    start_with(bench, "one", 0);
    const struct token *token = get(bench, 0, 0);
    assert_int_equal(token->expires_ms, fakes[0].sent_ms + fake_credential.default_ttl_ms);
}

static void test_expiry_counts_from_sending(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    turn_for(bench, 30);
    fake_succeed(0, "one", 1000);
    turn(bench);
    assert_int_equal(get(bench, 0, 0)->expires_ms, fakes[0].sent_ms + 1000);
}

static void test_dead_on_arrival(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    turn_for(bench, 30);
    fake_succeed(0, "one", 20);
    turn(bench);
    assert_int_equal(waiter.calls, 1);
    assert_int_equal(waiter.kind, FAILURE_TIMEOUT);
    assert_null(get(bench, 0, 0));
}

static void test_a_late_answer_still_fills_the_slot(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    view_cancel(bench->view[0], &waiter.waiter);
    fake_succeed(0, "one", 60000);
    turn(bench);
    assert_int_equal(waiter.calls, 0);
    assert_true(has(bench, 1, "one"));
}

// -- renewing ----------------------------------------------------------------------------------

static void test_renewed_before_expiry(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 1000); // due from 725 to 750 on
    assert_true(turn_until_fetch(bench, 0, 2000));
    assert_int_equal(fakes[0].fetches, 2);
    assert_true(has(bench, 0, "one")); // T08: while the fetch goes on, the old one serves
    fake_succeed(0, "two", 60000);
    turn(bench);
    assert_true(has(bench, 0, "two") && has(bench, 1, "two"));
    assert_int_equal(keeper_stats(bench->keeper, 0).renewals, 1);
}

static void test_unused_tokens_are_not_renewed(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 400);
    assert_true(turn_until_fetch(bench, 0, 2000)); // the waiter was its user
    fake_succeed(0, "two", 400);
    turn_for(bench, 420); // nobody takes "two"
    assert_int_equal(fakes[0].fetches, 2);
    assert_null(get(bench, 0, 0));
    // Nobody keeps the bytes of an expired token, either: the next want starts from nothing.
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    assert_int_equal(fakes[0].fetches, 3);
    view_cancel(bench->view[0], &waiter.waiter);
}

static void test_used_tokens_are_renewed_again(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 600);
    for (int i = 0; i < 3; i++) {
        assert_true(turn_until_fetch(bench, 0, 2000));
        fake_succeed(0, i % 2 ? "odd" : "even", 600);
        turn(bench);
        assert_non_null(get(bench, i % 2, 0)); // this use keeps it going
    }
    assert_int_equal(fakes[0].fetches, 4);
    assert_int_equal(keeper_stats(bench->keeper, 0).renewals, 3);
}

static void test_first_use_past_due_pokes(void **state) // T37 as far as the view goes
{
    struct bench *bench = *state;
    start_with(bench, "one", 400);
    assert_true(turn_until_fetch(bench, 0, 2000));
    fake_succeed(0, "two", 1000); // due from 725 to 750 on, not used
    turn_for(bench, 780);
    assert_int_equal(fakes[0].fetches, 2);
    assert_true(has(bench, 0, "two")); // used at once,
    turn(bench);
    assert_int_equal(fakes[0].fetches, 3); // and renewed behind its back
    assert_true(has(bench, 0, "two"));
    turn(bench);
    assert_int_equal(fakes[0].fetches, 3);
}

static void test_same_token_does_not_loop(void **state) // T09
{
    struct bench *bench = *state;
    start_with(bench, "same", 400);
    uint64_t generation = get(bench, 0, 0)->generation;
    uint64_t end = fakes[0].sent_ms + 400;
    while (clock_ms() + 20 < end) {
        if (fakes[0].done)
            fake_succeed(0, "same", end - fakes[0].sent_ms);
        loop_turn(bench->control, 2);
        turn(bench);
        const struct token *token = get(bench, 0, 0);
        if (token)
            assert_int_equal(token->generation, generation);
    }
    // Each renewal gets a quarter of what was left: few, however long it goes on.
    assert_in_range(fakes[0].fetches, 2, 8);
}

static void test_short_lived_tokens(void **state) // T09
{
    struct bench *bench = *state;
    fake_credential.clock_skew_ms = 30000; // longer than the tokens live
    start_with(bench, "one", 1000);
    unsigned hits = 0;
    for (uint64_t until = clock_ms() + 200; clock_ms() < until; hits++)
        assert_non_null(get(bench, 0, 0));
    fake_credential.clock_skew_ms = 0;
    assert_int_equal(fakes[0].fetches, 1);
    assert_true(hits > 10);
}

static int set_up_with_floor(void **state)
{
    fake_pace.floor_min_ms = 300;
    int code = set_up(state);
    fake_pace.floor_min_ms = 1;
    return code;
}

static void test_floor_between_fetches(void **state) // T09
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    start_with(bench, "brief", 100);
    uint64_t first_ms = fakes[0].sent_ms;
    while (get(bench, 0, 0))
        turn(bench);
    want(bench, 0, 0, &waiter);
    assert_int_equal(fakes[0].fetches, 1);
    assert_int_equal(waiter.calls, 0); // neither fetched nor refused: it is a short wait
    assert_true(turn_until_fetch(bench, 0, 2000));
    assert_true(fakes[0].sent_ms - first_ms >= 300);
    fake_succeed(0, "next", 60000);
    turn(bench);
    assert_string_equal(waiter.value, "next");
}

// -- failing -----------------------------------------------------------------------------------

static void test_failure_reaches_all_waiters(void **state) // T12
{
    struct bench *bench = *state;
    struct fake_waiter first, second;
    want(bench, 0, 0, &first);
    want(bench, 1, 0, &second);
    assert_null(view_failure(bench->view[0], 0));
    fake_fail(0, FAILURE_UNREACHABLE, "the cause", 0);
    turn(bench);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 1);
    assert_string_equal(first.text, "the cause");
    assert_string_equal(second.text, "the cause");
    assert_string_equal(view_failure(bench->view[1], 0)->text, "the cause");
    assert_string_equal(view_failure(bench->view[1], 0)->error, "some_error");
    assert_int_equal(keeper_stats(bench->keeper, 0).failures, 1);
}

static void test_hold_off_then_recovery(void **state) // T05 T06
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    want(bench, 0, 0, &waiter);
    fake_fail(0, FAILURE_MALFORMED, "HTML", 400);
    turn(bench);
    for (int i = 0; i < 20; i++) { // asking during the hold-off asks nobody
        want(bench, i % 2, 0, &waiter);
        assert_int_equal(waiter.calls, 1);
        assert_string_equal(waiter.text, "HTML");
    }
    assert_int_equal(fakes[0].fetches, 1);
    turn_for(bench, 410);
    assert_int_equal(fakes[0].fetches, 1); // nobody wanted one since
    want(bench, 0, 0, &waiter);
    assert_int_equal(fakes[0].fetches, 2);
    assert_int_equal(waiter.calls, 0);
    fake_succeed(0, "at last", 60000);
    turn(bench);
    assert_string_equal(waiter.value, "at last");
    assert_null(view_failure(bench->view[1], 0));
}

static uint64_t hold_off_after_failure(struct bench *bench, enum token_failure_kind kind,
                                       uint64_t retry_after_ms)
{
    struct fake_waiter waiter;
    do // a wait during the hold-off is answered with the old failure
        want(bench, 0, 0, &waiter);
    while (!fakes[0].done);
    uint64_t failed_ms = clock_ms();
    fake_fail(0, kind, "no", retry_after_ms);
    turn(bench);
    return view_failure(bench->view[0], 0)->retry_at_ms - failed_ms;
}

static void test_back_off_doubles(void **state)
{
    struct bench *bench = *state;
    static const uint64_t most[] = {40, 80, 160, 160};
    for (size_t i = 0; i < ARRAY_LEN(most); i++)
        assert_in_range(hold_off_after_failure(bench, FAILURE_TRANSIENT, 0), most[i] * 3 / 4,
                        most[i] + 30);
    assert_int_equal(fakes[0].fetches, ARRAY_LEN(most));
}

static void test_retry_after_is_honoured(void **state)
{
    struct bench *bench = *state;
    assert_in_range(hold_off_after_failure(bench, FAILURE_TRANSIENT, 5000), 5000, 5100);
}

static void test_refusal_holds_off_for_long(void **state)
{
    struct bench *bench = *state;
    assert_in_range(hold_off_after_failure(bench, FAILURE_REFUSED, 0), 750, 1100);
}

static void test_changed_secret_ends_a_refusal(void **state) // T17
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    hold_off_after_failure(bench, FAILURE_REFUSED, 0);
    turn_for(bench, 50);
    want(bench, 0, 0, &waiter);
    assert_int_equal(waiter.calls, 1);
    assert_int_equal(fakes[0].fetches, 1);
    fakes[0].has_changed = true;
    turn_for(bench, 50);
    want(bench, 0, 0, &waiter);
    assert_int_equal(waiter.calls, 0);
    assert_int_equal(fakes[0].fetches, 2);
    fake_succeed(0, "new", 60000);
    turn(bench);
    assert_string_equal(waiter.value, "new");
}

static void test_failed_renewal_is_invisible(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 1000);
    assert_true(turn_until_fetch(bench, 0, 2000));
    fake_fail(0, FAILURE_UNREACHABLE, "down", 0);
    turn(bench);
    assert_null(fakes[0].done); // not at once again
    assert_true(has(bench, 0, "one"));
    assert_null(view_failure(bench->view[0], 0));
    assert_int_equal(keeper_stats(bench->keeper, 0).failures, 1);
    assert_true(turn_until_fetch(bench, 0, 2000)); // tried again by itself
    fake_succeed(0, "two", 60000);
    turn(bench);
    assert_true(has(bench, 1, "two"));
}

static void test_never_used_after_expiry(void **state) // T04
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    start_with(bench, "one", 200);
    uint64_t dead_ms = get(bench, 0, 0)->hard_ms;
    while (clock_ms() < dead_ms + 20) {
        if (fakes[0].done)
            fake_fail(0, FAILURE_UNREACHABLE, "down", 0);
        loop_turn(bench->control, 1);
        turn(bench);
        const struct token *token = get(bench, 0, 0);
        assert_true(token == NULL || loop_now_ms(bench->worker[0]) < dead_ms);
    }
    assert_null(get(bench, 0, 0));
    assert_null(get(bench, 1, 0));
    want(bench, 1, 0, &waiter);
    if (fakes[0].done)
        fake_fail(0, FAILURE_UNREACHABLE, "down", 0);
    turn(bench);
    assert_string_equal(waiter.text, "down");
}

static void test_expiry_during_a_renewal(void **state) // T04 T08
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    start_with(bench, "one", 400);
    assert_true(turn_until_fetch(bench, 0, 2000));
    turn_for(bench, 130); // the answer takes longer than the token lives
    want(bench, 0, 0, &waiter);
    assert_int_equal(waiter.calls, 0);
    assert_int_equal(fakes[0].fetches, 2);
    fake_fail(0, FAILURE_TIMEOUT, "slow", 0);
    turn(bench);
    assert_string_equal(waiter.text, "slow");
}

static void test_slow_fetch_disturbs_nobody_else(void **state) // T08
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    start_with(bench, "one", 60000);
    want(bench, 0, 1, &waiter); // slot 1 never answers
    turn_for(bench, 30);
    for (int i = 0; i < 1000; i++)
        assert_non_null(view_get(bench->view[i % 2], 0));
    assert_int_equal(waiter.calls, 0);
    view_cancel(bench->view[0], &waiter.waiter);
}

// -- the rest ----------------------------------------------------------------------------------

struct got {
    unsigned calls;
    char text[64];
};

static void on_got(void *arg, const struct token *token, const struct token_failure *failure)
{
    struct got *got = arg;
    got->calls++;
    snprintf(got->text, sizeof got->text, "%.*s",
             STR_ARG(token ? token->value : str_of(failure->text)));
}

static void test_keeper_get(void **state)
{
    struct bench *bench = *state;
    struct got first = {0}, second = {0}, third = {0};
    keeper_get(bench->keeper, 0, on_got, &first);
    keeper_get(bench->keeper, 0, on_got, &second);
    turn(bench);
    assert_int_equal(first.calls, 0);
    fake_fail(0, FAILURE_TRANSIENT, "down", 0);
    turn(bench);
    assert_string_equal(first.text, "down");
    assert_string_equal(second.text, "down");
    turn_for(bench, 45);
    keeper_get(bench->keeper, 0, on_got, &first);
    turn(bench);
    fake_succeed(0, "one", 60000);
    keeper_get(bench->keeper, 0, on_got, &third);
    assert_int_equal(third.calls, 0); // never from inside the call
    turn(bench);
    assert_string_equal(first.text, "one");
    assert_string_equal(third.text, "one");
    assert_int_equal(first.calls + second.calls + third.calls, 4);
    assert_int_equal(fakes[0].fetches, 2);
    keeper_get(bench->keeper, 1, on_got, &third); // never answered: the keeper goes first
    turn(bench);
}

static void test_keeper_get_newer(void **state)
{
    struct bench *bench = *state;
    struct got newer = {0}, other = {0};
    start_with(bench, "first", 60000);
    // An answer to somebody else who asked before does not count.
    keeper_get(bench->keeper, 0, on_got, &other);
    keeper_get_newer(bench->keeper, 0, 1, on_got, &newer);
    turn(bench);
    assert_string_equal(other.text, "first");
    assert_int_equal(fakes[0].fetches, 2);
    assert_int_equal(newer.calls, 0);
    fake_succeed(0, "second", 60000);
    turn(bench);
    assert_string_equal(newer.text, "second");
    // It is there already; and so soon none is asked for that would be newer still.
    for (uint64_t generation = 1; generation <= 2; generation++) {
        newer = (struct got){0};
        keeper_get_newer(bench->keeper, 0, generation, on_got, &newer);
        turn(bench);
        assert_string_equal(newer.text, "second");
        assert_int_equal(fakes[0].fetches, 2);
    }
    keeper_get_newer(bench->keeper, 0, 2, on_got, &newer); // on its way when the keeper goes
}

static void test_a_new_view_gets_what_there_is(void **state)
{
    struct bench *bench = *state;
    struct err err;
    start_with(bench, "one", 60000);
    struct loop *loop = loop_new(&err);
    struct view *view = view_new(loop, bench->keeper);
    loop_turn(loop, 0);
    assert_non_null(view_get(view, 0));
    assert_null(view_get(view, 1));
    view_free(view);
    loop_free(loop);
}

static void test_posts_may_outlive_both(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 60000);
    struct fake_waiter waiter = {.waiter.on_token = on_fake_token};
    view_wait(bench->view[0], 1, &waiter.waiter); // a note that nobody reads before the end
    view_cancel(bench->view[0], &waiter.waiter);
    view_refuse(bench->view[0], 0, 1);
    loop_turn(bench->control, 0); // publishes to loops that do not turn any more
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(test_nothing_is_fetched_unasked),
        WITH_BENCH(test_single_flight),
        WITH_BENCH(test_slots_are_apart),
        WITH_BENCH(test_default_lifetime),
        WITH_BENCH(test_expiry_counts_from_sending),
        WITH_BENCH(test_dead_on_arrival),
        WITH_BENCH(test_a_late_answer_still_fills_the_slot),
        WITH_BENCH(test_renewed_before_expiry),
        WITH_BENCH(test_unused_tokens_are_not_renewed),
        WITH_BENCH(test_used_tokens_are_renewed_again),
        WITH_BENCH(test_first_use_past_due_pokes),
        WITH_BENCH(test_same_token_does_not_loop),
        WITH_BENCH(test_short_lived_tokens),
        cmocka_unit_test_setup_teardown(test_floor_between_fetches, set_up_with_floor, tear_down),
        WITH_BENCH(test_failure_reaches_all_waiters),
        WITH_BENCH(test_hold_off_then_recovery),
        WITH_BENCH(test_back_off_doubles),
        WITH_BENCH(test_retry_after_is_honoured),
        WITH_BENCH(test_refusal_holds_off_for_long),
        WITH_BENCH(test_changed_secret_ends_a_refusal),
        WITH_BENCH(test_failed_renewal_is_invisible),
        WITH_BENCH(test_never_used_after_expiry),
        WITH_BENCH(test_expiry_during_a_renewal),
        WITH_BENCH(test_slow_fetch_disturbs_nobody_else),
        WITH_BENCH(test_keeper_get),
        WITH_BENCH(test_keeper_get_newer),
        WITH_BENCH(test_a_new_view_gets_what_there_is),
        WITH_BENCH(test_posts_may_outlive_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
