// SPDX-License-Identifier: MIT
// The event loop: watches that stop one another, timers against a plain model, tasks, posts from
// threads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

static void sleep_ms(unsigned ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
}

// -- watches -----------------------------------------------------------------------------------

// One end of a socket pair that counts its calls; `other` is where the test writes.
struct end {
    struct watch watch;
    int fd, other;
    unsigned calls, ready;
    struct end *stops;   // this one, when called
    struct end *deafens; // takes LOOP_READ from this one, when called
};

static void on_end(struct watch *watch, unsigned ready)
{
    struct end *end = CONTAINER_OF(watch, struct end, watch);
    end->calls++;
    end->ready = ready;
    if (end->stops) {
        watch_stop(loop, &end->stops->watch);
        end->stops->watch.events = LOOP_READ; // its memory serves for another watch now
    }
    if (end->deafens)
        watch_change(loop, &end->deafens->watch, LOOP_HANGUP);
}

static void end_open(struct end *end, unsigned events)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *end = (struct end){.watch.on_ready = on_end, .fd = fds[0], .other = fds[1]};
    assert_true(watch_start(loop, &end->watch, end->fd, events, NULL));
}

static void end_close(struct end *end)
{
    watch_stop(loop, &end->watch);
    close(end->fd);
    if (end->other >= 0)
        close(end->other);
}

static void poke(const struct end *end)
{
    assert_int_equal(write(end->other, "x", 1), 1);
}

static void test_watch_levels(void **state)
{
    (void)state;
    struct end end;
    end_open(&end, LOOP_READ);
    loop_turn(loop, 0);
    assert_int_equal(end.calls, 0);
    poke(&end);
    loop_turn(loop, 100);
    loop_turn(loop, 100);
    assert_int_equal(end.calls, 2); // still unread, so told again
    assert_int_equal(end.ready, LOOP_READ);
    watch_change(loop, &end.watch, LOOP_WRITE);
    loop_turn(loop, 100);
    assert_int_equal(end.ready, LOOP_WRITE);
    end_close(&end);
}

static void test_watch_edges(void **state)
{
    (void)state;
    struct end end;
    end_open(&end, LOOP_READ | LOOP_EDGE);
    poke(&end);
    loop_turn(loop, 100);
    loop_turn(loop, 0);
    assert_int_equal(end.calls, 1);
    poke(&end);
    loop_turn(loop, 100);
    assert_int_equal(end.calls, 2);
    end_close(&end);
}

static void test_watch_hangup(void **state)
{
    (void)state;
    struct end end;
    end_open(&end, LOOP_HANGUP);
    poke(&end);
    loop_turn(loop, 0);
    assert_int_equal(end.calls, 0);
    shutdown(end.other, SHUT_WR);
    loop_turn(loop, 100);
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.ready, LOOP_HANGUP);
    end_close(&end);
}

static void test_watch_start_fails(void **state)
{
    (void)state;
    struct err err = {""};
    struct watch watch = {.on_ready = on_end};
    assert_false(watch_start(loop, &watch, -1, LOOP_READ, &err));
    assert_non_null(strstr(err.text, "descriptor"));
    watch_stop(loop, &watch); // not started: nothing happens
}

// Two are ready in one turn; the first one's call ends the other, whose memory may be gone by then.
static void test_watch_stopped_within_the_turn(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, LOOP_READ);
    end_open(&b, LOOP_READ);
    a.stops = &b;
    b.stops = &a;
    poke(&a);
    poke(&b);
    loop_turn(loop, 100);
    loop_turn(loop, 0);
    assert_int_equal((a.calls > 0) + (b.calls > 0), 1);
    end_close(&a);
    end_close(&b);
}

// The same, but the other is only told to look elsewhere: what it no longer asks for, it is not
// told.
static void test_watch_changed_within_the_turn(void **state)
{
    (void)state;
    struct end a, b;
    end_open(&a, LOOP_READ);
    end_open(&b, LOOP_READ);
    a.deafens = &b;
    b.deafens = &a;
    poke(&a);
    poke(&b);
    loop_turn(loop, 100);
    assert_int_equal(a.calls + b.calls, 1);
    end_close(&a);
    end_close(&b);
}

// Holding a watch (no events wanted) and stopping it then must take it out, or the loop would call
// freed memory when the peer goes away.
static void test_watch_held_and_stopped(void **state)
{
    (void)state;
    struct end end;
    end_open(&end, LOOP_READ);
    watch_change(loop, &end.watch, 0);
    poke(&end);
    loop_turn(loop, 0);
    assert_int_equal(end.calls, 0);
    watch_change(loop, &end.watch, LOOP_READ);
    loop_turn(loop, 100);
    assert_int_equal(end.calls, 1);
    watch_change(loop, &end.watch, 0);
    watch_stop(loop, &end.watch);
    close(end.other);
    end.other = -1;
    loop_turn(loop, 10);
    assert_int_equal(end.calls, 1);
    end_close(&end);
}

