// SPDX-License-Identifier: MIT
// See loop.h. Invariants: heap[i]->heap_place == i + 1; heap_ms <= due_ms for every timer in it; a
// watch that is stopped within a turn is struck out of the events of that turn that are left.
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

// What a turn touches is touched again at its end, when libmicrohttpd runs: it should still be in
// the processor's second cache by then.
#define EVENTS_PER_TURN 32
#define TASK_ROUNDS_MAX 8

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    int epoll_fd;
    uint64_t now_us, now_ms;
    struct epoll_event events[EVENTS_PER_TURN];
    int event_at, event_count; // of the turn that runs
    struct timer **heap;
    size_t heap_len, heap_cap;
    struct list tasks;
    struct watch inbox_watch;
    pthread_mutex_t inbox_lock;
    struct post *inbox_first, **inbox_last; // under inbox_lock
    atomic_bool stop;
};

uint64_t clock_boottime_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t clock_realtime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t clock_realtime_s(void)
{
    return (int64_t)time(NULL);
}

static void loop_read_clock(struct loop *loop)
{
    loop->now_us = clock_boottime_us();
    loop->now_ms = loop->now_us / 1000;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

// -- posts -------------------------------------------------------------------------------------

static void loop_run_posts(struct loop *loop)
{
    pthread_mutex_lock(&loop->inbox_lock);
    struct post *post = loop->inbox_first;
    loop->inbox_first = NULL;
    loop->inbox_last = &loop->inbox_first;
    pthread_mutex_unlock(&loop->inbox_lock);
    while (post) {
        struct post *next = post->next;
        post->fn(post->arg);
        mem_free(post);
        post = next;
    }
}

static void on_inbox(struct watch *watch, unsigned ready)
{
    (void)ready;
    uint64_t count;
    // The value does not matter and a spurious wake-up is harmless.
    if (read(watch->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    loop_run_posts(CONTAINER_OF(watch, struct loop, inbox_watch));
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct post *post = mem_alloc(sizeof *post);
    *post = (struct post){.fn = fn, .arg = arg};
    pthread_mutex_lock(&loop->inbox_lock);
    bool was_empty = !loop->inbox_first;
    *loop->inbox_last = post;
    loop->inbox_last = &post->next;
    pthread_mutex_unlock(&loop->inbox_lock);
    uint64_t one = 1;
    // An eventfd write fails only when the counter is full, and then the loop is awake anyway.
    if (was_empty && write(loop->inbox_watch.fd, &one, sizeof one) < 0)
        return;
}

static void do_stop(void *arg)
{
    struct loop *loop = arg;
    atomic_store(&loop->stop, true);
}

void loop_stop(struct loop *loop)
{
    loop_post(loop, do_stop, loop);
}

// -- life --------------------------------------------------------------------------------------

struct loop *loop_new(struct err *err)
{
    struct loop *loop = mem_alloc(sizeof *loop);
    list_init(&loop->tasks);
    loop->inbox_last = &loop->inbox_first;
    pthread_mutex_init(&loop->inbox_lock, NULL);
    loop_read_clock(loop);
    loop->inbox_watch.on_ready = on_inbox;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int inbox_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->epoll_fd < 0 || inbox_fd < 0) {
        err_errno(err, "cannot create an event loop");
        goto fail;
    }
    if (!watch_start(loop, &loop->inbox_watch, inbox_fd, LOOP_READ, err))
        goto fail;
    return loop;
fail:
    loop->inbox_watch.fd = inbox_fd;
    loop_free(loop);
    return NULL;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->inbox_first) // what was posted may post again; no other thread is left to
        loop_run_posts(loop);
    if (loop->inbox_watch.fd >= 0)
        close(loop->inbox_watch.fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    pthread_mutex_destroy(&loop->inbox_lock);
    mem_free(loop->heap);
    mem_free(loop);
}

// -- watches -----------------------------------------------------------------------------------

static uint32_t epoll_bits(unsigned events)
{
    return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
           (events & LOOP_HANGUP ? EPOLLRDHUP : 0u) | (events & LOOP_EDGE ? EPOLLET : 0u);
}

bool watch_start(struct loop *loop, struct watch *watch, int fd, unsigned events, struct err *err)
{
    struct epoll_event event = {.events = epoll_bits(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_errno(err, "cannot watch descriptor %d", fd);
    watch->fd = fd;
    watch->events = events;
    return true;
}

void watch_change(struct loop *loop, struct watch *watch, unsigned events)
{
    if (watch->events == events)
        return;
    if (!events) {
        // Not left in with an empty mask: epoll would go on telling of errors, again and again.
        watch_stop(loop, watch);
        return;
    }
    int op = watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    struct epoll_event event = {.events = epoll_bits(events), .data.ptr = watch};
    epoll_ctl(loop->epoll_fd, op, watch->fd, &event);
    watch->events = events;
}

void watch_stop(struct loop *loop, struct watch *watch)
{
    if (!watch->events)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->events = 0;
    for (int i = loop->event_at; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

static void loop_call_watches(struct loop *loop)
{
    while (loop->event_at < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_at++];
        struct watch *watch = event->data.ptr;
        if (!watch)
            continue;
        uint32_t bits = event->events;
        unsigned ready = (bits & (EPOLLIN | EPOLLPRI) ? LOOP_READ : 0u) |
                         (bits & EPOLLOUT ? LOOP_WRITE : 0u) |
                         (bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0u);
        ready &= watch->events | LOOP_HANGUP; // it may have been changed in this turn
        if (ready)
            watch->on_ready(watch, ready);
    }
}

// -- timers ------------------------------------------------------------------------------------

static void heap_set(struct loop *loop, size_t at, struct timer *timer)
{
    loop->heap[at] = timer;
    timer->heap_place = at + 1;
}

static void heap_sift_up(struct loop *loop, size_t at)
{
    struct timer *timer = loop->heap[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (loop->heap[parent]->heap_ms <= timer->heap_ms)
            break;
        heap_set(loop, at, loop->heap[parent]);
        at = parent;
    }
    heap_set(loop, at, timer);
}

static void heap_sift_down(struct loop *loop, size_t at)
{
    struct timer *timer = loop->heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= loop->heap_len)
            break;
        if (child + 1 < loop->heap_len &&
            loop->heap[child + 1]->heap_ms < loop->heap[child]->heap_ms)
            child++;
        if (timer->heap_ms <= loop->heap[child]->heap_ms)
            break;
        heap_set(loop, at, loop->heap[child]);
        at = child;
    }
    heap_set(loop, at, timer);
}

static void heap_remove(struct loop *loop, struct timer *timer)
{
    size_t at = timer->heap_place - 1;
    timer->heap_place = 0;
    struct timer *last = loop->heap[--loop->heap_len];
    if (last == timer)
        return;
    heap_set(loop, at, last);
    heap_sift_up(loop, at);
    heap_sift_down(loop, last->heap_place - 1);
}

static void heap_insert(struct loop *loop, struct timer *timer)
{
    if (loop->heap_len == loop->heap_cap) {
        loop->heap_cap = loop->heap_cap ? loop->heap_cap * 2 : 64;
        // NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what it holds
        loop->heap = mem_realloc(loop->heap, loop->heap_cap * sizeof *loop->heap);
    }
    timer->heap_ms = timer->due_ms;
    heap_set(loop, loop->heap_len++, timer);
    heap_sift_up(loop, loop->heap_len - 1);
}

void timer_init(struct timer *timer, void (*on_due)(struct timer *))
{
    *timer = (struct timer){.on_due = on_due, .due_ms = TIMER_NEVER};
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
    uint64_t due =
        delay_ms > TIMER_NEVER - 1 - loop->now_ms ? TIMER_NEVER - 1 : loop->now_ms + delay_ms;
    timer->due_ms = due;
    if (timer->heap_place && timer->heap_ms <= due)
        return; // comes up too early, and then moves itself
    if (timer->heap_place)
        heap_remove(loop, timer);
    heap_insert(loop, timer);
}

void timer_disarm(struct timer *timer)
{
    timer->due_ms = TIMER_NEVER;
}

void timer_stop(struct loop *loop, struct timer *timer)
{
    timer->due_ms = TIMER_NEVER;
    if (timer->heap_place)
        heap_remove(loop, timer);
}

static void loop_call_timers(struct loop *loop)
{
    // At most as many as there are now: one that starts itself without delay takes its turn.
    for (size_t left = loop->heap_len; left && loop->heap_len; left--) {
        struct timer *timer = loop->heap[0];
        if (timer->heap_ms > loop->now_ms)
            break;
        heap_remove(loop, timer);
        if (timer->due_ms == TIMER_NEVER)
            continue;
        if (timer->due_ms > loop->now_ms) {
            heap_insert(loop, timer);
            continue;
        }
        timer->due_ms = TIMER_NEVER;
        timer->on_due(timer);
    }
}

// -- tasks -------------------------------------------------------------------------------------

void task_init(struct task *task, void (*run)(struct task *))
{
    *task = (struct task){.run = run};
}

void loop_defer(struct loop *loop, struct task *task)
{
    if (!list_is_linked(&task->link))
        list_append(&loop->tasks, &task->link);
}

void task_cancel(struct task *task)
{
    list_remove(&task->link);
}

static void loop_call_tasks(struct loop *loop)
{
    for (int round = 0; round < TASK_ROUNDS_MAX && !list_is_empty(&loop->tasks); round++) {
        struct list batch;
        list_move_all(&loop->tasks, &batch);
        struct list *link;
        while ((link = list_take_first(&batch))) {
            struct task *task = CONTAINER_OF(link, struct task, link);
            task->run(task);
        }
    }
}

// -- turns -------------------------------------------------------------------------------------

static int loop_wait_ms(const struct loop *loop, uint64_t max_wait_ms)
{
    if (!list_is_empty(&loop->tasks))
        return 0;
    uint64_t wait = max_wait_ms;
    if (loop->heap_len) {
        uint64_t now = clock_boottime_us() / 1000;
        uint64_t due = loop->heap[0]->heap_ms;
        uint64_t until = due > now ? due - now : 0;
        wait = until < wait ? until : wait;
    }
    return (int)wait;
}

void loop_turn(struct loop *loop, uint64_t max_wait_ms)
{
    int wait = loop_wait_ms(loop, max_wait_ms);
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, wait);
    loop->event_at = 0;
    loop->event_count = count > 0 ? count : 0;
    loop_read_clock(loop);
    loop_call_watches(loop);
    loop_call_timers(loop);
    loop_call_tasks(loop);
}

void loop_run(struct loop *loop)
{
    // The wait is capped: epoll_wait does not count time spent suspended, the timers do.
    while (!atomic_load_explicit(&loop->stop, memory_order_relaxed))
        loop_turn(loop, 1000);
}
