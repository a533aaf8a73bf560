// SPDX-License-Identifier: MIT
// Secrets: each kind of reference, the newline at a file's end (T17), files that others can read,
// files that come later (T34), and that no error text holds a value.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "config/secret.h"

// "value", or "!error" with the folder's name taken out.
static char *read_reference(const char *reference)
{
    struct err err;
    struct buf value;
    buf_init(&value, SECRET_MAX + 16);
    struct secret *secret = secret_new(reference, &err);
    bool ok = secret && secret_read(secret, &value, &err);
    if (!ok) {
        const char *folder = strstr(err.text, text_folder);
        int before = folder ? (int)(folder - err.text) : 0;
        const char *rest = folder ? folder + strlen(text_folder) : err.text;
        assert_true(buf_printf(&value, "!%.*s%s", before, err.text, rest));
    }
    secret_free(secret);
    return buf_take(&value);
}

static void check(const char *reference, const char *want)
{
    char *got = read_reference(reference);
    assert_string_equal(got, want);
    mem_free(got);
}

static void test_literal(void **state)
{
    (void)state;
    check("s3cret", "s3cret");
    check("a:b", "a:b");
    check("environment:x", "environment:x");
    check("", "!a secret must not be empty");
    check("exec:pass show x", "!exec: is not known; a secret is env:NAME, file:PATH, "
                              "credential:NAME or the literal");
}

static void test_env(void **state)
{
    (void)state;
    setenv("BEARERD_S", "value\n", 1);
    setenv("BEARERD_S_EMPTY", "", 1);
    unsetenv("BEARERD_S_NONE");
    check("env:BEARERD_S", "value\n"); // only files get a newline from their editor
    check("env:BEARERD_S_NONE", "!the environment variable BEARERD_S_NONE is not set");
    check("env:BEARERD_S_EMPTY", "!the environment variable BEARERD_S_EMPTY is empty");
    check("env:", "!env: must be followed by a variable's name");
    check("env:A B", "!env: must be followed by a variable's name");
    // The value is taken at once: what happens to the environment later does not matter.
    struct err err;
    struct buf value;
    struct secret *secret = secret_new("env:BEARERD_S", &err);
    assert_non_null(secret);
    unsetenv("BEARERD_S");
    buf_init(&value, SECRET_MAX);
    assert_true(secret_read(secret, &value, &err));
    assert_true(str_eq(buf_str(&value), STR("value\n")));
    assert_string_equal(secret_origin(secret), "env:BEARERD_S");
    buf_fini(&value);
    secret_free(secret);
}

static void check_file(const char *content, const char *want)
{
    char reference[300];
    text_write("s", content);
    snprintf(reference, sizeof reference, "file:%s", text_path("s"));
    check(reference, want);
    text_remove("s");
}

static void test_t17_newline(void **state)
{
    (void)state;
    check_file("value", "value");
    check_file("value\n", "value");
    check_file("value\r\n", "value");
    check_file("value\n\n", "value\n");
    check_file("\nvalue\n", "\nvalue");
    check_file(" value \n", " value ");
    check_file("a\rb\n", "a\rb");
    check_file("value\r", "value\r"); // no line end of any system in use
    check_file("", "!/s is empty");
    check_file("\n", "!/s is empty");
}

static void test_t17_rotated_file_is_read_anew(void **state)
{
    (void)state;
    struct err err;
    struct buf value;
    char reference[300];
    buf_init(&value, SECRET_MAX);
    snprintf(reference, sizeof reference, "file:%s", text_path("s"));
    struct secret *secret = secret_new(reference, &err);
    assert_non_null(secret); // T34: it need not be there yet
    assert_false(secret_read(secret, &value, &err));
    assert_non_null(strstr(err.text, "No such file"));
    text_write("s", "one\n");
    assert_true(secret_read(secret, &value, &err));
    text_write("s", "two\n");
    assert_true(secret_read(secret, &value, &err));
    assert_true(str_eq(buf_str(&value), STR("onetwo")));
    text_remove("s");
    buf_fini(&value);
    secret_free(secret);
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        const char *want;
    } rows[] = {
        {0600, "v"},
        {0400, "v"},
        {0440, "v"},
        {0640, "v"},
        {0604, "!/s is open to every user of this machine (mode 0604): chmod o= "},
        {0666, "!/s is open to every user of this machine (mode 0666): chmod o= "},
        {0601, "!/s is open to every user of this machine (mode 0601): chmod o= "},
    };
    char reference[300];
    snprintf(reference, sizeof reference, "file:%s", text_path("s"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text_write_bytes("s", "v\n", 2, rows[i].mode);
        char *got = read_reference(reference);
        assert_int_equal(strncmp(got, rows[i].want, strlen(rows[i].want)), 0);
        mem_free(got);
        text_remove("s");
    }
}

static void test_not_a_file(void **state)
{
    (void)state;
    char reference[300];
    assert_int_equal(mkfifo(text_path("s"), 0600), 0); // must not block either
    snprintf(reference, sizeof reference, "file:%s", text_path("s"));
    check(reference, "!/s is not a regular file");
    text_remove("s");
    check("file:", "!file: must be followed by a path");
}

static void test_ceiling(void **state)
{
    (void)state;
    static char bytes[SECRET_MAX + 4];
    memset(bytes, 'x', sizeof bytes);
    struct err err;
    struct buf value;
    char reference[300];
    snprintf(reference, sizeof reference, "file:%s", text_path("s"));
    struct secret *secret = secret_new(reference, &err);
    static const struct {
        size_t len;
        bool want;
    } rows[] = {{SECRET_MAX, true}, {SECRET_MAX + 1, false}, {SECRET_MAX + 4, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text_write_bytes("s", bytes, rows[i].len, 0600);
        buf_init(&value, SECRET_MAX);
        assert_int_equal(secret_read(secret, &value, &err), rows[i].want);
        buf_fini(&value);
    }
    text_remove("s");
    secret_free(secret);
    bytes[SECRET_MAX + 1] = '\0';
    assert_null(secret_new(bytes, &err));
    bytes[SECRET_MAX] = '\0';
    secret = secret_new(bytes, &err);
    assert_non_null(secret);
    secret_free(secret);
}

static void test_credential(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    check("credential:key",
          "!credential:key: CREDENTIALS_DIRECTORY is not set (systemd sets it for "
          "a unit with LoadCredential=)");
    setenv("CREDENTIALS_DIRECTORY", text_folder, 1);
    check("credential:key", "!cannot open /key: No such file or directory");
    text_write("key", "value\n");
    check("credential:key", "value");
    text_remove("key");
    check("credential:../key", "!credential: must be followed by the name of a systemd credential");
    check("credential:", "!credential: must be followed by the name of a systemd credential");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_origin(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"hunter2", "(literal)"}, {"file:/x", "file:/x"}, {"credential:x", "credential:x"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct secret *secret = secret_new(rows[i][0], NULL);
        assert_string_equal(secret_origin(secret), rows[i][1]);
        secret_free(secret);
    }
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal),     cmocka_unit_test(test_env),
        cmocka_unit_test(test_t17_newline), cmocka_unit_test(test_t17_rotated_file_is_read_anew),
        cmocka_unit_test(test_modes),       cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_ceiling),     cmocka_unit_test(test_credential),
        cmocka_unit_test(test_origin),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
