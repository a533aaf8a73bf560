// SPDX-License-Identifier: MIT
// See store.h. Owns the store's thread and everything that crosses between it and the keeper's;
// what is done there is store_worker.c's. It refuses to know what a backend is like and how entries
// are sealed.
//
// Messages to the thread are handled in the order they were posted. An acquire's memory goes when
// the last message about it has come back, which `expected` counts. Invariant: done is called at
// most once, on the keeper's loop, and not after store_cancel() or store_close().
#include "token/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "token/store_worker.h"

// What the thread may take for its first word beyond two tries of the backend.
#define GRACE_MS           250
#define TIMEOUT_DEFAULT_MS 2000

struct store {
    struct loop *loop; // the keeper's
    struct list acquires;
    unsigned refs;        // keeper's thread: the owner's and one for each acquire
    uint64_t patience_ms; // for the thread's first word
    struct store_counts counts;
    // the thread's
    pthread_t thread;
    struct loop *own_loop;
    struct store_backend *backend;
    struct store_keys *keys;
    struct store_worker *worker;
};

struct acquire {
    struct store *store;
    struct list link; // while done has not been called
    store_done_fn *done;
    void *arg;
    struct timer timer; // the end of patience
    uint64_t started_ms;
    unsigned expected; // messages that will come back
    bool is_kept;      // cancelled, but the lease is for the one who fetches
    struct store_look look;
};

struct news { // from the thread
    struct acquire *acquire;
    enum store_word word;
    struct store_record record;
};

struct order { // to the thread: put, release
    struct store *store;
    char place[STORE_KEY_LEN + 1];
    struct store_record record;
};

static uint64_t now_ms(void)
{
    return clock_boottime_us() / 1000;
}

// -- what both ends share ----------------------------------------------------------------------

static void store_unref(struct store *store)
{
    if (--store->refs == 0)
        mem_free(store);
}

// From now on, not from the beginning of the turn: the first one of a keeper may be long.
static void patience_start(struct acquire *acquire, uint64_t wait_ms)
{
    struct loop *loop = acquire->store->loop;
    timer_start(loop, &acquire->timer, now_ms() - loop_now_ms(loop) + wait_ms);
}

// -- on the keeper's loop ----------------------------------------------------------------------

static void acquire_unref(struct acquire *acquire)
{
    struct store *store = acquire->store;
    if (--acquire->expected > 0)
        return;
    mem_free(acquire);
    store_unref(store);
}

// From here on nobody waits for it.
static void acquire_leave(struct acquire *acquire)
{
    timer_stop(acquire->store->loop, &acquire->timer);
    list_remove(&acquire->link);
}

static void acquire_answer(struct acquire *acquire, enum store_answer answer,
                           const struct store_record *record)
{
    acquire_leave(acquire);
    acquire->done(acquire->arg, answer, record);
}

static void on_news(void *arg)
{
    struct news *news = arg;
    struct acquire *acquire = news->acquire;
    bool is_awaited = list_is_linked(&acquire->link);
    if (news->word == STORE_WORD_WAITING) {
        uint64_t waited_ms = now_ms() - acquire->started_ms, wait_ms = acquire->look.wish.wait_ms;
        if (is_awaited)
            patience_start(acquire, (waited_ms < wait_ms ? wait_ms - waited_ms : 0) + GRACE_MS);
    } else {
        bool is_token = news->word == STORE_WORD_TOKEN;
        if (is_awaited)
            acquire_answer(acquire, is_token ? STORE_TOKEN : STORE_FETCH,
                           is_token ? &news->record : NULL);
        acquire_unref(acquire);
    }
    store_record_fini(&news->record);
    mem_free(news);
}

static void on_cancelled(void *arg)
{
    acquire_unref(arg);
}

// -- on the store's thread ---------------------------------------------------------------------

static void tell(struct store_look *look, enum store_word word, const struct store_record *record)
{
    struct news *news = mem_alloc(sizeof *news);
    news->acquire = CONTAINER_OF(look, struct acquire, look);
    news->word = word;
    if (record)
        store_record_copy(&news->record, record);
    else
        store_record_init(&news->record);
    loop_post(news->acquire->store->loop, on_news, news);
}

static void do_acquire(void *arg)
{
    struct acquire *acquire = arg;
    store_worker_acquire(acquire->store->worker, &acquire->look);
}

static void do_cancel(void *arg)
{
    struct acquire *acquire = arg;
    bool is_final_due =
        store_worker_cancel(acquire->store->worker, &acquire->look, acquire->is_kept);
    if (is_final_due)
        tell(&acquire->look, STORE_WORD_FETCH, NULL); // nobody hears it; it is counted
    loop_post(acquire->store->loop, on_cancelled, acquire);
}

static void order_free(struct order *order)
{
    store_record_fini(&order->record);
    mem_free(order);
}

static void do_put(void *arg)
{
    struct order *order = arg;
    store_worker_put(order->store->worker, order->place, &order->record);
    order_free(order);
}

static void do_release(void *arg)
{
    struct order *order = arg;
    store_worker_release(order->store->worker, order->place);
    order_free(order);
}

static void do_close(void *arg)
{
    struct store *store = arg;
    store_worker_free(store->worker);
    loop_stop(store->own_loop);
}

static void *thread_main(void *arg)
{
    struct store *store = arg;
    store_worker_probe(store->worker);
    loop_run(store->own_loop);
    return NULL;
}

// -- what the keeper asks ----------------------------------------------------------------------

// The lease is left to whoever fetches now, unless nobody does.
static void acquire_cancel(struct acquire *acquire, bool is_kept)
{
    acquire->is_kept = is_kept;
    acquire->expected++;
    loop_post(acquire->store->own_loop, do_cancel, acquire);
}

