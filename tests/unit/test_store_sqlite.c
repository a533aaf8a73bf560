// SPDX-License-Identifier: MIT
// The SQLite store alone: modes, files that are not ours, leases, several processes, and kill -9.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/store_bench.h"
#include "token/store_backend.h"
#include "token/store_seal.h"

#define KILLS 60

static struct store_backend *backend_of(const char *path)
{
    struct err err;
    struct store_backend *backend = store_sqlite_new(path, 2000, &err);
    if (!backend)
        fail_msg("%s", err.text);
    return backend;
}

static bool put(struct store_backend *backend, const char *key, const char *blob, struct err *err)
{
    return backend->ops->write(backend, key, str_of(blob), clock_realtime_s() + 100, err);
}

static bool reads(struct store_backend *backend, const char *key, const char *expected)
{
    struct err err = {0};
    struct buf out;
    buf_init(&out, STORE_BLOB_MAX);
    bool ok = backend->ops->read(backend, key, &out, &err);
    if (!ok)
        print_message("%s\n", err.text);
    ok = ok && str_eq(buf_str(&out), str_of(expected));
    buf_fini(&out);
    return ok;
}

static bool leases(struct store_backend *backend, const char *owner, uint64_t ms)
{
    struct err err;
    bool is_taken;
    if (!backend->ops->lease(backend, BENCH_KEY_A, owner, ms, &is_taken, &err))
        fail_msg("%s", err.text);
    return is_taken;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 07777u : 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    fchmod(fd, mode);
    close(fd);
}

static void sql(const char *path, const char *text)
{
    char program[] = "sqlite3";
    char *argv[] = {program, (char *)(uintptr_t)path, (char *)(uintptr_t)text, NULL};
    assert_int_equal(bench_wait(bench_spawn(argv)), 0);
}

static void test_modes(void **state)
{
    (void)state;
    const char *path = bench_path("modes");
    struct err err;
    mode_t before = umask(0);
    struct store_backend *backend = backend_of(path);
    assert_true(put(backend, BENCH_KEY_A, "blob", &err));
    umask(before);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(mode_of(bench_path("modes-wal")), 0600);
    assert_int_equal(mode_of(bench_path("modes-shm")), 0600);
    assert_true(reads(backend, BENCH_KEY_A, "blob"));
    assert_true(reads(backend, BENCH_KEY_B, ""));
    backend->ops->free(backend);
}

static void test_open_to_others(void **state)
{
    (void)state;
    static const mode_t modes[] = {0640, 0604, 0660, 0606, 0644, 0610, 0601};
    const char *path = bench_path("open");
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        write_file(path, "", modes[i]);
        assert_null(store_sqlite_new(path, 1000, &err));
        assert_non_null(strstr(err.text, "chmod 600 "));
    }
    write_file(path, "", 0600);
    write_file(bench_path("open-wal"), "", 0644);
    assert_null(store_sqlite_new(path, 1000, &err));
    assert_non_null(strstr(err.text, "open-wal"));
    unlink(bench_path("open-wal"));
    struct store_backend *backend = backend_of(path);
    chmod(path, 0644); // after it was looked at, before it is connected to
    assert_false(put(backend, BENCH_KEY_A, "x", &err));
    assert_non_null(strstr(err.text, "chmod 600 "));
    chmod(path, 0600);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    backend->ops->free(backend);
}

static void test_odd_files(void **state)
{
    (void)state;
    struct err err;
    write_file(bench_path("target"), "", 0600);
    assert_int_equal(symlink("target", bench_path("link")), 0);
    assert_null(store_sqlite_new(bench_path("link"), 1000, &err));
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_null(store_sqlite_new(bench_folder, 1000, &err));
    assert_null(store_sqlite_new("", 1000, &err));
    const char *shared = bench_path("shared");
    assert_int_equal(mkdir(shared, 0700), 0);
    chmod(shared, 0777);
    char below[BENCH_PATH_MAX];
    snprintf(below, sizeof below, "%s/store", shared);
    assert_null(store_sqlite_new(below, 1000, &err));
    assert_non_null(strstr(err.text, "chmod o-w"));
    rmdir(shared);
    // Not there yet: away, no mistake.
    struct store_backend *backend = backend_of(below);
    assert_false(put(backend, BENCH_KEY_A, "x", &err));
    assert_int_equal(mkdir(shared, 0700), 0);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    backend->ops->free(backend);
    unlink(below);
    rmdir(shared);
}

