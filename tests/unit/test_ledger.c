// SPDX-License-Identifier: MIT
// What workers count is not lost when they end or when the configuration changes: by the names of
// routes and upstreams, through any order of reloads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "../support/config_text.h"
#include "proxy/ledger.h"
#include "proxy/measure.h"

static struct loop *loop;
static struct ledger *ledger;

#define CREDENTIAL                                                                                 \
    "[credential main]\ntoken_url = https://idp.example/t\nclient_id = a\nclient_secret = b\n"
#define ONE                                                                                        \
    CREDENTIAL "[upstream u]\nurl = https://u.example\n[upstream w]\nurl = https://w.example\n"    \
               "[route r]\nupstream = u\nmatch = /r/**\n[route s]\nupstream = w\nmatch = /s/**\n"
// s is gone, w stands first, r has moved behind a new one; q is at w.
#define TWO                                                                                        \
    CREDENTIAL "[upstream w]\nurl = https://w.example\n[upstream u]\nurl = https://u.example\n"    \
               "[route q]\nupstream = w\nmatch = /q/**\n[route r]\nupstream = u\nmatch = /r/**\n"
// r is at another upstream: not the same any more.
#define MOVED                                                                                      \
    CREDENTIAL "[upstream u]\nurl = https://u.example\n[upstream w]\nurl = https://w.example\n"    \
               "[route r]\nupstream = w\nmatch = /r/**\n"

// A token that nobody asked for before stands first.
#define SLOTS                                                                                      \
    CREDENTIAL "[upstream u]\nurl = https://u.example\n[route a]\nmatch = /a\nscopes = x\n"        \
               "[route r]\nmatch = /r/**\n"

static struct config *load(const char *text)
{
    char *said;
    struct config *config = text_load(text, &said);
    assert_non_null(config);
    mem_free(said);
    return config;
}

static void begin(struct config *config)
{
    loop = loop_new(NULL);
    assert_non_null(loop);
    ledger = ledger_new(loop, config);
}

static void end(void)
{
    loop_free(loop);
    ledger_free(ledger);
}

static void settle(void)
{
    loop_turn(loop, 0);
}

static const struct config_route *route_named(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (!strcmp(config->routes[i]->name, name))
            return config->routes[i];
    return NULL;
}

static const struct config_upstream *upstream_named(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (!strcmp(config->upstreams[i]->name, name))
            return config->upstreams[i];
    return NULL;
}

// A whole request in that cell; route and upstream may be NULL.
static void count(struct meter *meter, const char *upstream, const char *route, int status)
{
    struct measure measure;
    measure_init(&measure, loop, meter);
    measure_begin(&measure);
    if (upstream)
        measure_choose(&measure, upstream_named(meter->config, upstream),
                       route ? route_named(meter->config, route) : NULL);
    measure_sent(&measure);
    measure_head(&measure, false);
    measure_end(&measure, status, false, true);
}

static struct traffic cell(const struct config *config, const char *upstream, const char *route)
{
    struct traffic out;
    ledger_read_cell(ledger,
                     meter_cell(config, upstream ? upstream_named(config, upstream) : NULL,
                                route ? route_named(config, route) : NULL),
                     &out);
    return out;
}

static uint64_t ended(const struct config *config, const char *upstream, const char *route)
{
    struct traffic traffic = cell(config, upstream, route);
    assert_int_equal(histogram_count(&traffic.total), traffic_ended(&traffic));
    assert_int_equal(traffic.in_flight, 0);
    return traffic_ended(&traffic);
}

static void test_workers_are_summed(void **state)
{
    (void)state;
    struct config *config = load(ONE);
    begin(config);
    struct meter *meters[3];
    for (int i = 0; i < 3; i++) {
        meters[i] = meter_new(ledger, config, NULL);
        assert_int_equal((uintptr_t)meters[i]->cells % STATS_LINE, 0);
        count(meters[i], "u", "r", 200);
        count(meters[i], "w", NULL, 404);
        count(meters[i], NULL, NULL, 400);
    }
    count(meters[1], "w", "s", 0);
    settle();
    assert_int_equal(ended(config, "u", "r"), 3);
    assert_int_equal(cell(config, "u", "r").requests[2], 3);
    assert_int_equal(cell(config, "w", NULL).requests[4], 3);
    assert_int_equal(cell(config, "w", "s").requests[0], 1);
    assert_int_equal(ended(config, NULL, NULL), 3);
    assert_int_equal(ended(config, "u", NULL), 0);
    for (int i = 0; i < 3; i++)
        meter_free(meters[i]);
    settle();
    assert_int_equal(ended(config, "u", "r"), 3); // by those that are gone
    end();
    config_unref(config);
}

