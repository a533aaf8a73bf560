// SPDX-License-Identifier: MIT
// Counters read while they are written, and histograms: which bucket, which quantile.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/stats.h"

static void test_counters(void **state)
{
    (void)state;
    uint64_t counter = 0;
    stat_add(&counter, 5);
    stat_sub(&counter, 2);
    assert_int_equal(stat_get(&counter), 3);
    stat_set(&counter, 7);
    uint64_t sum[2] = {1, 2}, from[2] = {counter, UINT64_C(1) << 40};
    stats_sum(sum, from, 2);
    assert_int_equal(sum[0], 8);
    assert_int_equal(sum[1], (UINT64_C(1) << 40) + 2);
}

static void *count_up(void *arg)
{
    for (int i = 0; i < 200000; i++)
        stat_add(arg, 1);
    return NULL;
}

// What another thread reads only ever grows, and is whole in the end.
static void test_read_while_written(void **state)
{
    (void)state;
    uint64_t counter = 0, last = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count_up, &counter), 0);
    while (last < 200000) {
        uint64_t sum = 0;
        stats_sum(&sum, &counter, 1);
        assert_true(sum >= last);
        last = sum;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(counter, 200000);
}

static void test_buckets(void **state)
{
    (void)state;
    static const struct {
        uint64_t took_us;
        size_t bucket;
    } rows[] = {
        {0, 0},      {500, 0},    {501, 1},       {1000, 1},      {1001, 2},
        {100000, 7}, {100001, 8}, {30000000, 14}, {30000001, 15}, {UINT64_MAX, 15},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct histogram histogram = {0};
        histogram_add(&histogram, rows[i].took_us);
        assert_int_equal(histogram.buckets[rows[i].bucket], 1);
        assert_int_equal(histogram_count(&histogram), 1);
        assert_int_equal(histogram.sum_us, rows[i].took_us);
    }
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

static void test_quantiles(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    assert_int_equal(histogram_quantile_us(&histogram, 0.5), 0);
    histogram.buckets[0] = 50; // up to 500
    histogram.buckets[4] = 50; // 5000 to 10000
    assert_int_equal(histogram_quantile_us(&histogram, 0.5), 500);
    assert_int_equal(histogram_quantile_us(&histogram, 0.25), 250);
    assert_int_equal(histogram_quantile_us(&histogram, 0.75), 7500);
    assert_int_equal(histogram_quantile_us(&histogram, 1), 10000);
    histogram.buckets[HISTOGRAM_BOUNDS] = 900;
    assert_int_equal(histogram_quantile_us(&histogram, 0.99), 30000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_read_while_written),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
