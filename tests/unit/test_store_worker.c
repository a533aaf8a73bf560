// SPDX-License-Identifier: MIT
// The worker's decisions, with a backend that the test plays: what real ones do only when two
// processes meet in the worst moment, or when a disk is full.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/store_bench.h"
#include "token/store_worker.h"

#define ENTRIES 400

struct fake {
    struct store_backend backend;
    struct {
        char key[STORE_KEY_LEN + 1];
        struct buf blob;
    } entries[ENTRIES];
    size_t count;
    char holder[64]; // of the one lease there is
    unsigned reads, writes, leases, releases;
    bool fail_reads, fail_writes, fail_leases;
    // When the lease is taken, this has just been put by another.
    const struct store_record *meanwhile;
    const struct store_keys *keys;
};

struct rig {
    struct loop *loop;
    struct fake fake;
    struct store_keys *keys;
    struct store_counts counts;
    struct store_worker *worker;
};

static struct store_look look;
static unsigned words[3];
static char value[64];

static void tell(struct store_look *told, enum store_word word, const struct store_record *record)
{
    assert_ptr_equal(told, &look);
    words[word]++;
    assert_int_equal(record != NULL, word == STORE_WORD_TOKEN);
    if (record)
        snprintf(value, sizeof value, "%.*s", STR_ARG(buf_str(&record->value)));
}

static struct fake *fake_of(struct store_backend *backend)
{
    return CONTAINER_OF(backend, struct fake, backend);
}

static struct buf *entry_of(struct fake *fake, const char *key)
{
    for (size_t i = 0; i < fake->count; i++)
        if (strcmp(fake->entries[i].key, key) == 0)
            return &fake->entries[i].blob;
    return NULL;
}

static bool fake_read(struct store_backend *backend, const char *key, struct buf *out,
                      struct err *err)
{
    struct fake *fake = fake_of(backend);
    const struct buf *blob = entry_of(fake, key);
    fake->reads++;
    if (fake->fail_reads)
        return err_set(err, "reads fail");
    return !blob || buf_append(out, buf_str(blob));
}

static bool fake_write(struct store_backend *backend, const char *key, struct str bytes,
                       int64_t expires_s, struct err *err)
{
    struct fake *fake = fake_of(backend);
    struct buf *blob = entry_of(fake, key);
    assert_true(expires_s > 0);
    fake->writes++;
    if (fake->fail_writes)
        return err_set(err, "writes fail");
    if (!blob) {
        assert_true(fake->count < ENTRIES);
        memcpy(fake->entries[fake->count].key, key, STORE_KEY_LEN + 1);
        blob = &fake->entries[fake->count++].blob;
        buf_init(blob, STORE_BLOB_MAX);
    }
    buf_clear(blob);
    return buf_append(blob, bytes);
}

static bool fake_lease(struct store_backend *backend, const char *key, const char *owner,
                       uint64_t lease_ms, bool *out_taken, struct err *err)
{
    struct fake *fake = fake_of(backend);
    assert_true(lease_ms > 0);
    fake->leases++;
    if (fake->fail_leases)
        return err_set(err, "leases fail");
    *out_taken = !fake->holder[0] || strcmp(fake->holder, owner) == 0;
    if (*out_taken)
        snprintf(fake->holder, sizeof fake->holder, "%s", owner);
    if (fake->meanwhile) {
        struct buf blob;
        buf_init(&blob, STORE_BLOB_MAX);
        assert_true(store_seal(fake->keys, key, fake->meanwhile, &blob, err) &&
                    fake_write(backend, key, buf_str(&blob), 1, err));
        buf_fini(&blob);
        fake->meanwhile = NULL;
    }
    return true;
}

static bool fake_release(struct store_backend *backend, const char *key, const char *owner,
                         struct err *err)
{
    struct fake *fake = fake_of(backend);
    (void)key;
    (void)err;
    fake->releases++;
    if (strcmp(fake->holder, owner) == 0)
        fake->holder[0] = '\0';
    return true;
}