// As of a service with DynamicUser=: /var/lib/NAME leads to /var/lib/private/NAME.
static void test_folder_is_a_link(void **state)
{
    (void)state;
    struct err err = {""};
    const char *folder = bench_path("private"), *link = bench_path("state");
    char below[BENCH_PATH_MAX], real[BENCH_PATH_MAX];
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("private", link), 0);
    snprintf(below, sizeof below, "%s/store", link);
    snprintf(real, sizeof real, "%s/store", folder);
    struct store_backend *backend = backend_of(below);
    if (!put(backend, BENCH_KEY_A, "x", &err))
        fail_msg("%s", err.text);
    assert_true(put(backend, BENCH_KEY_A, "y", &err));
    backend->ops->free(backend);
    assert_int_equal(unlink(real), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(unlink(link), 0);
}

// Whatever it is, it is neither changed nor deleted, and used again once it is out of the way.
static void assert_refused(const char *path, const char *words)
{
    struct err err;
    struct stat before, after;
    struct store_backend *backend = backend_of(path);
    assert_int_equal(stat(path, &before), 0);
    assert_false(put(backend, BENCH_KEY_A, "x", &err));
    if (!strstr(err.text, words))
        fail_msg("%s", err.text);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(rename(path, bench_path("moved-away")), 0);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    backend->ops->free(backend);
}

static void test_foreign(void **state)
{
    (void)state;
    const char *path = bench_path("foreign");
    sql(path, "CREATE TABLE other (x); INSERT INTO other VALUES (1);");
    chmod(path, 0600);
    assert_refused(path, "another program or version");
    path = bench_path("newer");
    sql(path, "PRAGMA application_id = 1651667556; PRAGMA user_version = 2; CREATE TABLE x (y);");
    chmod(path, 0600);
    assert_refused(path, "another program or version");
}

static void test_damaged(void **state)
{
    (void)state;
    const char *path = bench_path("damaged");
    write_file(path, "This is no database, however long one looks at it, and looks, and looks.",
               0600);
    assert_refused(path, "damaged");
    // The head is sound, the rest is not.
    path = bench_path("holes");
    struct err err;
    struct store_backend *backend = backend_of(path);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    backend->ops->free(backend);
    int fd = open(path, O_WRONLY);
    char noise[12288];
    memset(noise, 0x5a, sizeof noise);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
    close(fd);
    backend = backend_of(path);
    assert_false(put(backend, BENCH_KEY_A, "x", &err));
    assert_non_null(strstr(err.text, "holes"));
    backend->ops->free(backend);
    assert_int_equal(access(path, F_OK), 0);
}

static void test_leases(void **state)
{
    (void)state;
    const char *path = bench_path("leases");
    struct err err;
    struct store_backend *one = backend_of(path), *other = backend_of(path);
    assert_true(leases(one, "one", 60000));
    assert_false(leases(other, "other", 60000));
    assert_true(leases(one, "one", 60000));                              // renewed
    assert_true(other->ops->release(other, BENCH_KEY_A, "other", &err)); // not its own: no-op
    assert_false(leases(other, "other", 60000));
    assert_true(one->ops->release(one, BENCH_KEY_A, "one", &err));
    assert_true(leases(other, "other", 150));
    assert_false(leases(one, "one", 150));
    bench_sleep_ms(200);
    assert_true(leases(one, "one", 60000)); // the other one's ran out
    // T37 the clock was set back by a day: what was taken before does not last a day
    sql(path, "UPDATE leases SET until_ms = until_ms + 86400000;");
    assert_true(leases(other, "other", 60000));
    one->ops->free(one);
    other->ops->free(other);
}

static void test_oversized_and_odd_entries(void **state)
{
    (void)state;
    const char *path = bench_path("odd");
    struct err err;
    struct store_backend *backend = backend_of(path);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    sql(path, "UPDATE tokens SET blob = zeroblob(200000);");
    assert_true(reads(backend, BENCH_KEY_A, "?"));
    sql(path, "UPDATE tokens SET blob = '';");
    assert_true(reads(backend, BENCH_KEY_A, "?"));
    sql(path, "UPDATE tokens SET blob = 17;");
    assert_true(reads(backend, BENCH_KEY_A, "17"));
    assert_true(put(backend, BENCH_KEY_A, "y", &err));
    assert_true(reads(backend, BENCH_KEY_A, "y"));
    assert_true(put(backend, "'; DROP TABLE tokens; --", "z", &err));
    assert_true(reads(backend, "'; DROP TABLE tokens; --", "z"));
    backend->ops->free(backend);
}

