// SPDX-License-Identifier: MIT
// What is hidden from libraries is still there for the configuration, and for a successor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"

// The one line of that name; "": there is none.
static const char *in_list(const char *name)
{
    static char found[256];
    static const char *const more[] = {"TEST_MORE=3", NULL};
    char **list = env_list(more);
    size_t len = strlen(name);
    found[0] = '\0';
    for (char **line = list; *line; line++) {
        if (strncmp(*line, name, len) != 0 || (*line)[len] != '=')
            continue;
        assert_string_equal(found, "");
        snprintf(found, sizeof found, "%s", *line);
    }
    mem_free(list);
    return found;
}

static void test_hidden(void **state)
{
    (void)state;
    setenv("TEST_HIDDEN", "1=1", 1);
    env_hide("TEST_HIDDEN");
    env_hide("TEST_NEVER_SET");
    assert_null(getenv("TEST_HIDDEN"));
    assert_string_equal(env_get("TEST_HIDDEN"), "1=1");
    assert_null(env_get("TEST_NEVER_SET"));
    assert_string_equal(in_list("TEST_HIDDEN"), "TEST_HIDDEN=1=1");
    assert_string_equal(in_list("TEST_NEVER_SET"), "");
}

static void test_forgotten(void **state)
{
    (void)state;
    setenv("TEST_FORGOTTEN", "2", 1);
    assert_string_equal(env_get("TEST_FORGOTTEN"), "2");
    env_forget("TEST_FORGOTTEN");
    assert_null(env_get("TEST_FORGOTTEN"));
    assert_string_equal(in_list("TEST_FORGOTTEN"), "");
}

static void test_list(void **state)
{
    (void)state;
    setenv("TEST_PLAIN", "4", 1);
    assert_string_equal(in_list("TEST_PLAIN"), "TEST_PLAIN=4");
    assert_string_equal(in_list("TEST_MORE"), "TEST_MORE=3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
