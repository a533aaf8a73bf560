// SPDX-License-Identifier: MIT
// One thread's event loop: descriptors (epoll), timers, end-of-turn tasks, and the only way across
// threads in the program, loop_post().
//
// A turn: wait; call the watches that are ready; call the timers that are due; call the deferred
// tasks until none is left (those a task defers run in the same turn, a bounded number of rounds).
// Everything but loop_post() and loop_stop() belongs to the loop's own thread.
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

struct loop;

enum { // bits of a watch, independent of <sys/epoll.h>
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_HANGUP = 4, // peer closed its sending side, or error; errors are reported in any case
    LOOP_EDGE = 8,   // report changes only: the watcher must read or write until EAGAIN
};

// A watched descriptor. The memory is the caller's and must stay until watch_stop(); the descriptor
// must be stopped before it is closed, since its number may be reused at once.
struct watch {
    void (*on_ready)(struct watch *watch, unsigned ready); // LOOP_READ | LOOP_WRITE | LOOP_HANGUP
    int fd;
    unsigned events; // 0 while not started
};

// A timer. Moving the deadline later costs a store; it moves in the heap only when it comes due.
struct timer {
    void (*on_due)(struct timer *timer);
    uint64_t due_ms;   // when it shall fire; TIMER_NEVER while stopped
    uint64_t heap_ms;  // where it lies in the heap, at most due_ms
    size_t heap_place; // 1-based; 0 while not in the heap
};
#define TIMER_NEVER UINT64_MAX

// Work for the end of this turn. Deferring a task that already waits is a no-op.
struct task {
    struct list link;
    void (*run)(struct task *task);
};

struct loop *loop_new(struct err *err) WARN_UNUSED;
void loop_free(struct loop *loop); // runs what was posted and not yet run

// Runs until loop_stop(). The thread that calls it is the loop's thread.
void loop_run(struct loop *loop);
// One turn that waits at most max_wait_ms: for tests, and for running dry after loop_stop().
void loop_turn(struct loop *loop, uint64_t max_wait_ms);
void loop_stop(struct loop *loop); // any thread

// Milliseconds of CLOCK_BOOTTIME (which counts while the machine is suspended), read once a turn.
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_us(const struct loop *loop); // the same moment, microseconds
// The clock itself, microseconds; no loop needed.
uint64_t clock_boottime_us(void);
int64_t clock_realtime_s(void);
int64_t clock_realtime_ms(void);
uint64_t
clock_monotonic_us(void); // which stands still while the machine sleeps; for other programs

bool watch_start(struct loop *loop, struct watch *watch, int fd, unsigned events,
                 struct err *err) WARN_UNUSED;
// Of a watch that was started once; 0 holds it until the next change (or stops it: it is the same).
void watch_change(struct loop *loop, struct watch *watch, unsigned events);
void watch_stop(struct loop *loop, struct watch *watch); // no-op while not started

void timer_init(struct timer *timer, void (*on_due)(struct timer *));
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms); // or moves it
// Cheap stop: it stays in the heap and is dropped when it comes up. For timers that are used again.
void timer_disarm(struct timer *timer);
void timer_stop(struct loop *loop, struct timer *timer); // out of the heap: before its memory goes

void task_init(struct task *task, void (*run)(struct task *));
void loop_defer(struct loop *loop, struct task *task);
void task_cancel(struct task *task);

// Any thread: fn(arg) will be called once on the loop's thread, in the order of posting.
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

#endif