static void test_counts_outlive_a_configuration(void **state)
{
    (void)state;
    struct config *one = load(ONE), *two = load(TWO);
    begin(one);
    struct meter *old = meter_new(ledger, one, NULL);
    count(old, "u", "r", 200);
    count(old, "w", "s", 200);
    count(old, "w", NULL, 404);
    settle();
    ledger_set_config(ledger, two);
    struct meter *new = meter_new(ledger, two, NULL);
    count(new, "u", "r", 200);
    count(new, "w", "q", 500);
    count(old, "u", "r", 200); // it had begun before
    settle();
    for (int i = 0; i < 2; i++) { // while the old one lives, and when it does not
        assert_int_equal(ended(two, "u", "r"), 3);
        assert_int_equal(ended(two, "w", "q"), 1);
        assert_int_equal(ended(two, "w", NULL), 1);
        meter_free(i ? NULL : old);
        settle();
    }
    ledger_set_config(ledger, one); // and back: what had no name in between is gone
    assert_int_equal(ended(one, "u", "r"), 3);
    assert_int_equal(ended(one, "w", "s"), 0);
    meter_free(new);
    end();
    config_unref(one);
    config_unref(two);
}

static void test_a_route_that_moved_is_another(void **state)
{
    (void)state;
    struct config *one = load(ONE), *moved = load(MOVED);
    begin(one);
    struct meter *old = meter_new(ledger, one, NULL);
    count(old, "u", "r", 200);
    settle();
    ledger_set_config(ledger, moved);
    assert_int_equal(ended(moved, "w", "r"), 0);
    meter_free(old);
    end();
    config_unref(one);
    config_unref(moved);
}

static void test_gauges_end_with_their_meter(void **state)
{
    (void)state;
    struct config *config = load(ONE);
    begin(config);
    struct meter *meter = meter_new(ledger, config, NULL);
    struct measure measure;
    measure_init(&measure, loop, meter);
    measure_begin(&measure);
    measure_choose(&measure, config->upstreams[0], config->routes[0]);
    measure_wait(&measure, 0);
    stat_set(&meter->upstreams[0].idle, 4);
    stat_set(&meter->upstreams[0].connects, 9);
    settle();
    struct traffic_upstream upstream;
    ledger_read_upstream(ledger, 0, &upstream);
    assert_int_equal(upstream.idle, 4);
    assert_int_equal(cell(config, "u", "r").in_flight, 1);
    assert_int_equal(cell(config, "u", "r").waiting, 1);
    assert_int_equal(ledger_read_waiting(ledger, 0), 1);
    struct config *other = load(SLOTS);
    ledger_set_config(ledger, other); // they go on waiting, and their slot has moved
    assert_int_equal(other->slot_count, 2);
    assert_int_equal(ledger_read_waiting(ledger, 0), 0);
    assert_int_equal(ledger_read_waiting(ledger, 1), 1);
    ledger_set_config(ledger, config);
    config_unref(other);
    measure_waited(&measure);
    assert_int_equal(ledger_read_waiting(ledger, 0), 0);
    struct traffic waited = cell(config, "u", "r");
    assert_int_equal(histogram_count(&waited.token_wait), 1);
    measure_end(&measure, 200, false, true);
    meter_free(meter);
    settle();
    ledger_read_upstream(ledger, 0, &upstream);
    assert_int_equal(upstream.idle, 0);
    assert_int_equal(upstream.connects, 9);
    end();
    config_unref(config);
}

// -- news --------------------------------------------------------------------------------------

static unsigned told;
static char told_text[2000];

static void on_failure(void *arg, const struct ledger_failure *failure)
{
    (void)arg;
    size_t len = told++ ? strlen(told_text) : 0;
    snprintf(told_text + len, sizeof told_text - len, "%s %s %s %s %u\n", failure->upstream,
             failure->route ? failure->route : "-", traffic_failure_name(failure->failure),
             failure->why ? failure->why : "-", (unsigned)failure->count);
}

