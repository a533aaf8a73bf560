// SPDX-License-Identifier: MIT
// See store_worker.h. Owns the looks under way, the leases held, and what could not be written yet.
// It refuses to know which backend it drives. Invariants: a look ends with exactly one final word,
// unless cancelled; a lease is either in `held` or not ours; while away the backend is asked by the
// probe alone.
#include "token/store_worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

#define LOOK_MIN_MS    40
#define LOOK_MAX_MS    400
#define PROBE_MIN_MS   500
#define PROBE_MAX_MS   30000
#define PUTS_MAX       256 // tokens kept while away; the oldest goes first
#define HELD_LISTS     256 // a power of 16
#define OWNER_LEN      56
#define PROBE_LEASE_MS 1000

struct lease {
    struct list link;
    char place[STORE_KEY_LEN + 1];
    char owner[OWNER_LEN];
    const struct store_look *look; // that it was given to; compared only, it may be gone
    uint64_t taken_ms;
};

struct late_put {
    struct list link;
    char place[STORE_KEY_LEN + 1];
    struct buf blob;
    int64_t expires_s;
};

struct store_worker {
    struct store_worker_parts parts;
    struct list looks;            // that wait
    struct list held[HELD_LISTS]; // by the first digits of their places
    size_t held_count;
    struct list puts; // oldest first
    size_t put_count;
    struct timer renew_timer, probe_timer;
    uint64_t probe_ms; // back-off
    uint64_t back_ms;  // when it came back last
    uint64_t owner_seed[2], owner_count;
};

// 0 to range - 1. Without entropy there is no spreading, and no harm.
static uint64_t random_below(uint64_t range)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = 0;
    return bits % range;
}

static uint64_t now_ms(void)
{
    return clock_boottime_us() / 1000;
}

static void owner_make(struct store_worker *worker, char out[OWNER_LEN])
{
    snprintf(out, OWNER_LEN, "%016" PRIx64 "%" PRIx64 "-%" PRIx64, worker->owner_seed[0],
             worker->owner_seed[1], ++worker->owner_count);
}

// Counted from now: a turn in which many were asked for may last long.
static void worker_start(struct store_worker *worker, struct timer *timer, uint64_t delay_ms)
{
    uint64_t late_ms = now_ms() - loop_now_ms(worker->parts.loop);
    timer_start(worker->parts.loop, timer, late_ms + delay_ms);
}

// -- away and back -----------------------------------------------------------------------------

static bool is_away(const struct store_worker *worker)
{
    return atomic_load(&worker->parts.counts->is_away);
}

static void probe_later(struct store_worker *worker)
{
    worker_start(worker, &worker->probe_timer,
                 worker->probe_ms + random_below(worker->probe_ms / 4));
    worker->probe_ms *= 2;
    if (worker->probe_ms > PROBE_MAX_MS)
        worker->probe_ms = PROBE_MAX_MS;
}

static void worker_failed(struct store_worker *worker, const struct err *err)
{
    atomic_fetch_add(&worker->parts.counts->errors, 1);
    if (atomic_exchange(&worker->parts.counts->is_away, true))
        return;
    log_warn("store.away", F_TEXT("text", err->text), F_TEXT("effect", "tokens are fetched alone"));
    // One that comes and goes is asked less and less, and so the log says so less and less.
    if (now_ms() - worker->back_ms > 2 * (uint64_t)PROBE_MAX_MS)
        worker->probe_ms = PROBE_MIN_MS;
    probe_later(worker);
}

static bool worker_read(struct store_worker *worker, const char *place, struct buf *out)
{
    struct err err;
    buf_init(out, STORE_BLOB_MAX);
    if (worker->parts.backend->ops->read(worker->parts.backend, place, out, &err))
        return true;
    worker_failed(worker, &err);
    return false;
}

static bool worker_write(struct store_worker *worker, const char *place, struct str blob,
                         int64_t expires_s)
{
    struct err err;
    if (!worker->parts.backend->ops->write(worker->parts.backend, place, blob, expires_s, &err)) {
        worker_failed(worker, &err);
        return false;
    }
    atomic_fetch_add(&worker->parts.counts->puts, 1);
    return true;
}

// -- what is written later ---------------------------------------------------------------------

static void put_drop(struct store_worker *worker, struct late_put *put)
{
    list_remove(&put->link);
    worker->put_count--;
    buf_fini(&put->blob);
    mem_free(put);
}

