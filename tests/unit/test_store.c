// SPDX-License-Identifier: MIT
// The store as the keeper sees it, on a real SQLite file and a real redis-server alike: one of many
// fetches, the others take what it puts; whoever dies or goes away stands in nobody's way.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/store_bench.h"
#include "token/store_worker.h"

#define PROCESSES 8

static char sqlite_url[BENCH_PATH_MAX + 8];

// Each test runs once on each: *state is the store's URL.
static int on_sqlite(void **state)
{
    static unsigned count;
    snprintf(sqlite_url, sizeof sqlite_url, "sqlite:%s", bench_path("store"));
    snprintf(strchr(sqlite_url, '\0'), 4, "%u", count++ % 100);
    *state = sqlite_url;
    return 0;
}

static void test_kept_over_a_restart(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 1000));
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    bench_close(&bench);
    open_on(&bench, state);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    assert_fetch(bench_acquire(&bench, BENCH_KEY_B, 0, 1000));
    struct store_stats stats = store_stats(bench.store);
    assert_int_equal(stats.loads, 1);
    assert_int_equal(stats.errors + stats.unreadable, 0);
    bench_close(&bench);
}

static void test_only_newer_ones(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    struct bench_answer found = bench_acquire(&bench, BENCH_KEY_A, 0, 1000);
    assert_token(found, "token-1");
    assert_token(bench_acquire(&bench, BENCH_KEY_A, found.expires_s - 1, 1000), "token-1");
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, found.expires_s, 1000)); // strictly
    // What is fetched then replaces it, also if it lives less long.
    bench_put(&bench, BENCH_KEY_A, "token-2", 50);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-2");
    bench_close(&bench);
}

static void test_not_expired_ones(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 1);
    bench_sleep_ms(1100);
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 1000));
    bench_close(&bench);
}

static void test_waits_for_another(void **state)
{
    struct bench one, other;
    struct bench_answer answer;
    open_waiting(&one, &other, state, 300, &answer);
    bench_put(&one, BENCH_KEY_A, "token-1", 100);
    assert_true(bench_await(&other, &answer, 1000));
    assert_token(answer, "token-1");
    bench_close(&one);
    bench_close(&other);
}

static void test_gets_the_lease_when_released(void **state)
{
    struct bench one, other;
    struct bench_answer answer;
    open_waiting(&one, &other, state, 200, &answer);
    store_release(one.store, BENCH_KEY_A);
    assert_true(bench_await(&other, &answer, 1000));
    assert_int_equal(answer.answer, STORE_FETCH);
    // And by a store that is closed properly.
    bench_close(&other);
    struct bench_answer again = bench_acquire(&one, BENCH_KEY_A, 0, 5000);
    assert_fetch(again);
    bench_close(&one);
}

static void test_waits_no_longer_than_asked(void **state)
{
    struct bench one, other;
    open_on(&one, state);
    open_on(&other, state);
    assert_fetch(bench_acquire(&one, BENCH_KEY_A, 0, 1000));
    uint64_t start_ms = bench_now_ms();
    assert_fetch(bench_acquire(&other, BENCH_KEY_A, 0, 500));
    uint64_t took_ms = bench_now_ms() - start_ms;
    assert_true(took_ms >= 490 && took_ms < 1500);
    bench_close(&one);
    bench_close(&other);
}

// Longer than the lease lasts by itself.
static void test_a_slow_holder_keeps_it(void **state)
{
    struct bench one, other;
    struct bench_answer answer;
    open_waiting(&one, &other, state, STORE_LEASE_MS + 1000, &answer);
    bench_put(&one, BENCH_KEY_A, "token-1", 100);
    assert_true(bench_await(&other, &answer, 2000));
    assert_token(answer, "token-1");
    bench_close(&one);
    bench_close(&other);
}

static void test_two_slots_of_one_process(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    struct bench_answer one = {0}, other = {0};
    bench_ask(&bench, BENCH_KEY_A, 5000, &one);
    bench_ask(&bench, BENCH_KEY_A, 5000, &other);
    assert_true(bench_await(&bench, &one, 1000));
    assert_int_equal(one.answer, STORE_FETCH);
    assert_int_equal(other.count, 0);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    assert_true(bench_await(&bench, &other, 2000));
    assert_token(other, "token-1");
    bench_close(&bench);
}

