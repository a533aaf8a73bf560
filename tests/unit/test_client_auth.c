// SPDX-License-Identifier: MIT
// Client authentication: each method sends what RFC 6749 2.3.1 says, and nothing of another method.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "token/client_auth.h"

struct auth_row {
    const char *name;
    int method, encoding;
    const char *id, *secret;
    const char *header, *form; // NULL: refused
};

static const struct auth_row auth_rows[] = {
    {"OA-5 vector", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "1PpG/Q 1",
     "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=",
     "Authorization: Basic "
     "MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUyQndmRlR0MXJGd"
     "yU"
     "zRA==",
     ""},
    {"T14 raw", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "id/1", "a+b:c",
     "Authorization: Basic aWQvMTphK2I6Yw==", ""},
    {"T14 the same form-encoded", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id/1", "a+b:c",
     "Authorization: Basic aWQlMkYxOmElMkJiJTNBYw==", ""},
    {"OA-4 post", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id/1", "a b&c=%", "",
     "&client_id=id%2F1&client_secret=a+b%26c%3D%25"},
    {"OA-4 post, raw is for basic only", AUTH_CLIENT_SECRET_POST, BASIC_RAW, "i", "a+b", "",
     "&client_id=i&client_secret=a%2Bb"},
    {"OA-4 none", AUTH_NONE, BASIC_FORM, "public", "", "", "&client_id=public"},
    {"base64, one over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "c",
     "Authorization: Basic YWI6Yw==", ""},
    {"base64, two over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "cd",
     "Authorization: Basic YWI6Y2Q=", ""},
    {"base64, none over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "cde",
     "Authorization: Basic YWI6Y2Rl", ""},
    {"a ':' in a raw id moves the border", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "a:b", "Zq9", NULL,
     NULL},
    {"a ':' in an encoded id does not", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "a:b", "c",
     "Authorization: Basic YSUzQWI6Yw==", ""},
    {"empty secret", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id", "", NULL, NULL},
    {"empty secret, post", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id", "", NULL, NULL},
    {"T17 newline left in the secret", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id", "s\n", NULL,
     NULL},
    {"OA-7 not ASCII", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id", "\xc3\xb6", NULL, NULL},
    {"OA-7 control character", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "id", "a\x7f", NULL, NULL},
};

static void test_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(auth_rows); i++) {
        const struct auth_row *row = &auth_rows[i];
        struct config_credential credential = {.client_id = (char *)(uintptr_t)row->id,
                                               .auth_method = row->method,
                                               .basic_encoding = row->encoding};
        struct buf header, form;
        struct err err = {0};
        buf_init(&header, 4096);
        buf_init(&form, 4096);
        bool ok = client_auth_add(&credential, str_of(row->secret), &header, &form, &err);
        if (ok != (row->header != NULL))
            fail_msg("%s: %s", row->name, ok ? "accepted" : err.text);
        if (ok && !str_eq(buf_str(&header), str_of(row->header)))
            fail_msg("%s: header %.*s", row->name, STR_ARG(buf_str(&header)));
        if (ok && !str_eq(buf_str(&form), str_of(row->form)))
            fail_msg("%s: form %.*s", row->name, STR_ARG(buf_str(&form)));
        // Refusals talk about the secret, and never with it.
        if (!ok && row->secret[0] && strstr(err.text, row->secret))
            fail_msg("%s: secret in %s", row->name, err.text);
        buf_fini(&header);
        buf_fini(&form);
    }
}

static void test_form_encoding_of_all_bytes(void **state)
{
    (void)state;
    static const char plain[] =
        "*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c, expected[4];
        struct buf out;
        buf_init(&out, 16);
        assert_true(client_auth_form_encode((struct str){&byte, 1}, &out));
        if (c && strchr(plain, (int)c))
            snprintf(expected, sizeof expected, "%c", (int)c);
        else
            snprintf(expected, sizeof expected, c == ' ' ? "+" : "%%%02X", c);
        if (!str_eq(buf_str(&out), str_of(expected)))
            fail_msg("byte %u: %.*s", c, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct config_credential credential = {.client_id = (char *)(uintptr_t) "id"};
    static const int methods[] = {AUTH_CLIENT_SECRET_BASIC, AUTH_CLIENT_SECRET_POST};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct buf header, form;
        struct err err = {0};
        buf_init(&header, 20);
        buf_init(&form, 20);
        credential.auth_method = methods[i];
        assert_false(client_auth_add(&credential, STR("0123456789"), &header, &form, &err));
        assert_non_null(strstr(err.text, "too long"));
        buf_fini(&header);
        buf_fini(&form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_form_encoding_of_all_bytes),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