// Takes the blob over. Of each place only the newest is kept.
static void put_keep(struct store_worker *worker, const char *place, struct buf *blob,
                     int64_t expires_s)
{
    for (struct list *link = worker->puts.next; link != &worker->puts; link = link->next) {
        struct late_put *old = CONTAINER_OF(link, struct late_put, link);
        if (strcmp(old->place, place) != 0)
            continue;
        put_drop(worker, old);
        break;
    }
    if (worker->put_count == PUTS_MAX)
        put_drop(worker, CONTAINER_OF(worker->puts.next, struct late_put, link));
    struct late_put *put = mem_alloc(sizeof *put);
    memcpy(put->place, place, sizeof put->place);
    put->blob = *blob;
    put->expires_s = expires_s;
    buf_init(blob, blob->max);
    list_append(&worker->puts, &put->link);
    worker->put_count++;
}

// Somebody else may have written meanwhile: what lives longer stays. False: away again.
static bool put_write(struct store_worker *worker, const struct late_put *put)
{
    struct buf there;
    struct store_record record;
    if (put->expires_s <= clock_realtime_s())
        return true;
    bool ok = worker_read(worker, put->place, &there);
    store_record_init(&record);
    if (ok && !(store_unseal(worker->parts.keys, put->place, buf_str(&there), &record) &&
                record.expires_s >= put->expires_s))
        ok = worker_write(worker, put->place, buf_str(&put->blob), put->expires_s);
    store_record_fini(&record);
    buf_fini(&there);
    return ok;
}

// A lease, since one that can be read only is of no use.
static bool probe(struct store_worker *worker, struct err *err)
{
    struct store_backend *backend = worker->parts.backend;
    bool is_taken;
    char owner[OWNER_LEN];
    owner_make(worker, owner);
    return backend->ops->lease(backend, "probe", owner, PROBE_LEASE_MS, &is_taken, err) &&
           backend->ops->release(backend, "probe", owner, err);
}

void store_worker_probe(struct store_worker *worker)
{
    struct err err;
    if (!probe(worker, &err))
        worker_failed(worker, &err);
}

static void on_probe_due(struct timer *timer)
{
    struct store_worker *worker = CONTAINER_OF(timer, struct store_worker, probe_timer);
    struct err err;
    if (!probe(worker, &err)) {
        atomic_fetch_add(&worker->parts.counts->errors, 1);
        probe_later(worker);
        return;
    }
    log_info("store.back", F_NUM("late_puts", worker->put_count));
    worker->back_ms = now_ms();
    atomic_store(&worker->parts.counts->is_away, false);
    while (!list_is_empty(&worker->puts)) {
        struct late_put *put = CONTAINER_OF(worker->puts.next, struct late_put, link);
        if (!put_write(worker, put))
            return;
        put_drop(worker, put);
    }
}

// -- leases ------------------------------------------------------------------------------------

static void lease_forget(struct store_worker *worker, struct lease *lease)
{
    list_remove(&lease->link);
    worker->held_count--;
    mem_free(lease);
}

static void lease_end(struct store_worker *worker, struct lease *lease)
{
    struct err err;
    const struct store_backend_ops *ops = worker->parts.backend->ops;
    // While away it ends by itself.
    if (!is_away(worker) && !ops->release(worker->parts.backend, lease->place, lease->owner, &err))
        worker_failed(worker, &err);
    lease_forget(worker, lease);
}

// Places are hexadecimal and as good as random.
static struct list *held_list(struct store_worker *worker, const char *place)
{
    size_t at = (size_t)str_hex_digit(place[0]) * 16 + (size_t)str_hex_digit(place[1]);
    return &worker->held[at % HELD_LISTS];
}

static struct lease *lease_find(struct store_worker *worker, const char *place)
{
    struct list *held = held_list(worker, place);
    for (struct list *link = held->next; link != held; link = link->next) {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);
        if (strcmp(lease->place, place) == 0)
            return lease;
    }
    return NULL;
}

static bool lease_ask(struct store_worker *worker, const struct lease *lease, bool *out_taken)
{
    struct err err;
    if (worker->parts.backend->ops->lease(worker->parts.backend, lease->place, lease->owner,
                                          STORE_LEASE_MS, out_taken, &err))
        return true;
    worker_failed(worker, &err);
    return false;
}