static void test_cancelled(void **state)
{
    struct bench one, other;
    open_on(&one, state);
    open_on(&other, state);
    struct bench_answer answer = {0};
    // At once: whatever the thread made of it, the lease does not stay.
    bench_ask(&one, BENCH_KEY_A, 5000, &answer);
    store_cancel(one.store, &answer);
    for (int i = 0; i < 20; i++)
        loop_turn(one.loop, 10);
    assert_fetch(bench_acquire(&other, BENCH_KEY_A, 0, 300));
    // While it waits.
    bench_ask(&one, BENCH_KEY_A, 5000, &answer);
    bench_await(&one, &answer, 150);
    store_cancel(one.store, &answer);
    bench_put(&other, BENCH_KEY_A, "token-1", 100);
    bench_await(&one, &answer, 600);
    store_cancel(one.store, &answer); // what is not there is no mistake
    assert_int_equal(answer.count, 0);
    // The answer is under way when it is cancelled.
    bench_ask(&one, BENCH_KEY_B, 5000, &answer);
    bench_sleep_ms(150);
    store_cancel(one.store, &answer);
    bench_sleep_ms(100);
    loop_turn(one.loop, 10);
    assert_int_equal(answer.count, 0);
    assert_fetch(bench_acquire(&other, BENCH_KEY_B, 0, 300));
    bench_close(&one);
    bench_close(&other);
}

static void test_closed_with_all_under_way(void **state)
{
    struct bench bench;
    struct bench_answer answers[20] = {{0}};
    open_on(&bench, state);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        bench_ask(&bench, BENCH_KEY_A, 5000, &answers[i]);
    bench_await(&bench, &answers[0], 100);
    store_cancel(bench.store, &answers[7]);
    bench_put(&bench, BENCH_KEY_B, "token-1", 100);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        answers[i].count = 0;
    bench_close(&bench); // turns the loop once more
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        assert_int_equal(answers[i].count, 0);
    open_on(&bench, state); // what was put last is there
    assert_token(bench_acquire(&bench, BENCH_KEY_B, 0, 1000), "token-1");
    bench_close(&bench);
}

static void test_other_key(void **state)
{
    struct bench one, other;
    open_on(&one, state);
    bench_put(&one, BENCH_KEY_A, "token-1", 100);
    assert_token(bench_acquire(&one, BENCH_KEY_A, 0, 1000), "token-1");
    assert_true(bench_open(&other, *state, "another secret of the store"));
    assert_fetch(bench_acquire(&other, BENCH_KEY_A, 0, 1000));
    bench_put(&other, BENCH_KEY_A, "token-2", 100);
    assert_token(bench_acquire(&other, BENCH_KEY_A, 0, 1000), "token-2");
    // They do not take each other's place.
    assert_token(bench_acquire(&one, BENCH_KEY_A, 0, 1000), "token-1");
    assert_int_equal(store_stats(other.store).errors + store_stats(other.store).unreadable, 0);
    bench_close(&one);
    bench_close(&other);
}

static void test_key_rotated(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    bench_close(&bench);
    assert_true(bench_open_with(&bench, *state, "the new secret of the store", BENCH_SECRET));
    struct bench_answer found = bench_acquire(&bench, BENCH_KEY_A, 0, 1000);
    assert_token(found, "token-1");
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, found.expires_s, 1000));
    bench_put(&bench, BENCH_KEY_A, "token-2", 50);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-2");
    bench_close(&bench);
    // Once the previous key is gone from the configuration.
    assert_true(bench_open(&bench, *state, "the new secret of the store"));
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-2");
    bench_close(&bench);
}

// By somebody who can write to the store and has no key.
static void tamper(const char *url)
{
    char command[1024];
    if (strncmp(url, "sqlite:", 7) == 0)
        snprintf(command, sizeof command, "sqlite3 %s \"UPDATE tokens SET blob = 'x'\"", url + 7);
    else
        snprintf(command, sizeof command, "redis-cli -s %s SET bearerd:token:%s x", redis.socket,
                 bench_place(BENCH_KEY_A));
    char shell[] = "/bin/sh", flag[] = "-c";
    char *argv[] = {shell, flag, command, NULL};
    assert_int_equal(bench_wait(bench_spawn(argv)), 0);
}

static void test_tampered_with(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    tamper(*state);
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 1000));
    assert_int_equal(store_stats(bench.store).unreadable, 1);
    assert_false(store_stats(bench.store).is_away);
    bench_put(&bench, BENCH_KEY_A, "token-2", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-2");
    bench_close(&bench);
}

// -- many processes ----------------------------------------------------------------------------

enum { EXIT_FETCHED = 10, EXIT_TOOK = 20, EXIT_WRONG = 30 };

static void be_one_of_many(const char *url, int gate)
{
    struct bench bench;
    char go;
    if (!bench_open(&bench, url, BENCH_SECRET) || read(gate, &go, 1) < 0)
        _exit(EXIT_WRONG);
    struct bench_answer answer = bench_acquire(&bench, BENCH_KEY_A, 0, 8000);
    int code = EXIT_WRONG;
    if (answer.count == 1 && answer.answer == STORE_FETCH) {
        bench_sleep_ms(300); // what a token request takes
        bench_put(&bench, BENCH_KEY_A, "token-of-the-one", 100);
        code = EXIT_FETCHED;
    } else if (strcmp(answer.value, "token-of-the-one") == 0) {
        code = EXIT_TOOK;
    }
    bench_close(&bench);
    _exit(code);
}

