// SPDX-License-Identifier: MIT
// Views of bytes: comparing, cutting, numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void test_views(void **state)
{
    (void)state;
    assert_int_equal(str_of(NULL).len, 0);
    assert_int_equal(str_of("abc").len, 3);
    assert_true(str_eq(str_from(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_from(STR("abc"), 3).len, 0);
    assert_int_equal(str_from(STR("abc"), 9).len, 0);
    assert_int_equal(str_from(STR_NONE, 1).len, 0);
    assert_true(str_eq(STR_NONE, STR("")));
    assert_false(str_eq(STR("a"), STR("A")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    char *copy = str_dup(STR("ab\0c"));
    assert_memory_equal(copy, "ab\0c", 5);
    mem_free(copy);
    copy = str_dup(STR_NONE);
    assert_string_equal(copy, "");
    mem_free(copy);
}

static void test_nocase(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("aZ-09"), STR("Az-09")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            const char one = (char)a, other = (char)b;
            bool is_letter = (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
            bool want = a == b || (is_letter && (a ^ b) == 0x20);
            if (str_eq_nocase((struct str){&one, 1}, (struct str){&other, 1}) != want)
                fail_msg("%#x and %#x", a, b);
        }
    }
}

static void test_search(void **state)
{
    (void)state;
    size_t at = 77;
    assert_true(str_find(STR("a,b,c"), ',', &at));
    assert_int_equal(at, 1);
    assert_false(str_find(STR("abc"), ',', &at));
    assert_false(str_find(STR_NONE, ',', &at));
    assert_int_equal(at, 1);
    assert_true(str_has(STR("a\0b"), '\0'));
    assert_false(str_has(STR("ab"), '\0'));
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")) || str_starts(STR("abc"), STR("b")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("")) && str_ends(STR_NONE, STR_NONE));
    assert_false(str_ends(STR("c"), STR("bc")) || str_ends(STR("abc"), STR("ab")));
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        struct str a, b;
        int want;
    } rows[] = {
        {STR(""), STR(""), 0},      {STR("a"), STR("a"), 0},       {STR(""), STR("a"), -1},
        {STR("a"), STR("b"), -1},   {STR("ab"), STR("b"), -1},     {STR("a"), STR("ab"), -1},
        {STR("\xff"), STR("a"), 1}, {STR("a\0b"), STR("a\0a"), 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int there = str_cmp(rows[i].a, rows[i].b), back = str_cmp(rows[i].b, rows[i].a);
        if ((there > 0) - (there < 0) != rows[i].want || (back > 0) - (back < 0) != -rows[i].want)
            fail_msg("row %zu", i);
    }
}

static void test_trim(void **state)
{
    (void)state;
    static const struct {
        struct str in, want;
    } rows[] = {{STR(""), STR("")},   {STR(" \t"), STR("")},      {STR(" a b\t"), STR("a b")},
                {STR("a"), STR("a")}, {STR("\r\n"), STR("\r\n")}, {STR("\t\ta\0 "), STR("a\0")}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!str_eq(str_trim(rows[i].in), rows[i].want))
            fail_msg("row %zu", i);
}

// Pieces joined with '|', so that empty ones show.
static void join(bool by_words, struct str rest, char out[64])
{
    struct str piece;
    size_t len = 0;
    while (by_words ? str_word(&rest, &piece) : str_split(&rest, ',', &piece)) {
        assert_true(len + piece.len + 2 < 64);
        if (piece.len)
            memcpy(out + len, piece.ptr, piece.len);
        len += piece.len;
        out[len++] = '|';
    }
    out[len] = '\0';
}

static void test_split(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {{STR("a,b"), "a|b|"}, {STR("a"), "a|"},   {STR(""), "|"},        {STR("a,"), "a||"},
                {STR(",a"), "|a|"},   {STR(",,"), "|||"}, {STR("a ,b"), "a |b|"}};
    char got[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        join(false, rows[i].in, got);
        assert_string_equal(got, rows[i].want);
    }
    join(false, STR_NONE, got);
    assert_string_equal(got, "");
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {{STR("GET  /x\t**"), "GET|/x|**|"},
                {STR(" a "), "a|"},
                {STR(""), ""},
                {STR(" \t "), ""},
                {STR("a"), "a|"}};
    char got[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        join(true, rows[i].in, got);
        assert_string_equal(got, rows[i].want);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        bool want;
        uint64_t value;
    } rows[] = {
        {STR("0"), true, 0},
        {STR("007"), true, 7},
        {STR("18446744073709551615"), true, UINT64_MAX},
        {STR("00000000000000000000018446744073709551615"), true, UINT64_MAX},
        {STR("18446744073709551616"), false, 0},
        {STR("18446744073709551620"), false, 0},
        {STR("99999999999999999999"), false, 0},
        {STR("184467440737095516150"), false, 0},
        {STR(""), false, 0},
        {STR("+1"), false, 0},
        {STR("-1"), false, 0},
        {STR(" 1"), false, 0},
        {STR("1 "), false, 0},
        {STR("0x1"), false, 0},
        {STR("1\0"), false, 0},
        {STR("1\xb2"), false, 0},
        {STR("/"), false, 0},
        {STR(":"), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 42;
        bool got = str_to_u64(rows[i].in, &value);
        if (got != rows[i].want || value != (got ? rows[i].value : 42))
            fail_msg("row %zu: %d, %llu", i, got, (unsigned long long)value);
    }
}

static void test_characters(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *hex = "0123456789abcdefABCDEF";
        const char *at = byte ? strchr(hex, byte) : NULL;
        int want = at ? (int)(at - hex) : -1;
        assert_int_equal(str_hex_digit((char)byte), want > 15 ? want - 6 : want);
        bool is_upper = byte >= 'A' && byte <= 'Z';
        assert_int_equal((unsigned char)str_lower((char)byte), is_upper ? byte + 32 : byte);
        bool is_alnum = (byte >= '0' && byte <= '9') || is_upper || (byte >= 'a' && byte <= 'z');
        bool is_tchar = byte && (is_alnum || strchr("!#$%&'*+-.^_`|~", byte));
        assert_int_equal(str_is_tchar((char)byte), is_tchar);
    }
    assert_true(str_is_token(STR("a-b")));
    assert_false(str_is_token(STR("a b")) || str_is_token(STR("")) || str_is_token(STR("a\0")));
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned limit, want;
    } rows[] = {
        {"", "", 3, 0},
        {"abc", "abc", 3, 0},
        {"abc", "abd", 3, 1},
        {"abc", "ab", 3, 1},
        {"abc", "xabc", 3, 1},
        {"kitten", "sitting", 3, 3},
        {"kitten", "sitting", 2, 3},
        {"", "abc", 5, 3},
        {"abc", "", 1, 2},
        {"listen", "lisetn", 3, 2},
        {"client_id", "clientid", 2, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned got = str_distance(str_of(rows[i].a), str_of(rows[i].b), rows[i].limit);
        if (got != rows[i].want)
            fail_msg("%s %s: %u", rows[i].a, rows[i].b, got);
    }
    char longest[66] = {0};
    memset(longest, 'a', 65);
    assert_int_equal(str_distance((struct str){longest, 64}, (struct str){longest, 64}, 2), 0);
    assert_int_equal(str_distance((struct str){longest, 65}, (struct str){longest, 65}, 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),      cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_search),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_trim),       cmocka_unit_test(test_split),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_characters), cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
