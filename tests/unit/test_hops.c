// SPDX-License-Identifier: MIT
// HS-5: Max-Forwards on OPTIONS is counted down, and nothing else is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/hops.h"

static void test_hops(void **state)
{
    (void)state;
    static const struct {
        const char *method, *name, *value;
        enum hops_verdict wanted;
        uint64_t left;
    } rows[] = {
        {"OPTIONS", "Max-Forwards", "1", HOPS_LEFT, 0},
        {"OPTIONS", "max-forwards", "10", HOPS_LEFT, 9},
        {"OPTIONS", "Max-Forwards", "007", HOPS_LEFT, 6},
        {"OPTIONS", "Max-Forwards", "0", HOPS_OVER, 0},
        {"OPTIONS", "Max-Forwards", "000", HOPS_OVER, 0},
        {"OPTIONS", "Max-Forwards", "99999999999999999999999", HOPS_LEFT, 9998},
        {"OPTIONS", "Max-Forwards", "10000", HOPS_LEFT, 9998},
        {"OPTIONS", "Max-Forwards", "", HOPS_MALFORMED, 0},
        {"OPTIONS", "Max-Forwards", "-1", HOPS_MALFORMED, 0},
        {"OPTIONS", "Max-Forwards", "+1", HOPS_MALFORMED, 0},
        {"OPTIONS", "Max-Forwards", "1 2", HOPS_MALFORMED, 0},
        {"OPTIONS", "Max-Forwards", "0x1", HOPS_MALFORMED, 0},
        {"OPTIONS", "Max-Forwards", "1, 2", HOPS_MALFORMED, 0},
        {"OPTIONS", "X", "0", HOPS_UNLIMITED, 0},
        {"GET", "Max-Forwards", "0", HOPS_UNLIMITED, 0},
        {"options", "Max-Forwards", "0", HOPS_UNLIMITED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fields fields = {.count = 0};
        uint64_t left = 0;
        assert_true(fields_add(&fields, str_of(rows[i].name), str_of(rows[i].value)));
        enum hops_verdict got = hops_read(str_of(rows[i].method), &fields, &left);
        if (got != rows[i].wanted || left != rows[i].left)
            fail_msg("%s %s: %s", rows[i].method, rows[i].name, rows[i].value);
    }
}

static void test_two_lines(void **state)
{
    (void)state;
    struct fields fields = {.count = 0};
    uint64_t left = 0;
    assert_true(fields_add(&fields, STR("Max-Forwards"), STR("1")));
    assert_true(fields_add(&fields, STR("Max-Forwards"), STR("1")));
    assert_int_equal(hops_read(STR("OPTIONS"), &fields, &left), HOPS_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_two_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
