// SPDX-License-Identifier: MIT
// Which of the tokens that are kept are of use to somebody who wants one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/store.h"

#define NOW INT64_C(1750000000123)

struct row {
    const char *what;
    int64_t sent_ms, expires_ms; // from now
    struct store_wish wish;      // newer_than_ms: from now; 0: none is there
    bool fits;
};

static const struct row rows[] = {
    {"good for long", -10000, 3590000, {.clock_skew_ms = 10000}, true},
    {"has expired", -3600000, 0, {0}, false},
    {"a moment is left", -3600000, 1, {0}, true},
    {"past its use", -3590000, 10000, {.clock_skew_ms = 10000}, false},
    {"still of use", -3590000, 10001, {.clock_skew_ms = 10000}, true},
    // A skew that would eat more than half of the lifetime is half of it.
    {"short-lived and new", 0, 8000, {.clock_skew_ms = 10000}, true},
    {"as long as the skew", 0, 10000, {.clock_skew_ms = 10000}, true},
    {"short-lived, past half of it", -4000, 4000, {.clock_skew_ms = 10000}, false},
    {"short-lived, just before", -3999, 4001, {.clock_skew_ms = 10000}, true},
    {"nothing", 0, 0, {0}, false},
    {"sent after its end", 100000, 90000, {0}, false},
    // Beside one that is there.
    {"newer", -10, 3590, {.newer_than_ms = 3589, .known = "00000000"}, true},
    {"as old", -10, 3590, {.newer_than_ms = 3590, .known = "00000000"}, false},
    {"older", -10, 3590, {.newer_than_ms = 3600, .known = "00000000"}, false},
    {"the same, counted otherwise", -10, 3590, {.newer_than_ms = 3589, .known = "3c469e9d"}, false},
};

static void test_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_record record;
        struct store_wish wish = rows[i].wish;
        store_record_init(&record);
        assert_true(buf_append(&record.value, STR("token")));
        store_record_set_times(&record, NOW + rows[i].sent_ms, NOW + rows[i].expires_ms);
        wish.newer_than_ms += wish.newer_than_ms ? NOW : 0;
        if (store_wish_fits(&wish, &record, NOW) != rows[i].fits)
            fail_msg("%s", rows[i].what);
        store_record_fini(&record);
    }
}

static void test_copy(void **state)
{
    (void)state;
    struct store_record from, to;
    store_record_init(&from);
    assert_true(buf_append(&from.value, STR("token")));
    store_record_set_times(&from, 1001, 2002);
    assert_int_equal(from.sent_s * 10 + from.expires_s, 12);
    from.granted_scope = mem_strdup("a b");
    store_record_copy(&to, &from);
    store_record_fini(&from);
    assert_true(str_eq(buf_str(&to.value), STR("token")));
    assert_int_equal(store_record_sent_ms(&to), 1001);
    assert_int_equal(store_record_expires_ms(&to), 2002);
    assert_string_equal(to.granted_scope, "a b");
    assert_null(to.binding);
    store_record_fini(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
