// SPDX-License-Identifier: MIT
// A view as a worker sees it: what a hit costs (counted, not claimed: linked with --wrap for the
// allocator, the lock and keeper_tell), when waiters are called, and all of it once with real
// threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "../support/fake_source.h"
#include "base/log.h"
#include "http/multi.h"

// -- counters ----------------------------------------------------------------------------------

static unsigned alloc_count, free_count, lock_count, tell_count[3];

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void __wrap_free(void *ptr);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
void __real_keeper_tell(struct keeper_set *set, size_t slot, enum keeper_note note);
void __wrap_keeper_tell(struct keeper_set *set, size_t slot, enum keeper_note note);

// Relaxed atomics, since the test with threads passes here, too.
static void count(unsigned *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

void *__wrap_malloc(size_t size)
{
    count(&alloc_count);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count(&alloc_count);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    count(&alloc_count);
    return __real_realloc(ptr, size);
}

void __wrap_free(void *ptr)
{
    count(&free_count);
    __real_free(ptr);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    count(&lock_count);
    return __real_pthread_mutex_lock(mutex);
}

void __wrap_keeper_tell(struct keeper_set *set, size_t slot, enum keeper_note note)
{
    count(&tell_count[note]);
    __real_keeper_tell(set, slot, note);
}

static void reset_counts(void)
{
    alloc_count = free_count = lock_count = 0;
    memset(tell_count, 0, sizeof tell_count);
}

// -- a keeper, a view, a loop each -------------------------------------------------------------

struct bench {
    struct loop *control, *worker;
    struct keeper *keeper;
    struct view *view;
};

static int set_up(void **state)
{
    static struct bench bench;
    struct err err;
    bench.control = loop_new(&err);
    bench.keeper = keeper_new_of(bench.control, &fake_config, &fake_parts, &err);
    bench.worker = loop_new(&err);
    bench.view = view_new(bench.worker, bench.keeper);
    *state = &bench;
    reset_counts();
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    view_free(bench->view);
    keeper_free(bench->keeper);
    loop_free(bench->worker);
    loop_free(bench->control);
    return 0;
}

static void wait_for(struct bench *bench, struct fake_waiter *waiter)
{
    *waiter = (struct fake_waiter){.waiter.on_token = on_fake_token};
    view_wait(bench->view, 0, &waiter->waiter);
}

static void start_with(struct bench *bench, const char *value, uint64_t lifetime_ms)
{
    struct fake_waiter waiter;
    wait_for(bench, &waiter);
    settle(bench->control, bench->worker);
    fake_succeed(0, value, lifetime_ms);
    settle(bench->control, bench->worker);
    assert_string_equal(waiter.value, value);
}

static void start_with_failure(struct bench *bench)
{
    struct fake_waiter waiter;
    wait_for(bench, &waiter);
    settle(bench->control, bench->worker);
    fake_fail(0, FAILURE_REFUSED, "refused", 0);
    settle(bench->control, bench->worker);
    assert_string_equal(waiter.text, "refused");
}

// -- the price of a hit ------------------------------------------------------------------------

static void test_a_hit_costs_nothing(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 3600000);
    assert_non_null(view_get(bench->view, 0)); // the first use is told
    reset_counts();
    size_t hits = 0;
    for (int i = 0; i < 1000000; i++)
        hits += view_get(bench->view, 0) != NULL;
    assert_int_equal(hits, 1000000);
    assert_int_equal(alloc_count, 0);
    assert_int_equal(free_count, 0);
    assert_int_equal(lock_count, 0);
}

static void test_the_counters_do_count(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    assert_null(view_get(bench->view, 0));
    assert_int_equal(alloc_count + lock_count, 0); // finding none costs nothing either
    wait_for(bench, &waiter);
    assert_true(alloc_count > 0 && lock_count > 0);
    assert_int_equal(tell_count[KEEPER_WANT], 1);
    settle(bench->control, bench->worker);
    assert_true(free_count > 0);
    view_cancel(bench->view, &waiter.waiter);
}

