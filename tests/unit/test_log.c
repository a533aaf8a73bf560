// SPDX-License-Identifier: MIT
// Log lines: one event, one line, whatever the fields hold.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static char output[16384];
static int file = -1, saved = -1;

// Between the two, standard error is a file; capture_end() leaves what was written in `output`.
static void capture(void)
{
    char path[] = "/tmp/bearerd-test-log-XXXXXX";
    file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    saved = dup(STDERR_FILENO);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
}

static const char *capture_end(void)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    ssize_t len = pread(file, output, sizeof output - 1, 0);
    close(file);
    assert_true(len >= 0);
    output[len] = '\0';
    return output;
}

// What follows the time stamp.
static const char *rest_of(const char *line)
{
    const char *level = strstr(line, " level=");
    assert_non_null(level);
    return level + 1;
}

static void test_shape(void **state)
{
    (void)state;
    capture();
    log_warn("a.b", F_NUM("n", 18446744073709551615u), F_TEXT("t", "x/y"), F_STR("s", STR("z")));
    const char *line = capture_end();
    assert_string_equal(rest_of(line), "level=warn event=a.b n=18446744073709551615 t=x/y s=z\n");
    // ts=2024-01-31T12:00:00.000Z
    assert_memory_equal(line, "ts=2", 4);
    assert_int_equal(line[13], 'T');
    assert_memory_equal(line + 26, "Z ", 2);
    capture();
    log_error("alone");
    assert_string_equal(rest_of(capture_end()), "level=error event=alone\n");
}

static void test_values_cannot_forge(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        const char *want;
    } rows[] = {
        {STR("plain"), "plain"},
        {STR(""), "\"\""},
        {STR_NONE, "\"\""},
        {STR("a b"), "\"a b\""},
        {STR("a=b"), "\"a=b\""},
        {STR("a\"b"), "\"a\\\"b\""},
        {STR("a\\b"), "\"a\\\\b\""},
        {STR("a\nlevel=error"), "\"a\\x0alevel=error\""},
        {STR("a\r"), "\"a\\x0d\""},
        {STR("a\0b"), "\"a\\x00b\""},
        {STR("\x1b[2J"), "\"\\x1b[2J\""},
        {STR("\x7f"), "\"\\x7f\""},
        {STR("\xc3\xa9"), "\"\\xc3\\xa9\""},
        {STR("\xc2\x85"), "\"\\xc2\\x85\""}, // a line break for some readers
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        capture();
        log_info("e", F_STR("v", rows[i].value));
        const char *rest = strstr(rest_of(capture_end()), "v=");
        assert_non_null(rest);
        size_t len = strlen(rows[i].want);
        if (strncmp(rest + 2, rows[i].want, len) || strcmp(rest + 2 + len, "\n"))
            fail_msg("row %zu: %s", i, rest);
    }
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    char *text = mem_alloc(10000);
    memset(text, '\n', 9999);
    for (int i = 0; i < 2; i++) {
        capture();
        log_info("e", F_TEXT("v", text), F_TEXT("w", text));
        const char *line = capture_end();
        assert_int_equal(strlen(line), 4096);
        assert_ptr_equal(strchr(line, '\n'), line + 4095);
        memset(text, 'a', 9999);
    }
    mem_free(text);
}

static unsigned evaluated;

static const char *evaluate(void)
{
    evaluated++;
    return "x";
}

static void test_levels(void **state)
{
    (void)state;
    assert_false(log_is_on(LOG_DEBUG));
    assert_true(log_is_on(LOG_INFO));
    log_set_level(LOG_WARN);
    capture();
    log_info("no", F_TEXT("v", evaluate()));
    log_debug("no", F_TEXT("v", evaluate()));
    log_warn("yes", F_TEXT("v", evaluate()));
    const char *line = capture_end();
    log_set_level(LOG_INFO);
    assert_string_equal(rest_of(line), "level=warn event=yes v=x\n");
    assert_int_equal(evaluated, 1); // fields of a line that is off cost nothing
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_values_cannot_forge),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