// -- tasks -------------------------------------------------------------------------------------

struct job {
    struct task task;
    unsigned calls;
    struct job *defers, *cancels;
};

static void on_job(struct task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);
    job->calls++;
    if (job->defers)
        loop_defer(loop, &job->defers->task);
    if (job->cancels)
        task_cancel(&job->cancels->task);
}

static void job_init(struct job *job)
{
    *job = (struct job){.calls = 0};
    task_init(&job->task, on_job);
}

static void test_tasks(void **state)
{
    (void)state;
    struct job a, b, c, d;
    job_init(&a);
    job_init(&b);
    job_init(&c);
    job_init(&d);
    a.defers = &b;  // runs in the same turn
    a.cancels = &c; // waits in the same batch
    loop_defer(loop, &a.task);
    loop_defer(loop, &a.task); // once
    loop_defer(loop, &c.task);
    loop_defer(loop, &d.task);
    task_cancel(&d.task);
    task_cancel(&d.task);
    loop_turn(loop, 0);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 1);
    assert_int_equal(c.calls + d.calls, 0);
    loop_turn(loop, 0);
    assert_int_equal(a.calls + b.calls, 2);
}

static void test_task_that_defers_itself(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    job.defers = &job;
    loop_defer(loop, &job.task);
    loop_turn(loop, 0);
    unsigned first = job.calls;
    assert_in_range(first, 1, 100); // a bounded number of rounds
    uint64_t before = clock_boottime_us();
    loop_turn(loop, 1000);
    assert_true(clock_boottime_us() - before < 500000); // and no waiting while it is there
    assert_true(job.calls > first);
    task_cancel(&job.task);
}

// -- posts -------------------------------------------------------------------------------------

#define POSTERS 4
#define POSTS   5000

struct parcel {
    unsigned poster, number;
};

static struct parcel parcels[POSTERS][POSTS];
static unsigned next_number[POSTERS], delivered;
static pthread_t loop_thread;

static void on_parcel(void *arg)
{
    const struct parcel *parcel = arg;
    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_int_equal(parcel->number, next_number[parcel->poster]++);
    if (++delivered == POSTERS * POSTS)
        loop_stop(loop);
}

static void *run_poster(void *arg)
{
    unsigned poster = *(const unsigned *)arg;
    for (unsigned i = 0; i < POSTS; i++) {
        parcels[poster][i] = (struct parcel){poster, i};
        loop_post(loop, on_parcel, &parcels[poster][i]);
        if (i % 1000 == 0)
            sleep_ms(1); // let the loop fall asleep now and then
    }
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    (void)state;
    pthread_t threads[POSTERS];
    unsigned numbers[POSTERS];
    loop_thread = pthread_self();
    for (unsigned i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_poster, &numbers[i]), 0);
    }
    loop_run(loop);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(delivered, POSTERS * POSTS);
}

static void *run_stopper(void *arg)
{
    (void)arg;
    sleep_ms(50);
    loop_stop(loop);
    return NULL;
}

static void test_stop_wakes_the_loop(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t before = clock_boottime_us();
    assert_int_equal(pthread_create(&thread, NULL, run_stopper, NULL), 0);
    loop_run(loop);
    pthread_join(thread, NULL);
    assert_in_range(clock_boottime_us() - before, 40000, 700000); // not at the next regular wake-up
}

static unsigned counted;

static void count(void *arg)
{
    counted++;
    if (arg)
        loop_post(loop, count, NULL);
}

static void test_free_runs_what_was_posted(void **state)
{
    (void)state;
    struct loop *mine = loop_new(NULL);
    struct loop *kept = loop;
    assert_non_null(mine);
    loop = mine;
    counted = 0;
    loop_post(mine, count, mine); // posts another one, which must not be lost either
    loop_free(mine);
    loop = kept;
    assert_int_equal(counted, 2);
    loop_free(NULL);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_watch_levels),
        LOOP_TEST(test_watch_edges),
        LOOP_TEST(test_watch_hangup),
        LOOP_TEST(test_watch_start_fails),
        LOOP_TEST(test_watch_stopped_within_the_turn),
        LOOP_TEST(test_watch_changed_within_the_turn),
        LOOP_TEST(test_watch_held_and_stopped),
        LOOP_TEST(test_tasks),
        LOOP_TEST(test_task_that_defers_itself),
        LOOP_TEST(test_posts_from_threads),
        LOOP_TEST(test_stop_wakes_the_loop),
        LOOP_TEST(test_free_runs_what_was_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