static void test_use_is_told_once_per_token(void **state)
{
    struct bench *bench = *state;
    start_with(bench, "one", 400);
    reset_counts();
    for (int i = 0; i < 3; i++)
        view_get(bench->view, 0);
    assert_int_equal(tell_count[KEEPER_USED], 0); // a waiter got it: that was the first use
    assert_int_equal(tell_count[KEEPER_DUE], 0);
    while (!fakes[0].done)
        settle(bench->control, bench->worker);
    loop_turn(bench->worker, 0); // its clock is now past the moment as well
    for (int i = 0; i < 3; i++)
        assert_non_null(view_get(bench->view, 0));
    assert_int_equal(tell_count[KEEPER_DUE], 1);
    assert_int_equal(tell_count[KEEPER_USED], 0);
    fake_succeed(0, "two", 3600000);
    settle(bench->control, bench->worker);
    for (int i = 0; i < 3; i++)
        view_get(bench->view, 0);
    assert_int_equal(tell_count[KEEPER_USED], 1);
    assert_int_equal(tell_count[KEEPER_DUE], 1);
    assert_int_equal(tell_count[KEEPER_WANT], 0);
}

static void test_many_waiters_ask_once(void **state) // T07
{
    struct bench *bench = *state;
    static struct fake_waiter waiters[100];
    for (size_t i = 0; i < 100; i++)
        wait_for(bench, &waiters[i]);
    assert_int_equal(tell_count[KEEPER_WANT], 1);
    settle(bench->control, bench->worker);
    fake_succeed(0, "one", 3600000);
    settle(bench->control, bench->worker);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(waiters[i].calls, 1);
}

static void test_hold_off_is_answered_here(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter first, second;
    start_with_failure(bench);
    reset_counts();
    wait_for(bench, &first);
    wait_for(bench, &second);
    assert_int_equal(first.calls, 0); // never from inside view_wait
    view_cancel(bench->view, &second.waiter);
    loop_turn(bench->worker, 0);
    assert_int_equal(first.calls, 1);
    assert_int_equal(second.calls, 0);
    assert_string_equal(first.text, "refused");
    assert_int_equal(tell_count[KEEPER_WANT], 0); // requests that hammer do not reach the keeper
    assert_int_equal(lock_count, 0);
}

// -- waiters that do things when called --------------------------------------------------------

struct busy_waiter {
    struct view_waiter waiter;
    struct bench *bench;
    struct view_waiter *victim; // to be cancelled, or NULL
    bool is_again;              // wait again, once
    unsigned calls;
};

static void on_busy_token(struct view_waiter *waiter, const struct token *token,
                          const struct token_failure *failure)
{
    struct busy_waiter *busy = CONTAINER_OF(waiter, struct busy_waiter, waiter);
    (void)token;
    (void)failure;
    busy->calls++;
    if (busy->victim)
        view_cancel(busy->bench->view, busy->victim);
    if (busy->is_again && busy->calls == 1)
        view_wait(busy->bench->view, 0, waiter);
}

static void test_cancel_from_a_callback(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter victim = {.waiter.on_token = on_fake_token}, last = victim;
    struct busy_waiter busy = {
        .waiter.on_token = on_busy_token, .bench = bench, .victim = &victim.waiter};
    view_wait(bench->view, 0, &busy.waiter);
    view_wait(bench->view, 0, &victim.waiter);
    view_wait(bench->view, 0, &last.waiter);
    settle(bench->control, bench->worker);
    fake_fail(0, FAILURE_REFUSED, "refused", 0);
    settle(bench->control, bench->worker);
    assert_int_equal(busy.calls, 1);
    assert_int_equal(victim.calls, 0);
    assert_int_equal(last.calls, 1);
    view_cancel(bench->view, &victim.waiter); // not waiting: nothing happens
}

static void test_wait_again_from_a_callback(void **state)
{
    struct bench *bench = *state;
    struct busy_waiter busy = {.waiter.on_token = on_busy_token, .bench = bench, .is_again = true};
    view_wait(bench->view, 0, &busy.waiter);
    settle(bench->control, bench->worker);
    fake_fail(0, FAILURE_REFUSED, "refused", 0);
    loop_turn(bench->worker, 0); // the second answer comes at the end of the turn
    assert_int_equal(busy.calls, 2);
}

