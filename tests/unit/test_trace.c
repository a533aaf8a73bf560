// SPDX-License-Identifier: MIT
// W3C Trace Context: TC-2 (what is a valid traceparent, and of a later version), TC-3 (tracestate);
// and the names that bearerd makes itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ids.h"
#include "proxy/trace.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"
#define GOOD   "00-" TRACE "-" PARENT "-01"

static enum trace_parent judge(const char *value, char out[TRACE_PARENT_LEN + 1])
{
    struct fields fields = {.count = 0};
    memset(out, 0, TRACE_PARENT_LEN + 1);
    if (value)
        assert_true(fields_add(&fields, STR("TraceParent"), str_of(value)));
    return trace_parent(&fields, out);
}

static void test_valid(void **state)
{
    (void)state;
    static const char *const good[] = {
        GOOD,
        "00-" TRACE "-" PARENT "-00",
        "00-" TRACE "-" PARENT "-ff", // flags to come
        "00-00000000000000000000000000000001-0000000000000001-01",
        "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01",
    };
    char out[TRACE_PARENT_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (judge(good[i], out) != TRACE_VALID)
            fail_msg("%s", good[i]);
}

static void test_broken(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-",
        "00-" TRACE "-" PARENT "-1",
        GOOD "-",
        GOOD "-00",
        GOOD "0",
        "0-" TRACE "-" PARENT "-01",
        "000-" TRACE "-" PARENT "-01",
        "ff-" TRACE "-" PARENT "-01",
        "FF-" TRACE "-" PARENT "-01",
        "0g-" TRACE "-" PARENT "-01",
        "0A-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-.af7651916cd43dd8448eb211c80319c-" PARENT "-01",
        "00-" TRACE "-.7ad6b7169203331-01",
        "00-" TRACE "-" PARENT "-0x",
        "00-" TRACE "-" PARENT "-0F",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00-" TRACE "0-" PARENT "-1",
        "01-" TRACE "-" PARENT "-01what-follows-needs-a-dash",
        GOOD "," GOOD,
    };
    char out[TRACE_PARENT_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (judge(bad[i], out) != TRACE_BROKEN)
            fail_msg("%s", bad[i] ? bad[i] : "none");
    struct fields twice = {.count = 0};
    assert_true(fields_add(&twice, STR("traceparent"), STR(GOOD)));
    assert_true(fields_add(&twice, STR("traceparent"), STR(GOOD)));
    assert_int_equal(trace_parent(&twice, out), TRACE_BROKEN);
}

static void test_later_versions(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"01-" TRACE "-" PARENT "-01", GOOD},
        {"cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like", GOOD},
        {"cc-" TRACE "-" PARENT "-01-", GOOD},
        {"fe-" TRACE "-" PARENT "-02", "00-" TRACE "-" PARENT "-00"},
        {"01-" TRACE "-" PARENT "-ff", GOOD},
    };
    char out[TRACE_PARENT_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(judge(rows[i][0], out), TRACE_LATER);
        assert_string_equal(out, rows[i][1]);
    }
}

static void test_state(void **state)
{
    (void)state;
    struct fields fields = {.count = 0};
    assert_true(trace_state_fits(&fields));
    for (size_t i = 0; i < TRACE_STATES_MAX / 2; i++)
        assert_true(fields_add(&fields, STR("tracestate"), STR("a=1, b=2 ,,")));
    assert_true(trace_state_fits(&fields));
    assert_true(fields_add(&fields, STR("Tracestates"), STR("a=1")));
    assert_true(trace_state_fits(&fields));
    assert_true(fields_add(&fields, STR("TRACESTATE"), STR("one-too-many=1")));
    assert_false(trace_state_fits(&fields));
}

// ---- names of bearerd's own

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, IDS_LEN);
}

static void test_ids_differ(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    static char made[2 * COUNT][IDS_LEN];
    struct ids ids[2];
    ids_init(&ids[0]);
    ids_init(&ids[1]);
    for (size_t i = 0; i < 2 * COUNT; i++) {
        ids_make(&ids[i % 2], made[i]);
        for (size_t j = 0; j < IDS_LEN; j++)
            assert_true(str_has(STR("0123456789abcdef"), made[i][j]));
    }
    qsort(made, 2 * COUNT, IDS_LEN, by_text);
    for (size_t i = 1; i < 2 * COUNT; i++)
        assert_true(memcmp(made[i - 1], made[i], IDS_LEN) != 0);
}

static void test_started_traces_are_valid(void **state)
{
    (void)state;
    struct ids ids;
    ids_init(&ids);
    char before[IDS_TRACE_LEN + 1] = "", text[IDS_TRACE_LEN + 1] = "", out[TRACE_PARENT_LEN + 1];
    for (size_t i = 0; i < 1000; i++) {
        ids_start_trace(&ids, text);
        assert_int_equal(judge(text, out), TRACE_VALID);
        assert_true(str_ends(str_of(text), STR("-01")));
        assert_string_not_equal(text, before);
        memcpy(before, text, sizeof text);
    }
}

static void test_fit(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1",
        "req-1",
        "5f7c2c1e-6c3f-4bd0-93a1-2f3f0a9f8d11",
        "A.b_C~d+e/f=g:h@i",
    };
    static const char *const bad[] = {
        "",    " ",    "a b",      "a\"b", "a\\b",  "a,b", "a;b",
        "<a>", "a\tb", "\xc3\xa4", "a%0a", "a\x7f", "[",   "`",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(ids_is_fit(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (ids_is_fit(str_of(bad[i])))
            fail_msg("%s", bad[i]);
    char longest[IDS_GIVEN_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_true(ids_is_fit((struct str){longest, IDS_GIVEN_MAX}));
    assert_false(ids_is_fit((struct str){longest, sizeof longest}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_later_versions),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_ids_differ),
        cmocka_unit_test(test_started_traces_are_valid),
        cmocka_unit_test(test_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