// An owner for each lease, not for each process: two slots of one process share like any two. False
// when away; *out NULL when somebody else holds it.
static bool lease_take(struct store_worker *worker, const struct store_look *look,
                       struct lease **out)
{
    struct lease *lease = mem_alloc(sizeof *lease);
    memcpy(lease->place, look->place, sizeof lease->place);
    owner_make(worker, lease->owner);
    lease->look = look;
    lease->taken_ms = now_ms();
    bool is_taken = false;
    bool ok = lease_ask(worker, lease, &is_taken);
    *out = ok && is_taken ? lease : NULL;
    if (*out) {
        list_append(held_list(worker, lease->place), &lease->link);
        worker->held_count++;
    } else {
        mem_free(lease);
    }
    return ok;
}

static void leases_renew(struct store_worker *worker, struct list *held)
{
    struct list *link = held->next;
    while (link != held) {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);
        link = link->next;
        bool is_taken = true;
        if (now_ms() - lease->taken_ms > STORE_LEASE_HELD_MS ||
            (!is_away(worker) && lease_ask(worker, lease, &is_taken) && !is_taken))
            lease_forget(worker, lease);
    }
}

static void on_renew_due(struct timer *timer)
{
    struct store_worker *worker = CONTAINER_OF(timer, struct store_worker, renew_timer);
    for (size_t i = 0; i < HELD_LISTS; i++)
        leases_renew(worker, &worker->held[i]);
    if (worker->held_count)
        worker_start(worker, &worker->renew_timer, STORE_LEASE_MS / 3);
}

// -- looks -------------------------------------------------------------------------------------

static void look_end(struct store_look *look, enum store_word word,
                     const struct store_record *record)
{
    struct store_worker *worker = look->worker;
    timer_stop(worker->parts.loop, &look->timer);
    list_remove(&look->link);
    if (word == STORE_WORD_TOKEN)
        atomic_fetch_add(&worker->parts.counts->loads, 1);
    worker->parts.tell(look, word, record); // the look may be gone now
}

static void look_note_unreadable(struct store_look *look)
{
    if (look->is_unreadable)
        return;
    look->is_unreadable = true;
    atomic_fetch_add(&look->worker->parts.counts->unreadable, 1);
    log_warn("store.unreadable", F_STR("place", ((struct str){look->place, 8})),
             F_TEXT("text", "the entry is damaged, foreign or sealed with another key"));
}

static bool look_read_at(struct store_look *look, const char *place, struct store_record *record,
                         bool *out_is_there, bool *out_found)
{
    struct buf blob;
    bool ok = worker_read(look->worker, place, &blob);
    *out_is_there = ok && blob.len;
    bool is_open =
        *out_is_there && store_unseal(look->worker->parts.keys, place, buf_str(&blob), record);
    if (*out_is_there && !is_open)
        look_note_unreadable(look);
    *out_found = is_open && store_wish_fits(&look->wish, record, clock_realtime_ms());
    buf_fini(&blob);
    return ok;
}

// False: away. *out_found: record is what is wanted. Until everything was put anew after a change
// of the store's key, what is not in its place may still be in the old one.
static bool look_read(struct store_look *look, struct store_record *record, bool *out_found)
{
    bool is_there;
    bool ok = look_read_at(look, look->place, record, &is_there, out_found);
    if (ok && !is_there && look->old_place[0])
        ok = look_read_at(look, look->old_place, record, &is_there, out_found);
    return ok;
}

static void look_wait(struct store_look *look)
{
    struct store_worker *worker = look->worker;
    uint64_t waited_ms = now_ms() - look->started_ms;
    if (waited_ms >= look->wish.wait_ms) {
        look_end(look, STORE_WORD_FETCH, NULL);
        return;
    }
    // The longer it lasts the less often, so that many who wait do not keep the store busy.
    uint64_t delay_ms = waited_ms / 4;
    delay_ms = delay_ms < LOOK_MIN_MS   ? LOOK_MIN_MS
               : delay_ms > LOOK_MAX_MS ? LOOK_MAX_MS
                                        : delay_ms;
    delay_ms += random_below(delay_ms);
    uint64_t left_ms = look->wish.wait_ms - waited_ms;
    worker_start(worker, &look->timer, delay_ms < left_ms ? delay_ms : left_ms);
    if (look->is_waiting)
        return;
    look->is_waiting = true;
    worker->parts.tell(look, STORE_WORD_WAITING, NULL);
}