static int set_up(void **state)
{
    static struct rig rig;
    static const struct store_backend_ops ops = {fake_read, fake_write, fake_lease, fake_release,
                                                 NULL};
    struct err err;
    log_set_level(LOG_ERROR + 1);
    rig = (struct rig){.loop = loop_new(&err), .fake.backend.ops = &ops};
    rig.keys = store_keys_new(STR(BENCH_SECRET), STR_NONE, &err);
    rig.fake.keys = rig.keys;
    rig.worker = store_worker_new(
        &(struct store_worker_parts){rig.loop, &rig.fake.backend, rig.keys, &rig.counts, tell});
    memset(words, 0, sizeof words);
    look = (struct store_look){.wish.wait_ms = 1000};
    memcpy(look.place, BENCH_KEY_A, STORE_KEY_LEN);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    store_worker_free(rig->worker);
    for (size_t i = 0; i < rig->fake.count; i++)
        buf_fini(&rig->fake.entries[i].blob);
    store_keys_free(rig->keys);
    loop_free(rig->loop);
    return 0;
}

static void turn_for(struct rig *rig, uint64_t ms)
{
    for (uint64_t until = bench_now_ms() + ms; bench_now_ms() < until;)
        loop_turn(rig->loop, 5);
}

static void put(struct rig *rig, const char *place, const char *text, int64_t lives_s)
{
    struct store_record record;
    bench_record(&record, text, lives_s);
    store_worker_put(rig->worker, place, &record);
    store_record_fini(&record);
}

static void test_put_between_read_and_lease(void **state)
{
    struct rig *rig = *state;
    struct store_record record;
    bench_record(&record, "just put", 100);
    rig->fake.meanwhile = &record;
    store_worker_acquire(rig->worker, &look);
    assert_int_equal(words[STORE_WORD_TOKEN], 1);
    assert_string_equal(value, "just put");
    assert_string_equal(rig->fake.holder, ""); // and not kept from the next
    store_record_fini(&record);
}

static void test_waiting_is_told_once(void **state)
{
    struct rig *rig = *state;
    snprintf(rig->fake.holder, sizeof rig->fake.holder, "somebody");
    store_worker_acquire(rig->worker, &look);
    turn_for(rig, 700);
    assert_int_equal(words[STORE_WORD_WAITING], 1);
    assert_in_range(rig->fake.leases, 3, 15); // often enough, and not all the time
    turn_for(rig, 500);
    assert_int_equal(words[STORE_WORD_FETCH], 1);
    unsigned leases = rig->fake.leases;
    turn_for(rig, 300);
    assert_int_equal(rig->fake.leases, leases);
}

static void test_read_only_is_away(void **state)
{
    struct rig *rig = *state;
    rig->fake.fail_leases = true;
    store_worker_acquire(rig->worker, &look);
    assert_int_equal(words[STORE_WORD_FETCH], 1);
    assert_true(rig->counts.is_away);
    turn_for(rig, 1500); // reading would work; it is not taken for being back
    assert_true(rig->counts.is_away);
    rig->fake.fail_leases = false;
    turn_for(rig, 2500);
    assert_false(rig->counts.is_away);
}

// Leases can be had and tokens not be kept: each return is shorter-lived than the one before, so
// the log does not fill.
static void test_full_disk(void **state)
{
    struct rig *rig = *state;
    rig->fake.fail_writes = true;
    put(rig, BENCH_KEY_A, "t", 100);
    assert_true(rig->counts.is_away);
    turn_for(rig, 4000);
    assert_in_range(rig->fake.leases, 1, 3); // probes, further and further apart
    assert_true(rig->fake.writes <= 5);
    rig->fake.fail_writes = false;
}

static void test_late_puts_are_bounded(void **state)
{
    struct rig *rig = *state;
    char place[STORE_KEY_LEN + 1];
    rig->fake.fail_leases = true;
    store_worker_probe(rig->worker);
    assert_true(rig->counts.is_away);
    for (int i = 0; i < 300; i++) {
        snprintf(place, sizeof place, "%064x", (unsigned)i);
        put(rig, place, "t", 100);
    }
    put(rig, place, "newest", 100);
    put(rig, BENCH_KEY_B, "expired by then", 0);
    assert_int_equal(rig->fake.writes, 0);
    rig->fake.fail_leases = false;
    turn_for(rig, 1000);
    assert_false(rig->counts.is_away);
    assert_int_equal(rig->fake.count, 255); // 256, and one of them expired
    assert_null(entry_of(&rig->fake, "0000000000000000000000000000000000000000000000000000000000"
                                     "000000")); // the oldest went
    memcpy(look.place, place, sizeof place);
    store_worker_acquire(rig->worker, &look);
    assert_string_equal(value, "newest");
}

