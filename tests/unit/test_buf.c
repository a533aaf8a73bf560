// SPDX-License-Identifier: MIT
// Growable bytes: the ceiling holds, and a refused append changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"

static void test_grows_up_to_its_ceiling(void **state)
{
    (void)state;
    static const size_t ceilings[] = {1, 255, 256, 257, 1000, 5000};
    for (size_t i = 0; i < ARRAY_LEN(ceilings); i++) {
        struct buf buf;
        buf_init(&buf, ceilings[i]);
        for (size_t len = 0; len < ceilings[i]; len++)
            assert_true(buf_append_char(&buf, (char)('a' + len % 26)));
        assert_false(buf_append_char(&buf, 'x'));
        assert_int_equal(buf.len, ceilings[i]);
        assert_true(buf.cap <= ceilings[i]);
        for (size_t len = 0; len < ceilings[i]; len++)
            assert_int_equal(buf.ptr[len], 'a' + len % 26);
        buf_fini(&buf);
        assert_null(buf.ptr);
    }
}

static void test_refusal_changes_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 8);
    assert_true(buf_append(&buf, STR("abc")));
    assert_false(buf_append(&buf, STR("123456")));
    assert_false(buf_reserve(&buf, 6));
    assert_false(buf_reserve(&buf, SIZE_MAX));
    assert_false(buf_reserve(&buf, SIZE_MAX - 2));
    assert_false(buf_printf(&buf, "%s", "123456"));
    assert_true(str_eq(buf_str(&buf), STR("abc")));
    assert_true(buf_append(&buf, STR("12345")));
    assert_true(buf_append(&buf, STR_NONE));
    assert_true(str_eq(buf_str(&buf), STR("abc12345")));
    buf_fini(&buf);
    buf_init(&buf, 0);
    assert_true(buf_append(&buf, STR("")));
    assert_false(buf_append_char(&buf, 'a'));
    buf_fini(&buf);
}

static void test_reserve_gives_room(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100000);
    for (size_t more = 1; more < 40000; more *= 3) {
        assert_true(buf_reserve(&buf, more));
        assert_true(buf.cap - buf.len >= more);
        memset(buf.ptr + buf.len, 'r', more); // AddressSanitizer says whether it is true
        buf.len += more;
    }
    buf_fini(&buf);
}

static void test_numbers(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 64);
    assert_true(buf_append_u64(&buf, 0) && buf_append_char(&buf, ' '));
    assert_true(buf_append_u64(&buf, 9070) && buf_append_char(&buf, ' '));
    assert_true(buf_append_u64(&buf, UINT64_MAX));
    assert_true(str_eq(buf_str(&buf), STR("0 9070 18446744073709551615")));
    buf_fini(&buf);
    buf_init(&buf, 3);
    assert_false(buf_append_u64(&buf, 1000));
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void test_printf(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 2000);
    assert_true(buf_printf(&buf, "%d-%s|", 7, "x"));
    assert_true(buf_printf(&buf, "%0600d", 1)); // beyond the first allocation
    assert_int_equal(buf.len, 604);
    assert_memory_equal(buf.ptr, "7-x|000", 7);
    assert_int_equal(buf.ptr[603], '1');
    buf_fini(&buf);
}

static void test_consume_and_clear(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    assert_true(buf_append(&buf, STR("0123456789")));
    buf_consume(&buf, 0);
    buf_consume(&buf, 4);
    assert_true(str_eq(buf_str(&buf), STR("456789")));
    buf_consume(&buf, 6);
    assert_int_equal(buf.len, 0);
    assert_true(buf_append(&buf, STR("ab")));
    const char *memory = buf.ptr;
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_true(buf_append(&buf, STR("cd")));
    assert_ptr_equal(buf.ptr, memory);
    buf_fini(&buf);
}

static void test_take(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    char *text = buf_take(&buf);
    assert_string_equal(text, "");
    mem_free(text);
    assert_true(buf_append(&buf, STR("abc")));
    text = buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_int_equal(buf.len, 0);
    assert_true(buf_append(&buf, STR("d"))); // still usable, with its ceiling
    assert_int_equal(buf.max, 100);
    mem_free(text);
    buf_fini(&buf);
}

static void test_secrets_are_compared_whole(void **state)
{
    (void)state;
    assert_false(mem_secret_differs("abc", 3, "abc", 3));
    assert_true(mem_secret_differs("abc", 3, "abd", 3));
    assert_true(mem_secret_differs("xbc", 3, "abc", 3));
    assert_true(mem_secret_differs("abc", 3, "abcabc", 6)); // b is read modulo its length
    assert_true(mem_secret_differs("abcabc", 6, "abc", 3));
    assert_true(mem_secret_differs("", 0, "a", 1));
    assert_true(mem_secret_differs("a", 1, "", 0));
    assert_true(mem_secret_differs("\0", 1, "", 0));
    assert_false(mem_secret_differs("", 0, "", 0));
    char secret[] = "secret";
    mem_wipe(secret, 6);
    assert_memory_equal(secret, "\0\0\0\0\0\0", 6);
    mem_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_up_to_its_ceiling),
        cmocka_unit_test(test_refusal_changes_nothing),
        cmocka_unit_test(test_reserve_gives_room),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_consume_and_clear),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_secrets_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