// Read, else take the lease, and then read again: what another put between the two would be fetched
// a second time.
static void look_step(struct store_look *look, struct store_record *record)
{
    struct store_worker *worker = look->worker;
    struct lease *lease = NULL;
    bool is_found = false;
    bool ok = !is_away(worker) && look_read(look, record, &is_found);
    if (ok && !is_found)
        ok = lease_take(worker, look, &lease) && (!lease || look_read(look, record, &is_found));
    if (is_found && lease)
        lease_end(worker, lease);
    if (!ok) {
        look_end(look, STORE_WORD_FETCH, NULL);
    } else if (is_found) {
        look_end(look, STORE_WORD_TOKEN, record);
    } else if (lease) {
        if (worker->renew_timer.due_ms == TIMER_NEVER)
            worker_start(worker, &worker->renew_timer, STORE_LEASE_MS / 3);
        look_end(look, STORE_WORD_FETCH, NULL);
    } else {
        look_wait(look);
    }
}

static void on_look_due(struct timer *timer)
{
    struct store_look *look = CONTAINER_OF(timer, struct store_look, timer);
    struct store_record record;
    store_record_init(&record);
    look_step(look, &record);
    store_record_fini(&record);
}

// -- what it is asked to do --------------------------------------------------------------------

void store_worker_acquire(struct store_worker *worker, struct store_look *look)
{
    look->worker = worker;
    look->started_ms = now_ms();
    look->is_waiting = look->is_unreadable = false;
    timer_init(&look->timer, on_look_due);
    list_append(&worker->looks, &look->link);
    on_look_due(&look->timer);
}

bool store_worker_cancel(struct store_worker *worker, struct store_look *look, bool is_kept)
{
    if (list_is_linked(&look->link)) {
        timer_stop(worker->parts.loop, &look->timer);
        list_remove(&look->link);
        return true;
    }
    struct lease *lease = lease_find(worker, look->place);
    if (lease && lease->look == look && !is_kept)
        lease_end(worker, lease);
    return false;
}

void store_worker_put(struct store_worker *worker, const char *place,
                      const struct store_record *record)
{
    struct err err;
    struct buf blob;
    buf_init(&blob, STORE_BLOB_MAX);
    if (!store_seal(worker->parts.keys, place, record, &blob, &err)) {
        atomic_fetch_add(&worker->parts.counts->errors, 1);
        log_warn("store.refused", F_STR("place", ((struct str){place, 8})),
                 F_TEXT("text", err.text));
    } else if (is_away(worker) || !worker_write(worker, place, buf_str(&blob), record->expires_s)) {
        put_keep(worker, place, &blob, record->expires_s);
    }
    buf_fini(&blob);
    store_worker_release(worker, place);
}

void store_worker_release(struct store_worker *worker, const char *place)
{
    struct lease *lease = lease_find(worker, place);
    if (lease)
        lease_end(worker, lease);
}

// -- life --------------------------------------------------------------------------------------

struct store_worker *store_worker_new(const struct store_worker_parts *parts)
{
    struct store_worker *worker = mem_alloc(sizeof *worker);
    worker->parts = *parts;
    list_init(&worker->looks);
    for (size_t i = 0; i < HELD_LISTS; i++)
        list_init(&worker->held[i]);
    list_init(&worker->puts);
    timer_init(&worker->renew_timer, on_renew_due);
    timer_init(&worker->probe_timer, on_probe_due);
    // Short of the machine's very first moments this does not fail; a guess is better than none.
    if (getrandom(worker->owner_seed, sizeof worker->owner_seed, 0) < 0)
        worker->owner_seed[0] = clock_boottime_us();
    worker->probe_ms = PROBE_MIN_MS;
    return worker;
}

void store_worker_free(struct store_worker *worker)
{
    while (!list_is_empty(&worker->looks)) {
        struct store_look *look = CONTAINER_OF(worker->looks.next, struct store_look, link);
        look_end(look, STORE_WORD_FETCH, NULL);
    }
    for (size_t i = 0; i < HELD_LISTS; i++)
        while (!list_is_empty(&worker->held[i]))
            lease_end(worker, CONTAINER_OF(worker->held[i].next, struct lease, link));
    while (!list_is_empty(&worker->puts))
        put_drop(worker, CONTAINER_OF(worker->puts.next, struct late_put, link));
    timer_stop(worker->parts.loop, &worker->renew_timer);
    timer_stop(worker->parts.loop, &worker->probe_timer);
    mem_free(worker);
}