static void on_patience_over(struct timer *timer)
{
    struct acquire *acquire = CONTAINER_OF(timer, struct acquire, timer);
    acquire_cancel(acquire, true);
    acquire_answer(acquire, STORE_FETCH, NULL);
}

// An HMAC fails for want of memory only. The name is then nobody's, and so is what is kept there.
static void place_of(const struct store *store, const char *key, char out[STORE_KEY_LEN + 1])
{
    if (!store_place(store->keys, false, key, out))
        snprintf(out, STORE_KEY_LEN + 1, "%s", "none");
}

void store_acquire(struct store *store, const char *key, const struct store_wish *wish,
                   store_done_fn *done, void *arg)
{
    struct acquire *acquire = mem_alloc(sizeof *acquire);
    acquire->store = store;
    acquire->done = done;
    acquire->arg = arg;
    acquire->started_ms = now_ms();
    acquire->expected = 1;
    acquire->look.wish = *wish;
    place_of(store, key, acquire->look.place);
    if (!store_place(store->keys, true, key, acquire->look.old_place))
        acquire->look.old_place[0] = '\0';
    timer_init(&acquire->timer, on_patience_over);
    list_append(&store->acquires, &acquire->link);
    store->refs++;
    if (atomic_load(&store->counts.is_away)) {
        // The thread may be busy finding out whether that is still so.
        tell(&acquire->look, STORE_WORD_FETCH, NULL);
        return;
    }
    patience_start(acquire,
                   wish->wait_ms < store->patience_ms ? wish->wait_ms : store->patience_ms);
    loop_post(store->own_loop, do_acquire, acquire);
}

void store_cancel(struct store *store, void *arg)
{
    for (struct list *link = store->acquires.next; link != &store->acquires; link = link->next) {
        struct acquire *acquire = CONTAINER_OF(link, struct acquire, link);
        if (acquire->arg != arg)
            continue;
        acquire_leave(acquire);
        acquire_cancel(acquire, false);
        return;
    }
}

static struct order *order_new(struct store *store, const char *key)
{
    struct order *order = mem_alloc(sizeof *order);
    order->store = store;
    place_of(store, key, order->place);
    store_record_init(&order->record);
    return order;
}

void store_put(struct store *store, const char *key, const struct store_record *record)
{
    struct order *order = order_new(store, key);
    store_record_copy(&order->record, record);
    loop_post(store->own_loop, do_put, order);
}

void store_release(struct store *store, const char *key)
{
    loop_post(store->own_loop, do_release, order_new(store, key));
}

struct store_stats store_stats(const struct store *store)
{
    return (struct store_stats){
        .loads = atomic_load(&store->counts.loads),
        .puts = atomic_load(&store->counts.puts),
        .errors = atomic_load(&store->counts.errors),
        .unreadable = atomic_load(&store->counts.unreadable),
        .is_away = atomic_load(&store->counts.is_away),
    };
}

// -- life --------------------------------------------------------------------------------------

static struct store_keys *keys_read(const struct config_store *config, struct err *err)
{
    struct store_keys *keys = NULL;
    struct buf key, previous;
    buf_init(&key, SECRET_MAX);
    buf_init(&previous, SECRET_MAX);
    if (!config->key)
        err_set(err, "[store] needs a key, which tokens are sealed with: openssl rand -hex 32");
    else if (secret_read(config->key, &key, err) &&
             (!config->key_previous || secret_read(config->key_previous, &previous, err)))
        keys = store_keys_new(buf_str(&key), config->key_previous ? buf_str(&previous) : STR_NONE,
                              err);
    buf_fini(&key);
    buf_fini(&previous);
    return keys;
}

static struct store_backend *backend_new(const struct config_store *config, uint64_t timeout_ms,
                                         struct err *err)
{
    struct str url = str_of(config->url);
    if (str_starts(url, STR("sqlite:")))
        return store_sqlite_new(config->url + STR("sqlite:").len, timeout_ms, err);
    return store_redis_new(config, timeout_ms, err);
}

// The thread takes no signals: they are the main thread's.
static bool thread_start(struct store *store, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&store->thread, NULL, thread_main, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 || err_set(err, "cannot start the store's thread: %s", strerror(code));
}

static void store_free_parts(struct store *store)
{
    if (store->backend)
        store->backend->ops->free(store->backend);
    store_keys_free(store->keys);
    loop_free(store->own_loop);
}

struct store *store_open(struct loop *loop, const struct config *config, struct err *err)
{
    *err = (struct err){0};
    if (!config->store.url)
        return NULL;
    struct store *store = mem_alloc(sizeof *store);
    uint64_t timeout_ms = config->store.timeout_ms ? config->store.timeout_ms : TIMEOUT_DEFAULT_MS;
    store->loop = loop;
    store->refs = 1;
    store->patience_ms = 2 * timeout_ms + GRACE_MS;
    list_init(&store->acquires);
    store->keys = keys_read(&config->store, err);
    if (store->keys)
        store->backend = backend_new(&config->store, timeout_ms, err);
    if (store->backend)
        store->own_loop = loop_new(err);
    if (!store->own_loop)
        goto fail;
    store->worker = store_worker_new(&(struct store_worker_parts){
        store->own_loop, store->backend, store->keys, &store->counts, tell});
    if (thread_start(store, err))
        return store;
    store_worker_free(store->worker);
fail:
    store_free_parts(store);
    mem_free(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    while (!list_is_empty(&store->acquires))
        acquire_leave(CONTAINER_OF(store->acquires.next, struct acquire, link));
    loop_post(store->own_loop, do_close, store); // behind all that was asked before
    pthread_join(store->thread, NULL);
    store_free_parts(store);
    store_unref(store); // the last news, still on its way, frees it
}
