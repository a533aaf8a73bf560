// SPDX-License-Identifier: MIT
// The loop's timers: moved, stopped, and many of them at random against what a plain list would do.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"

static struct loop *loop;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new(NULL);
    return loop ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

struct alarm {
    struct timer timer;
    uint64_t fired_ms;
    unsigned calls, order;
    bool again; // starts itself at once
};

static unsigned fired_count;

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    alarm->fired_ms = loop_now_ms(loop);
    alarm->calls++;
    alarm->order = ++fired_count;
    if (alarm->again)
        timer_start(loop, timer, 0);
}

static void run_for(uint64_t ms)
{
    uint64_t end = clock_boottime_us() / 1000 + ms;
    while (clock_boottime_us() / 1000 < end)
        loop_turn(loop, 5);
}

static void test_timer_moves(void **state)
{
    (void)state;
    struct alarm later, earlier, disarmed, stopped, revived;
    struct alarm *all[] = {&later, &earlier, &disarmed, &stopped, &revived};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i]->calls = 0;
        all[i]->again = false;
        timer_init(&all[i]->timer, on_alarm);
    }
    loop_turn(loop, 0);
    uint64_t start = loop_now_ms(loop);
    timer_start(loop, &later.timer, 10);
    timer_start(loop, &later.timer, 60);
    timer_start(loop, &earlier.timer, 5000);
    timer_start(loop, &earlier.timer, 20);
    timer_start(loop, &disarmed.timer, 10);
    timer_disarm(&disarmed.timer);
    timer_start(loop, &stopped.timer, 10);
    timer_stop(loop, &stopped.timer);
    timer_stop(loop, &stopped.timer); // no-op
    assert_int_equal(stopped.timer.heap_place, 0);
    timer_start(loop, &revived.timer, 10);
    timer_disarm(&revived.timer);
    timer_start(loop, &revived.timer, 30);
    run_for(90);
    assert_int_equal(later.calls + earlier.calls + revived.calls, 3);
    assert_int_equal(disarmed.calls + stopped.calls, 0);
    assert_true(later.fired_ms >= start + 60);
    assert_true(earlier.fired_ms >= start + 20 && earlier.fired_ms < start + 60);
    assert_true(revived.fired_ms >= start + 30);
    assert_int_equal(disarmed.timer.heap_place, 0); // dropped when it came up
}

static void test_timer_far_away(void **state)
{
    (void)state;
    struct alarm alarm = {.calls = 0};
    timer_init(&alarm.timer, on_alarm);
    timer_start(loop, &alarm.timer, UINT64_MAX);
    assert_true(alarm.timer.due_ms < TIMER_NEVER);
    loop_turn(loop, 0);
    assert_int_equal(alarm.calls, 0);
    timer_stop(loop, &alarm.timer);
}

// A timer that starts itself at once takes turns with the rest of the program.
static void test_timer_does_not_starve(void **state)
{
    (void)state;
    struct alarm alarm = {.again = true};
    timer_init(&alarm.timer, on_alarm);
    timer_start(loop, &alarm.timer, 0);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, 100);
    assert_int_equal(alarm.calls, 3);
    timer_stop(loop, &alarm.timer);
}

#define ALARMS 500

static void check_heap_of(struct alarm *alarms)
{
    size_t places = 0;
    for (int i = 0; i < ALARMS; i++) {
        if (alarms[i].timer.heap_place)
            places++;
        assert_true(!alarms[i].timer.heap_place ||
                    alarms[i].timer.heap_ms <= alarms[i].timer.due_ms);
        assert_true(alarms[i].timer.due_ms == TIMER_NEVER || alarms[i].timer.heap_place);
    }
    assert_true(places <= ALARMS);
}

// Random starts, moves, stops and disarms; then all that are left fire, once each, when due and in
// order.
static void test_timers_against_a_model(void **state)
{
    (void)state;
    static struct alarm alarms[ALARMS];
    unsigned seed = 12345;
    fired_count = 0;
    memset(alarms, 0, sizeof alarms);
    for (int i = 0; i < ALARMS; i++)
        timer_init(&alarms[i].timer, on_alarm);
    loop_turn(loop, 0);
    for (int i = 0; i < 20000; i++) {
        struct alarm *alarm = &alarms[rand_r(&seed) % ALARMS];
        unsigned what = (unsigned)rand_r(&seed) % 8;
        if (what == 0)
            timer_stop(loop, &alarm->timer);
        else if (what == 1)
            timer_disarm(&alarm->timer);
        else
            timer_start(loop, &alarm->timer, 1 + (unsigned)rand_r(&seed) % 60);
    }
    check_heap_of(alarms);
    uint64_t due[ALARMS];
    for (int i = 0; i < ALARMS; i++)
        due[i] = alarms[i].timer.due_ms;
    for (uint64_t end = loop_now_ms(loop) + 100; loop_now_ms(loop) < end; loop_turn(loop, 2))
        for (int i = 0; i < ALARMS; i++) // none that is due is left behind by a turn
            assert_true(alarms[i].timer.due_ms == TIMER_NEVER ||
                        alarms[i].timer.due_ms > loop_now_ms(loop));
    for (int i = 0; i < ALARMS; i++) {
        assert_int_equal(alarms[i].calls, due[i] != TIMER_NEVER);
        assert_true(!alarms[i].calls || alarms[i].fired_ms >= due[i]);
        assert_int_equal(alarms[i].timer.heap_place, 0);
    }
    for (int i = 0; i < ALARMS; i++)
        for (int j = 0; j < ALARMS; j++)
            if (alarms[i].calls && alarms[j].calls && alarms[i].fired_ms < alarms[j].fired_ms)
                assert_true(alarms[i].order < alarms[j].order);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_timer_moves),
        LOOP_TEST(test_timer_far_away),
        LOOP_TEST(test_timer_does_not_starve),
        LOOP_TEST(test_timers_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