static void test_wait_with_a_token_there(void **state)
{
    struct bench *bench = *state;
    struct fake_waiter waiter;
    start_with(bench, "one", 3600000);
    wait_for(bench, &waiter);
    assert_int_equal(waiter.calls, 0);
    settle(bench->control, bench->worker);
    assert_string_equal(waiter.value, "one");
    assert_int_equal(fakes[0].fetches, 1);
    assert_int_equal(tell_count[KEEPER_USED], 1); // the same token again is no news
}

static void test_expired_while_the_keeper_sleeps(void **state) // T04 T37
{
    struct bench *bench = *state;
    start_with(bench, "one", 200);
    uint64_t hard_ms = view_get(bench->view, 0)->hard_ms;
    while (clock_boottime_us() / 1000 < hard_ms)
        ;
    // No turn of the worker's loop since: its own time may be that of before a long stop.
    assert_true(loop_now_ms(bench->worker) < hard_ms);
    assert_null(view_get(bench->view, 0));
}

// -- with threads ------------------------------------------------------------------------------

#define THREADS 3
#define ROUNDS  200

struct worker {
    pthread_t thread;
    struct loop *loop;
    struct view *view;
    struct view_waiter waiter;
    struct timer timer;
    unsigned tokens, failures, hits;
};

static unsigned workers_done; // atomic

static void worker_next(struct worker *worker)
{
    if (worker->tokens + worker->failures == ROUNDS) {
        __atomic_add_fetch(&workers_done, 1, __ATOMIC_RELEASE);
        return;
    }
    timer_start(worker->loop, &worker->timer, 1);
}

static void on_worker_token(struct view_waiter *waiter, const struct token *token,
                            const struct token_failure *failure)
{
    struct worker *worker = CONTAINER_OF(waiter, struct worker, waiter);
    (void)failure;
    // Reads all of it, for the sanitizers to see.
    if (token && strlen(token->fingerprint) == TOKEN_FINGERPRINT_LEN &&
        token->header_value.ptr[token->header_value.len - 1] != '=')
        worker->tokens++;
    else
        worker->failures++;
    worker_next(worker);
}

static void on_worker_timer(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, timer);
    for (int i = 0; i < 100; i++) {
        const struct token *token = view_get(worker->view, 0);
        worker->hits += token && token->value.len > 0;
    }
    view_wait(worker->view, 0, &worker->waiter);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    timer_init(&worker->timer, on_worker_timer);
    worker_next(worker);
    loop_run(worker->loop);
    return NULL;
}

static void test_threads(void **state)
{
    struct bench *bench = *state;
    static struct worker workers[THREADS];
    struct err err;
    workers_done = 0;
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.waiter.on_token = on_worker_token, .loop = loop_new(&err)};
        workers[i].view = view_new(workers[i].loop, bench->keeper);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
    for (unsigned n = 0; __atomic_load_n(&workers_done, __ATOMIC_ACQUIRE) < THREADS;) {
        loop_turn(bench->control, 1);
        char value[16];
        snprintf(value, sizeof value, "token-%u", n);
        if (fakes[0].done && ++n % 5 == 0)
            fake_fail(0, FAILURE_LOCAL, "now and then", 0);
        else if (fakes[0].done)
            fake_succeed(0, value, 20);
    }
    for (size_t i = 0; i < THREADS; i++)
        loop_stop(workers[i].loop);
    unsigned tokens = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].tokens + workers[i].failures, ROUNDS);
        tokens += workers[i].tokens;
        timer_stop(workers[i].loop, &workers[i].timer);
        view_free(workers[i].view);
        loop_free(workers[i].loop);
    }
    assert_true(tokens > 0);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(test_a_hit_costs_nothing),
        WITH_BENCH(test_the_counters_do_count),
        WITH_BENCH(test_use_is_told_once_per_token),
        WITH_BENCH(test_many_waiters_ask_once),
        WITH_BENCH(test_hold_off_is_answered_here),
        WITH_BENCH(test_cancel_from_a_callback),
        WITH_BENCH(test_wait_again_from_a_callback),
        WITH_BENCH(test_wait_with_a_token_there),
        WITH_BENCH(test_expired_while_the_keeper_sleeps),
        WITH_BENCH(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
