// SPDX-License-Identifier: MIT
// The request head parser: what it takes apart, what it refuses, and that it never changes its mind
// as more bytes come.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "http/h1.h"

static struct fields fields;

// In memory of its own size, so that AddressSanitizer sees a read past the end.
static enum h1_result parse(struct str text, struct h1_request *out)
{
    char *copy = malloc(text.len ? text.len : 1);
    const char *why = "";
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    enum h1_result result = h1_parse_request((struct str){copy, text.len}, out, &fields, &why);
    assert_int_equal(result == H1_ERROR, why != NULL);
    if (result == H1_DONE) {
        // The views are into the copy: the same places of the original.
        out->method.ptr = text.ptr + (out->method.ptr - copy);
        out->target.ptr = text.ptr + (out->target.ptr - copy);
        out->version.ptr = text.ptr + (out->version.ptr - copy);
        for (size_t i = 0; i < fields.count; i++) {
            fields.items[i].name.ptr = text.ptr + (fields.items[i].name.ptr - copy);
            fields.items[i].value.ptr = text.ptr + (fields.items[i].value.ptr - copy);
        }
    }
    free(copy);
    return result;
}

static void test_parts(void **state)
{
    (void)state;
    struct h1_request head;
    const struct str text =
        STR("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nX-Y:  a b\t\r\nE:\r\n\r\nrest");
    for (size_t len = 0; len < text.len - 4; len++)
        assert_int_equal(parse((struct str){text.ptr, len}, &head), H1_MORE);
    assert_int_equal(parse(text, &head), H1_DONE);
    assert_int_equal(head.head_len, text.len - 4);
    assert_true(str_eq(head.method, STR("CONNECT")));
    assert_true(str_eq(head.target, STR("h:443")));
    assert_true(str_eq(head.version, STR("HTTP/1.1")));
    assert_int_equal(fields.count, 3);
    assert_true(str_eq(fields.items[1].name, STR("X-Y")));
    assert_true(str_eq(fields.items[1].value, STR("a b")));
    assert_int_equal(fields.items[2].value.len, 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "CONNECT  h:1 HTTP/1.1\r\n\r\n",
        "CONNECT h:1  HTTP/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/1.1 \r\n\r\n",
        " CONNECT h:1 HTTP/1.1\r\n\r\n",
        "CONNECT h:1\r\n\r\n",
        "CONNECT \r\n\r\n",
        "\r\n",
        "CONNECT\th:1 HTTP/1.1\r\n\r\n",
        "CONNECT h\t:1 HTTP/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/11.1\r\n\r\n",
        "CONNECT h:1 http/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\n\r\n",
        "CO(NECT h:1 HTTP/1.1\r\n\r\n",
        "CONNECT h\x7f:1 HTTP/1.1\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nX: a\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nX: a\rb\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\n X: a\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nX : a\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nX\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\n: a\r\n\r\n",
    };
    struct h1_request head;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (parse(str_of(heads[i]), &head) != H1_ERROR)
            fail_msg("taken: %s", heads[i]);
    assert_int_equal(parse(STR("CONNECT h:1 HTTP/1.1\r\nX: a\0b\r\n\r\n"), &head), H1_ERROR);
    assert_int_equal(parse(STR("CONNECT h\0:1 HTTP/1.1\r\n\r\n"), &head), H1_ERROR);
}

static void test_too_many_fields(void **state)
{
    (void)state;
    char text[4096] = "CONNECT h:1 HTTP/1.1\r\n";
    size_t len = strlen(text);
    struct h1_request head;
    for (int i = 0; i < FIELDS_MAX; i++, len += 6)
        memcpy(text + len, "X: y\r\n", 6);
    memcpy(text + len, "\r\n", 2);
    assert_int_equal(parse((struct str){text, len + 2}, &head), H1_DONE);
    assert_int_equal(fields.count, FIELDS_MAX);
    memcpy(text + len, "X: y\r\n\r\n", 8);
    assert_int_equal(parse((struct str){text, len + 8}, &head), H1_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
