// SPDX-License-Identifier: MIT
// How often an authorization server is asked, as numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "token/pace.h"

struct hold_row {
    const char *name;
    enum token_failure_kind kind;
    unsigned failed_count;
    double jitter;
    uint64_t retry_after_ms, wait_ms;
};

static const struct hold_row hold_rows[] = {
    {"first", FAILURE_TRANSIENT, 1, 0, 0, 1000},
    {"second", FAILURE_UNREACHABLE, 2, 0, 0, 2000},
    {"third", FAILURE_TIMEOUT, 3, 0, 0, 4000},
    {"sixth", FAILURE_MALFORMED, 6, 0, 0, 32000},
    {"ceiling", FAILURE_TRANSIENT, 7, 0, 0, 60000},
    {"no overflow", FAILURE_TRANSIENT, 4000000000, 0, 0, 60000},
    {"jitter takes away", FAILURE_TRANSIENT, 7, 1, 0, 45000},
    {"half of the jitter", FAILURE_TRANSIENT, 1, 0.5, 0, 875},
    {"Retry-After is longer", FAILURE_TRANSIENT, 1, 0, 7000, 7000},
    {"Retry-After is not spread", FAILURE_TRANSIENT, 1, 1, 7000, 7000},
    {"Retry-After is shorter", FAILURE_TRANSIENT, 4, 0, 7000, 8000},
    {"OA-15 refused", FAILURE_REFUSED, 1, 0, 0, 60000},
    {"OA-15 refused, 30 s at least", FAILURE_REFUSED, 1, 1, 0, 45000},
    {"refused again", FAILURE_REFUSED, 2, 0, 0, 120000},
    {"refused for good", FAILURE_REFUSED, 9, 0, 0, 300000},
    {"T34 local", FAILURE_LOCAL, 1, 0, 0, 1000},
    {"T34 local, soon again", FAILURE_LOCAL, 9, 0, 0, 5000},
};

static void test_hold_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hold_rows); i++) {
        const struct hold_row *row = &hold_rows[i];
        uint64_t wait_ms = pace_hold_off_ms(&pace_default, row->kind, row->failed_count,
                                            row->jitter, row->retry_after_ms);
        if (wait_ms != row->wait_ms)
            fail_msg("%s: %llu", row->name, (unsigned long long)wait_ms);
    }
}

static void test_floor(void **state) // T09
{
    (void)state;
    static const uint64_t rows[][2] = {{0, 1000},     {500, 1000},     {10000, 1000},
                                       {30000, 3000}, {100000, 10000}, {86400000, 10000}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(pace_floor_ms(&pace_default, rows[i][0]), rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_off),
        cmocka_unit_test(test_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
