// SPDX-License-Identifier: MIT
// Log lines: one event, one line, whatever the fields hold.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_sink.h"
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
        size_t len = strlen(line);
        assert_in_range(len, 4086, 4096);
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        assert_int_equal(line[len - 2], i ? 'a' : '"'); // cut between characters
        memset(text, 'a', 9999);
    }
    mem_free(text);
}

// -- JSON --------------------------------------------------------------------------------------

static void test_json(void **state)
{
    (void)state;
    log_set_format(LOG_JSON);
    capture();
    log_warn("a.b", F_NUM("n", 18446744073709551615u), F_TEXT("t", "x \"y\\"), F_STR("s", STR("")));
    const char *line = capture_end();
    assert_memory_equal(line, "{\"ts\":\"2", 8);
    assert_string_equal(strstr(line, "\"level\""),
                        "\"level\":\"warn\",\"event\":\"a.b\",\"n\":18446744073709551615,"
                        "\"t\":\"x \\\"y\\\\\",\"s\":\"\"}\n");
    static const struct {
        struct str value;
        const char *want;
    } rows[] = {
        {STR("a\nb\0c"), "a\\u000ab\\u0000c"},
        {STR("\x7f"), "\\u007f"},
        {STR("\xc3\xa9"), "\\u00e9"},
        {STR("\xf0\x9f\x98\x80"), "\\ud83d\\ude00"},
        {STR("\xff\xc3"), "\\ufffd\\ufffd"},
        {STR("\xc0\xaf"), "\\ufffd\\ufffd"},            // overlong
        {STR("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"}, // half of a pair
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[64];
        capture();
        log_info("e", F_STR("v", rows[i].value));
        snprintf(want, sizeof want, "\"v\":\"%s\"}\n", rows[i].want);
        assert_string_equal(strstr(capture_end(), "\"v\""), want);
    }
    log_set_format(LOG_LOGFMT);
}

static void test_long_json_stays_whole(void **state)
{
    (void)state;
    char *text = mem_alloc(10000);
    log_set_format(LOG_JSON);
    for (size_t len = 3980; len < 4060; len++) { // round about where it ends
        memset(text, '\1', len);
        memset(text, 'a', len - 1);
        capture();
        log_info("e", F_TEXT("v", text), F_NUM("n", 5), F_TEXT("w", text));
        const char *line = capture_end();
        size_t end = strlen(line);
        assert_in_range(end, 4000, 4096);
        assert_string_equal(line + end - 2, "}\n");
        size_t quotes = 0;
        for (const char *at = line; *at; at++)
            quotes += *at == '"';
        assert_int_equal(quotes % 2, 0);
        const char *escape = strchr(line, '\\');
        assert_true(!escape || !strncmp(escape, "\\u0001\"", 7));
    }
    log_set_format(LOG_LOGFMT);
    mem_free(text);
}

// -- the journal -------------------------------------------------------------------------------

static void test_priorities_for_the_journal(void **state)
{
    (void)state;
    static const char *const want[] = {"<7>", "<6>", "<4>", "<3>"};
    struct stat st;
    char stream[64];
    log_set_level(LOG_DEBUG);
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        capture();
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino + !is_ours); // else inherited from somebody
        setenv("JOURNAL_STREAM", stream, 1);
        log_set_format(LOG_LOGFMT);
        log_debug("e");
        log_info("e");
        log_warn("e");
        log_error("e");
        const char *line = capture_end();
        for (size_t i = 0; i < 4; i++, line = strchr(line, '\n') + 1)
            assert_memory_equal(line, is_ours ? want[i] : "ts=", 3);
    }
    unsetenv("JOURNAL_STREAM");
    log_set_format(LOG_LOGFMT);
    log_set_level(LOG_INFO);
}

// -- levels ------------------------------------------------------------------------------------

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
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        enum log_level level = LOG_DEBUG;
        assert_true(log_level_parse(str_of(log_level_name((enum log_level)i)), &level));
        assert_int_equal(level, i);
    }
    enum log_level level;
    assert_false(log_level_parse(STR("Info"), &level));
}

// -- readers that have stopped -----------------------------------------------------------------

static const char *read_now(int fd)
{
    static char text[1 << 20];
    size_t len = 0;
    ssize_t got;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((got = read(fd, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    return text;
}

static uint64_t count_events(const char *text)
{
    uint64_t count = 0;
    for (; (text = strstr(text, " event=e ")); text++)
        count++;
    return count;
}

// Where the room is too small for a line, it may do for the shorter one that says so.
static uint64_t sum_told(const char *text)
{
    uint64_t sum = 0;
    for (; (text = strstr(text, "log.dropped count=")); text++)
        sum += strtoull(text + 18, NULL, 10);
    return sum;
}

#define MANY 4000

// In a process of its own, which is stuck for ever if it waits. Says by a number what is wrong.
static int write_too_much(int write_end, int read_end, bool is_asked)
{
    alarm(20);
    dup2(write_end, STDERR_FILENO);
    log_sink_open();
    if (is_asked)
        log_sink_forget();
    if (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK)
        return 10; // it is shared with others
    for (int i = 0; i < MANY; i++)
        log_info("e", F_TEXT("v", "some text that takes the room there is"));
    uint64_t lost = log_dropped();
    if (!lost || lost >= MANY)
        return 11;
    const char *first = read_now(read_end);
    uint64_t told_first = sum_told(first), written = count_events(first);
    if (isatty(STDERR_FILENO) ? written < MANY - lost - 1 : written != MANY - lost)
        return 12;
    log_set_level(LOG_ERROR);
    log_error("again");
    log_error("and_again");
    const char *said = read_now(read_end), *told = strstr(said, "level=warn event=log.dropped ");
    const char *next = told ? strstr(told, " event=again") : NULL;
    if (!next || !strstr(next, " event=and_again") || strstr(next, "log.dropped"))
        return 13;
    bool is_whole = told - said < 40; // "ts=… ": what was cut has its end before
    return told_first + sum_told(said) != lost ? 14 : log_dropped() != lost ? 15 : !is_whole;
}

static void check_reader(int write_end, int read_end, bool is_asked)
{
    int status;
    pid_t pid = fork();
    if (!pid)
        _exit(write_too_much(write_end, read_end, is_asked));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(write_end);
    close(read_end);
}

static void test_nobody_reads(void **state)
{
    (void)state;
    int ends[2];
    for (int is_asked = 0; is_asked < 2; is_asked++) {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        check_reader(ends[1], ends[0], is_asked);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_reader(ends[1], ends[0], false);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal))
        check_reader(open(ptsname(terminal), O_RDWR | O_NOCTTY), terminal, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_values_cannot_forge),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_json_stays_whole),
        cmocka_unit_test(test_priorities_for_the_journal),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