static void test_failures_are_told_now_and_then(void **state)
{
    (void)state;
    struct config *config = load(ONE);
    begin(config);
    ledger_set_listener(ledger, on_failure, NULL);
    struct meter *meter = meter_new(ledger, config, NULL);
    for (int i = 0; i < 100; i++)
        meter_fail(meter, config->upstreams[0], config->routes[0], FORWARD_TLS, false, "bad");
    for (int i = 0; i < 3; i++)
        meter_fail(meter, config->upstreams[0], NULL, FORWARD_LOCAL, true, "cut off");
    meter_fail(meter, config->upstreams[1], NULL, FORWARD_LOCAL, true, "cut off");
    loop_turn(loop, 0);
    // One for each upstream and kind, and each of them what is its own of the others.
    assert_string_equal(told_text, "u r tls bad 1\nu - cut cut off 1\nw - cut cut off 1\n");
    struct traffic_upstream upstream;
    ledger_read_upstream(ledger, 0, &upstream);
    assert_int_equal(upstream.failures[TRAFFIC_TLS], 100); // but all were counted
    told = 0;
    meter_free(meter);
    loop_turn(loop, 0);
    assert_string_equal(told_text, "u - tls - 99\nu - cut - 2\n");
    end();
    config_unref(config);
}

static void test_replays_have_one_outcome(void **state)
{
    (void)state;
    static const struct {
        enum traffic_replay said, want;
        int status;
        bool is_problem;
    } rows[] = {
        {TRAFFIC_REPLAY_TAKEN, TRAFFIC_REPLAY_TAKEN, 200, false},
        {TRAFFIC_REPLAY_TAKEN, TRAFFIC_REPLAY_REFUSED, 401, false},
        {TRAFFIC_REPLAY_TAKEN, TRAFFIC_REPLAY_FAILED, 502, true},
        {TRAFFIC_REPLAY_TAKEN, TRAFFIC_REPLAY_FAILED, 0, false},
        {TRAFFIC_REPLAY_NONE_NEWER, TRAFFIC_REPLAY_NONE_NEWER, 401, false},
        {TRAFFIC_REPLAY_NOT_POSSIBLE, TRAFFIC_REPLAY_NOT_POSSIBLE, 401, false},
        {TRAFFIC_REPLAY_NONCE, TRAFFIC_REPLAY_NONCE, 200, false},
    };
    struct config *config = load(ONE);
    begin(config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct meter *meter = meter_new(NULL, config, NULL);
        struct measure measure;
        measure_init(&measure, loop, meter);
        measure_begin(&measure);
        measure_choose(&measure, config->upstreams[0], config->routes[0]);
        measure_replay(&measure, TRAFFIC_REPLAY_NONE_NEWER);
        measure_replay(&measure, rows[i].said);
        measure_end(&measure, rows[i].status, rows[i].is_problem, true);
        for (unsigned j = 0; j < TRAFFIC_REPLAYS; j++)
            assert_int_equal(meter->cells[0].replays[j], j == rows[i].want);
        meter_free(meter);
    }
    end();
    config_unref(config);
}

static void test_a_broken_answer_fails_once(void **state)
{
    (void)state;
    static const int statuses[] = {0, 200, 404, 500, 999};
    struct config *config = load(ONE);
    begin(config);
    struct meter *meter = meter_new(NULL, config, NULL);
    struct measure measure;
    measure_init(&measure, loop, meter);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        for (int is_complete = 0; is_complete < 2; is_complete++) {
            measure_begin(&measure);
            measure_choose(&measure, config->upstreams[0], config->routes[0]);
            measure_end(&measure, statuses[i], false, is_complete);
        }
    const struct traffic *cell = &meter->cells[0];
    assert_int_equal(cell->broken, 4);
    assert_int_equal(cell->broken_else, 2);
    assert_int_equal(cell->requests[0] + cell->requests[5] + cell->broken_else, 8); // of ten
    meter_free(meter);
    end();
    config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_are_summed),
        cmocka_unit_test(test_counts_outlive_a_configuration),
        cmocka_unit_test(test_a_route_that_moved_is_another),
        cmocka_unit_test(test_gauges_end_with_their_meter),
        cmocka_unit_test(test_failures_are_told_now_and_then),
        cmocka_unit_test(test_replays_have_one_outcome),
        cmocka_unit_test(test_a_broken_answer_fails_once),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