static void test_one_of_eight_fetches(void **state)
{
    for (int round = 0; round < 3; round++) {
        pid_t pids[PROCESSES];
        int gate[2];
        unsigned fetched = 0, took = 0;
        assert_int_equal(pipe(gate), 0);
        for (size_t i = 0; i < PROCESSES; i++) {
            pids[i] = bench_fork();
            if (pids[i])
                continue;
            close(gate[1]);
            be_one_of_many(*state, gate[0]);
        }
        close(gate[0]);
        bench_sleep_ms(100); // all stand at the gate,
        close(gate[1]);      // which now opens
        for (size_t i = 0; i < PROCESSES; i++) {
            int code = bench_wait(pids[i]);
            fetched += code == EXIT_FETCHED;
            took += code == EXIT_TOOK;
        }
        assert_int_equal(fetched, 1);
        assert_int_equal(took, PROCESSES - 1);
        // For the next round as if nothing were there.
        struct bench bench;
        open_on(&bench, state);
        bench_put(&bench, BENCH_KEY_A, "old", 1);
        bench_close(&bench);
        bench_sleep_ms(1100);
    }
}

static void test_killed_holder(void **state)
{
    pid_t pid = bench_fork();
    if (pid == 0) {
        struct bench bench;
        if (!bench_open(&bench, *state, BENCH_SECRET))
            _exit(EXIT_WRONG);
        struct bench_answer answer = bench_acquire(&bench, BENCH_KEY_A, 0, 1000);
        if (answer.answer == STORE_FETCH)
            kill(getpid(), SIGKILL);
        _exit(EXIT_WRONG);
    }
    assert_int_equal(bench_wait(pid), -SIGKILL);
    struct bench bench;
    open_on(&bench, state);
    uint64_t start_ms = bench_now_ms();
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 60000));
    uint64_t took_ms = bench_now_ms() - start_ms;
    assert_true(took_ms > 1000 && took_ms < STORE_LEASE_MS + 2000);
    bench_close(&bench);
}

// -- what can never work -----------------------------------------------------------------------

static void test_refused_configurations(void **state)
{
    (void)state;
    static const struct {
        const char *url, *secret, *words;
    } rows[] = {
        {NULL, BENCH_SECRET, ""}, // none is configured: no error
        {"sqlite:/tmp/x", NULL, "needs a key"},
        {"sqlite:/tmp/x", "too short", "at least 16"},
        {"sqlite:", BENCH_SECRET, "path"},
        {"memcached://host", BENCH_SECRET, "neither sqlite:PATH"},
        {"redis://user@host", BENCH_SECRET, "password"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench bench;
        assert_false(bench_open(&bench, rows[i].url, rows[i].secret));
        if (!strstr(bench.err.text, rows[i].words) || !*rows[i].words != !*bench.err.text)
            fail_msg("%zu: %s", i, bench.err.text);
        bench_close(&bench);
    }
}

// A row for each of the two.
#define ON_BOTH(name, fn) ON(name " (sqlite)", fn, on_sqlite), ON(name " (redis)", fn, on_redis)
#define ON(name, fn, up)                                                                           \
    {                                                                                              \
        name, fn, up, off, NULL                                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH("kept over a restart", test_kept_over_a_restart),
        ON_BOTH("only newer ones", test_only_newer_ones),
        ON_BOTH("T18 not expired ones", test_not_expired_ones),
        ON_BOTH("waits for another", test_waits_for_another),
        ON_BOTH("gets the lease when released", test_gets_the_lease_when_released),
        ON_BOTH("waits no longer than asked", test_waits_no_longer_than_asked),
        ON_BOTH("a slow holder keeps it", test_a_slow_holder_keeps_it),
        ON_BOTH("two slots of one process", test_two_slots_of_one_process),
        ON_BOTH("cancelled", test_cancelled),
        ON_BOTH("closed with all under way", test_closed_with_all_under_way),
        ON_BOTH("sealed with another key", test_other_key),
        ON_BOTH("key rotated", test_key_rotated),
        ON_BOTH("tampered with", test_tampered_with),
        ON_BOTH("T07 one of eight processes fetches", test_one_of_eight_fetches),
        ON_BOTH("killed holder", test_killed_holder),
        cmocka_unit_test(test_refused_configurations),
    };
    return cmocka_run_group_tests(tests, bench_folder_make, bench_folder_remove);
}
