// SPDX-License-Identifier: MIT
// Prometheus' text format: labels and their escapes, seconds, histograms that add up.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "admin/exposition.h"

static struct buf out;
static struct exposition exposition;

static int set_up(void **state)
{
    (void)state;
    buf_init(&out, 10000);
    exposition_init(&exposition, &out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static void check(const char *want)
{
    assert_false(exposition.has_failed);
    char *text = buf_take(&out);
    assert_string_equal(text, want);
    mem_free(text);
    buf_init(&out, 10000);
}

static void test_samples(void **state)
{
    (void)state;
    exposition_family(&exposition, "a_total", "counter", "What it is.");
    exposition_number(&exposition, UINT64_MAX);
    exposition_label(&exposition, 0, "x", "plain");
    exposition_label(&exposition, 1, "y", "a\"b\\c\nd");
    exposition_label(&exposition, 2, "z", "");   // an empty value is none
    exposition_label(&exposition, 3, "w", NULL); // likewise
    exposition_number(&exposition, 0);
    exposition_label(&exposition, 1, "y", "other"); // ends the list behind it
    exposition_number(&exposition, 1);
    exposition_family(&exposition, "b", "gauge", "Another.");
    exposition_number(&exposition, 2);
    check("# HELP a_total What it is.\n# TYPE a_total counter\na_total 18446744073709551615\n"
          "a_total{x=\"plain\",y=\"a\\\"b\\\\c\\nd\"} 0\na_total{x=\"plain\",y=\"other\"} 1\n"
          "# HELP b Another.\n# TYPE b gauge\nb 2\n");
}

static void test_labels_are_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"café €😀", "café €😀"},
        {"caf\xe9", "caf\uFFFD"},
        {"\xe9\"\xc3", "\uFFFD\\\"\uFFFD"},
        {"\xe2\x82x", "\uFFFD\uFFFDx"},         // cut
        {"\xc0\xaf", "\uFFFD\uFFFD"},           // overlong
        {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"}, // a surrogate
    };
    char want[64];
    exposition.family = "s";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        exposition_label(&exposition, 0, "x", rows[i].value);
        exposition_number(&exposition, 1);
        snprintf(want, sizeof want, "s{x=\"%s\"} 1\n", rows[i].want);
        check(want);
    }
}

static void test_seconds(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *want;
    } rows[] = {
        {0, "s 0\n"},         {1, "s 0.000001\n"},    {1500000, "s 1.5\n"},
        {10000000, "s 10\n"}, {-250000, "s -0.25\n"}, {-1000000, "s -1\n"},
    };
    exposition.family = "s";
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        exposition_seconds_us(&exposition, rows[i].us);
        check(rows[i].want);
    }
}

static void test_histogram(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 400);
    histogram_add(&histogram, 600);
    histogram_add(&histogram, 99000000);
    exposition.family = "h";
    exposition_label(&exposition, 0, "x", "y");
    exposition_histogram(&exposition, &histogram);
    check("h_bucket{x=\"y\",le=\"0.0005\"} 1\nh_bucket{x=\"y\",le=\"0.001\"} 2\n"
          "h_bucket{x=\"y\",le=\"0.0025\"} 2\nh_bucket{x=\"y\",le=\"0.005\"} 2\n"
          "h_bucket{x=\"y\",le=\"0.01\"} 2\nh_bucket{x=\"y\",le=\"0.025\"} 2\n"
          "h_bucket{x=\"y\",le=\"0.05\"} 2\nh_bucket{x=\"y\",le=\"0.1\"} 2\n"
          "h_bucket{x=\"y\",le=\"0.25\"} 2\nh_bucket{x=\"y\",le=\"0.5\"} 2\n"
          "h_bucket{x=\"y\",le=\"1\"} 2\nh_bucket{x=\"y\",le=\"2.5\"} 2\n"
          "h_bucket{x=\"y\",le=\"5\"} 2\nh_bucket{x=\"y\",le=\"10\"} 2\n"
          "h_bucket{x=\"y\",le=\"30\"} 2\nh_bucket{x=\"y\",le=\"+Inf\"} 3\n"
          "h_sum{x=\"y\"} 99.001\nh_count{x=\"y\"} 3\n");
}

// Never a page that was cut somewhere.
static void test_too_small(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 64);
    exposition_init(&exposition, &small);
    exposition_family(&exposition, "a", "gauge", "b");
    for (int i = 0; i < 20; i++)
        exposition_number(&exposition, 1);
    assert_true(exposition.has_failed);
    buf_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_labels_are_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_seconds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_histogram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_small, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
