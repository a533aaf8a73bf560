// SPDX-License-Identifier: MIT
// JSON Web Tokens shown to people: what is printed of which, and what is said of those that are
// none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "token/jose.h"
#include "token/jwt.h"

struct row {
    const char *header, *claims; // as JSON text; encoded by the test
    const char *want;            // what is printed; NULL: a failure
    const char *why;             // in the message then
};

#define PRINTED(claims) "{\n  \"header\": {},\n  \"claims\": " claims "\n}\n"

static const struct row rows[] = {
    {"{}", "{}", PRINTED("{}"), NULL},
    {"{\"alg\":\"RS256\"}", "{\"b\":1,\"a\":[true,null]}",
     "{\n  \"header\": {\n    \"alg\": \"RS256\"\n  },\n  \"claims\": {\n    \"b\": 1,\n    \"a\": "
     "[\n      true,\n      null\n    ]\n  }\n}\n",
     NULL},
    // times stay what they are
    {"{}", "{\"exp\":1766000000}", PRINTED("{\n    \"exp\": 1766000000\n  }"), NULL},
    {"{}", "{\"exp\":1766000000.5}", PRINTED("{\n    \"exp\": 1766000000.5\n  }"), NULL},
    {"{}", "{\"n\":123456789012345678901}", PRINTED("{\n    \"n\": 1.2345678901234568e20\n  }"),
     NULL},
    // nothing that a terminal would obey
    {"{}", "{\"a\":\"\\u001b[2J\xc2\x9b\xc3\xa9\"}",
     PRINTED("{\n    \"a\": \"\\u001B[2J\\u009B\\u00E9\"\n  }"), NULL},
    {"{", "{}", NULL, "header is not right"},
    {"[]", "{}", NULL, "header is not right: the body is not a JSON object"},
    {"{}", "\"text\"", NULL, "payload is not right: the body is not valid JSON"},
    {"{}", "", NULL, "payload is not right: the body is empty"},
    {"{}", "{\"a\":1,\"a\":2}", NULL, "payload is not right"},
    {"{}", "{\"a\":\"\xff\"}", NULL, "payload is not right"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf token, out;
        struct err err = {""};
        buf_init(&token, 4096);
        buf_init(&out, 4096);
        assert_true(jose_base64url(str_of(rows[i].header), &token));
        assert_true(buf_append_char(&token, '.'));
        assert_true(jose_base64url(str_of(rows[i].claims), &token));
        assert_true(buf_append(&token, STR(".c2lnbmF0dXJl")));
        assert_int_equal(jwt_print(buf_str(&token), &out, &err), rows[i].want != NULL);
        char *printed = buf_take(&out);
        if (rows[i].want)
            assert_string_equal(printed, rows[i].want);
        else
            assert_non_null(strstr(err.text, rows[i].why));
        mem_free(printed);
        buf_fini(&token);
    }
}

// The compact serialisation itself: what is not exactly that is no JWT.
static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *token, *why; // why NULL: fine
    } shapes[] = {
        {"e30.e30.", NULL}, // alg none has an empty signature
        {"e30.e30.c2ln", NULL},
        {"", "three parts"},
        {"opaque", "three parts"},
        {"e30.e30", "three parts"},
        {"e30.e30.x.y", "three parts"},
        {"e30.e30.x.y.z", "JWE"},
        {"..", "header is not right: the body is empty"},
        {"e30=.e30.x", "header is not base64url"},
        {"e31.e30.x", "header is not base64url"},    // a bit left over
        {"e30.e3.x", "payload is not base64url"},    // likewise
        {"e30.e30e3.x", "payload is not base64url"}, // five digits are no whole bytes
        {"e30.e+0.x", "payload is not base64url"},
        {"e30.e 0.x", "payload is not base64url"},
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct buf out;
        struct err err = {""};
        buf_init(&out, 4096);
        bool is_printed = jwt_print(str_of(shapes[i].token), &out, &err);
        assert_int_equal(is_printed, shapes[i].why == NULL);
        if (shapes[i].why)
            assert_non_null(strstr(err.text, shapes[i].why));
        assert_int_equal(out.len > 0, is_printed);
        buf_fini(&out);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    struct buf plain, token, out;
    struct err err = {""};
    buf_init(&plain, 1 << 20);
    buf_init(&token, 1 << 20);
    buf_init(&out, 1 << 20);
    for (int i = 0; i < 100; i++)
        assert_true(buf_append(&plain, STR("{\"a\":")));
    assert_true(buf_append(&token, STR("e30.")) && jose_base64url(buf_str(&plain), &token) &&
                buf_append(&token, STR(".")));
    assert_false(jwt_print(buf_str(&token), &out, &err));
    assert_non_null(strstr(err.text, "nested deeper"));
    buf_clear(&token);
    assert_true(buf_append(&token, STR("e30.")));
    for (int i = 0; i < 25000; i++) // 100,000 digits, 75,000 bytes
        assert_true(buf_append(&token, STR("ICAg")));
    assert_true(buf_append(&token, STR(".")));
    assert_false(jwt_print(buf_str(&token), &out, &err));
    // what it prints has a ceiling as well
    buf_fini(&out);
    buf_init(&out, 10);
    assert_false(jwt_print(STR("e30.e30."), &out, &err));
    assert_non_null(strstr(err.text, "too long"));
    buf_fini(&plain);
    buf_fini(&token);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
