// SPDX-License-Identifier: MIT
// Addresses to listen on: which of them are one place, and which are paths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/server.h"

static void test_overlaps(void **state)
{
    static const struct {
        const char *one, *other;
        bool overlap;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},  {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false}, {"127.0.0.1:80", "0.0.0.0:80", true},
        {":80", "127.0.0.1:80", true},           {"0.0.0.0:80", "0.0.0.0:81", false},
        {"localhost:80", "127.0.0.1:80", true},  {"localhost:80", "127.0.0.2:80", false},
        {"[::1]:80", "[::1]:80", true},          {"[::1]:80", "[::2]:80", false},
        {"[::]:80", "[::2]:80", true},           {"[::]:80", "[::2]:81", false},
        {"[::]:80", "127.0.0.1:80", false},      {"0.0.0.0:80", "[::1]:80", false},
        {"unix:/a", "unix:/a", false},           {"unix:/a:80", "127.0.0.1:80", false},
        {"fd:web", "127.0.0.1:80", false},       {"", "", false},
        {"127.0.0.1:x", "127.0.0.1:x", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(listen_overlaps(cases[i].one, cases[i].other), cases[i].overlap);
        assert_int_equal(listen_overlaps(cases[i].other, cases[i].one), cases[i].overlap);
    }
}

static void test_path(void **state)
{
    (void)state;
    assert_string_equal(listen_path("unix:/run/a"), "/run/a");
    assert_string_equal(listen_path("unix:"), "");
    assert_null(listen_path("unix"));
    assert_null(listen_path("127.0.0.1:80"));
    assert_null(listen_path(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