static void put_by_another(struct rig *rig, const char *place, const char *text, int64_t lives_s)
{
    struct store_record record;
    struct buf blob;
    struct err err;
    bench_record(&record, text, lives_s);
    buf_init(&blob, STORE_BLOB_MAX);
    assert_true(store_seal(rig->keys, place, &record, &blob, &err));
    assert_true(fake_write(&rig->fake.backend, place, buf_str(&blob), 1, &err));
    buf_fini(&blob);
    store_record_fini(&record);
}

static const char *acquired(struct rig *rig, const char *place)
{
    memcpy(look.place, place, STORE_KEY_LEN);
    value[0] = '\0';
    store_worker_acquire(rig->worker, &look);
    return value;
}

// What somebody else put while we were away, and what lives longer, is not overwritten by ours.
static void test_late_put_is_no_step_back(void **state)
{
    struct rig *rig = *state;
    rig->fake.fail_leases = true;
    store_worker_probe(rig->worker);
    put(rig, BENCH_KEY_A, "late", 100);
    put(rig, BENCH_KEY_B, "late", 100);
    put_by_another(rig, BENCH_KEY_A, "longer", 200);
    put_by_another(rig, BENCH_KEY_B, "shorter", 50);
    rig->fake.fail_leases = false;
    turn_for(rig, 1000);
    assert_false(rig->counts.is_away);
    assert_string_equal(acquired(rig, BENCH_KEY_A), "longer");
    assert_string_equal(acquired(rig, BENCH_KEY_B), "late");
}

static void test_lease_lost_is_not_released(void **state)
{
    struct rig *rig = *state;
    store_worker_acquire(rig->worker, &look);
    assert_int_equal(words[STORE_WORD_FETCH], 1);
    snprintf(rig->fake.holder, sizeof rig->fake.holder, "somebody"); // ours had run out
    turn_for(rig, STORE_LEASE_MS / 3 + 200);
    unsigned leases = rig->fake.leases;
    assert_int_equal(leases, 2);
    turn_for(rig, STORE_LEASE_MS / 3 + 200);
    assert_int_equal(rig->fake.leases, leases); // nothing is left to renew
    store_worker_release(rig->worker, BENCH_KEY_A);
    assert_int_equal(rig->fake.releases, 0);
}

static void test_cancel(void **state)
{
    struct rig *rig = *state;
    store_worker_acquire(rig->worker, &look);
    assert_string_not_equal(rig->fake.holder, "");
    assert_false(store_worker_cancel(rig->worker, &look, true)); // somebody fetches
    assert_string_not_equal(rig->fake.holder, "");
    assert_false(store_worker_cancel(rig->worker, &look, false));
    assert_string_equal(rig->fake.holder, "");
    snprintf(rig->fake.holder, sizeof rig->fake.holder, "somebody");
    store_worker_acquire(rig->worker, &look);
    assert_true(store_worker_cancel(rig->worker, &look, false));
    memset(words, 0, sizeof words);
    turn_for(rig, 300);
    assert_int_equal(words[STORE_WORD_WAITING] + words[STORE_WORD_FETCH], 0);
}

static void test_free_tells_and_gives_back(void **state)
{
    struct rig *rig = *state;
    store_worker_acquire(rig->worker, &look);
    assert_int_equal(words[STORE_WORD_FETCH], 1);
    look.wish.wait_ms = 60000;
    store_worker_acquire(rig->worker, &look); // waits for the lease taken above
    assert_int_equal(words[STORE_WORD_WAITING], 1);
    store_worker_free(rig->worker);
    assert_int_equal(words[STORE_WORD_FETCH], 2);
    assert_string_equal(rig->fake.holder, "");
    rig->worker = store_worker_new(
        &(struct store_worker_parts){rig->loop, &rig->fake.backend, rig->keys, &rig->counts, tell});
}

#define ROW(name, fn)                                                                              \
    {                                                                                              \
        name, fn, set_up, tear_down, NULL                                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW("T07 a put between read and lease", test_put_between_read_and_lease),
        ROW("waiting is told once", test_waiting_is_told_once),
        ROW("read-only is away", test_read_only_is_away),
        ROW("a full disk does not fill the log", test_full_disk),
        ROW("late puts are bounded", test_late_puts_are_bounded),
        ROW("late put is no step back", test_late_put_is_no_step_back),
        ROW("a lost lease is not released", test_lease_lost_is_not_released),
        ROW("cancel", test_cancel),
        ROW("free tells, and gives back", test_free_tells_and_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
