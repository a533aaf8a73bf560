// SPDX-License-Identifier: MIT
// Error texts: filled, cut, never overrun.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

static void test_set(void **state)
{
    (void)state;
    struct err err;
    assert_false(err_set(&err, "%s:%d: no", "file", 7));
    assert_string_equal(err.text, "file:7: no");
    assert_false(err_set(NULL, "%d", 1));
}

static void test_errno(void **state)
{
    (void)state;
    struct err err;
    errno = ENOENT;
    assert_false(err_errno(&err, "cannot open %s", "/x"));
    assert_string_equal(err.text, "cannot open /x: No such file or directory");
    assert_false(err_errno(NULL, "x"));
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct {
        struct err err;
        char guard[8];
    } box;
    memset(box.guard, 'G', sizeof box.guard);
    char text[ERR_TEXT_MAX * 2];
    memset(text, 'a', sizeof text);
    // Around the end: the message just fits, and the part behind the colon does not.
    for (size_t len = ERR_TEXT_MAX - 40; len < ERR_TEXT_MAX + 4; len++) {
        text[len] = '\0';
        errno = EACCES;
        assert_false(err_errno(&box.err, "%s", text));
        size_t got = strlen(box.err.text);
        size_t whole = len + strlen(": Permission denied");
        assert_int_equal(got, whole < ERR_TEXT_MAX ? whole : ERR_TEXT_MAX - 1);
        assert_false(err_set(&box.err, "%s", text));
        assert_int_equal(strlen(box.err.text), len < ERR_TEXT_MAX ? len : ERR_TEXT_MAX - 1);
        text[len] = 'a';
    }
    assert_memory_equal(box.guard, "GGGGGGGG", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
