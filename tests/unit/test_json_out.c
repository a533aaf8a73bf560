// SPDX-License-Identifier: MIT
// JSON as it is written: commas, escapes, numbers, and what happens at the ceiling.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_out.h"

static void write_all(struct json_out *json)
{
    json_open(json, NULL, '{');
    json_text(json, "t", "a\"b\\c\n<script>\xc3\xa9\xff");
    json_text(json, "none", NULL);
    json_open(json, "list", '[');
    json_number(json, NULL, UINT64_MAX);
    json_signed(json, NULL, -5);
    json_seconds(json, NULL, 1050);
    json_seconds(json, NULL, -1);
    json_open(json, NULL, '{');
    json_close(json, '}');
    json_open(json, NULL, '[');
    json_close(json, ']');
    json_bool(json, NULL, true);
    json_close(json, ']');
    json_bool(json, "b", false);
    json_str(json, "s", STR_NONE);
    json_close(json, '}');
}

static const char want[] = "{\"t\":\"a\\\"b\\\\c\\u000a<script>\\u00e9\\ufffd\",\"none\":null,"
                           "\"list\":[18446744073709551615,-5,1.050,-0.001,{},[],true],"
                           "\"b\":false,\"s\":\"\"}\n";

static void test_shape(void **state)
{
    (void)state;
    struct buf out;
    struct json_out json;
    buf_init(&out, 1000);
    json_out_init(&json, &out);
    write_all(&json);
    assert_true(json_end(&json));
    char *text = buf_take(&out);
    assert_string_equal(text, want);
    mem_free(text);
}

// Whatever the ceiling: it fits whole, or it is said that it does not.
static void test_ceilings(void **state)
{
    (void)state;
    for (size_t max = 0; max < sizeof want + 64; max++) {
        struct buf out;
        struct json_out json;
        buf_init(&out, max);
        json_out_init(&json, &out);
        write_all(&json);
        bool ok = json_end(&json);
        assert_int_equal(ok, out.len == sizeof want - 1);
        if (max >= sizeof want + 32)
            assert_true(ok);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