static void test_moved_while_open(void **state)
{
    (void)state;
    const char *path = bench_path("moving");
    struct err err;
    struct store_backend *backend = backend_of(path);
    assert_true(put(backend, BENCH_KEY_A, "x", &err));
    assert_int_equal(rename(path, bench_path("moved")), 0);
    unlink(bench_path("moving-wal"));
    unlink(bench_path("moving-shm"));
    assert_true(put(backend, BENCH_KEY_A, "y", &err));
    struct store_backend *other = backend_of(path);
    assert_true(reads(other, BENCH_KEY_A, "y"));
    other->ops->free(other);
    backend->ops->free(backend);
}

static void test_expired_go(void **state)
{
    (void)state;
    const char *path = bench_path("expired");
    struct err err;
    struct store_backend *backend = backend_of(path);
    assert_true(
        backend->ops->write(backend, BENCH_KEY_B, STR("old"), clock_realtime_s() - 1, &err));
    for (int i = 0; i < 300; i++)
        assert_true(put(backend, BENCH_KEY_A, "new", &err));
    assert_true(reads(backend, BENCH_KEY_B, ""));
    assert_true(reads(backend, BENCH_KEY_A, "new"));
    backend->ops->free(backend);
}

// What is written is a run of one letter: half of one and half of another would show.
static void write_for_ever(const char *path, unsigned seed)
{
    struct err err;
    struct store_backend *backend = store_sqlite_new(path, 2000, &err);
    char blob[20001];
    for (unsigned i = seed; backend; i++) {
        bool is_taken;
        memset(blob, (int)('a' + i % 26), sizeof blob - 1);
        blob[sizeof blob - 1] = '\0';
        if (!backend->ops->lease(backend, BENCH_KEY_B, "killed", 1, &is_taken, &err) ||
            !put(backend, BENCH_KEY_A, blob, &err))
            _exit(1);
    }
    _exit(2);
}

static void assert_whole(const char *path)
{
    struct err err = {0};
    struct buf out;
    buf_init(&out, STORE_BLOB_MAX);
    struct store_backend *backend = backend_of(path);
    if (!backend->ops->read(backend, BENCH_KEY_A, &out, &err))
        fail_msg("%s", err.text);
    for (size_t i = 1; i < out.len; i++)
        assert_int_equal(out.ptr[i], out.ptr[0]);
    assert_true(out.len == 0 || out.len == 20000);
    assert_true(leases(backend, "survivor", 1));
    backend->ops->free(backend);
    buf_fini(&out);
}

static void test_killed(void **state)
{
    (void)state;
    const char *path = bench_path("killed");
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pids[2];
        for (unsigned j = 0; j < 2; j++) {
            pids[j] = bench_fork();
            if (pids[j] == 0)
                write_for_ever(path, i + j);
        }
        usleep(3000 + i * 1777 % 60000); // from before the first table is made on
        for (unsigned j = 0; j < 2; j++) {
            kill(pids[j], SIGKILL);
            assert_int_equal(bench_wait(pids[j]), -SIGKILL);
        }
        assert_whole(path);
    }
    struct err err;
    struct store_backend *backend = backend_of(path);
    assert_true(put(backend, BENCH_KEY_A, "after all", &err));
    assert_true(reads(backend, BENCH_KEY_A, "after all"));
    backend->ops->free(backend);
}

// All at once make the file, its tables and its journal.
static void test_born_together(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        char name[32];
        pid_t pids[8];
        snprintf(name, sizeof name, "born%d", round);
        const char *path = bench_path(name);
        for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
            pids[i] = bench_fork();
            if (pids[i])
                continue;
            struct err err;
            struct store_backend *backend = store_sqlite_new(path, 5000, &err);
            _exit(backend && put(backend, BENCH_KEY_A, "x", &err) ? 0 : 1);
        }
        for (size_t i = 0; i < ARRAY_LEN(pids); i++)
            assert_int_equal(bench_wait(pids[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        {"T-9 open to others", test_open_to_others, NULL, NULL, NULL},
        cmocka_unit_test(test_odd_files),
        cmocka_unit_test(test_folder_is_a_link),
        {"T-19 foreign schema", test_foreign, NULL, NULL, NULL},
        {"T-19 damaged file", test_damaged, NULL, NULL, NULL},
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_oversized_and_odd_entries),
        cmocka_unit_test(test_moved_while_open),
        cmocka_unit_test(test_expired_go),
        {"T-19 killed at any moment", test_killed, NULL, NULL, NULL},
        cmocka_unit_test(test_born_together),
    };
    return cmocka_run_group_tests(tests, bench_folder_make, bench_folder_remove);
}
