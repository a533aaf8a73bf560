// SPDX-License-Identifier: MIT
// Outside commands, well-behaved and not (T-17), started by this process and by its helper. Each
// test starts real processes, and in the end none may be left, neither running nor as a zombie.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/children.h"
#include "base/child.h"
#include "base/helper.h"

static struct loop *loop;
static pid_t helper; // 0: there is none

struct outcome {
    unsigned calls;
    enum child_end end;
    int code;
    size_t output_len;
    char output[4096], error_text[256], words[320];
};

static void on_done(void *arg, const struct child_result *result)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->end = result->end;
    outcome->code = result->code;
    outcome->output_len = result->output.len;
    snprintf(outcome->output, sizeof outcome->output, "%.*s", STR_ARG(result->output));
    snprintf(outcome->error_text, sizeof outcome->error_text, "%s", result->error_text);
    child_describe(result, 300, outcome->words, sizeof outcome->words);
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    loop = loop_new(&err);
    return loop ? 0 : -1;
}

static bool has_children(void)
{
    siginfo_t info; // it does not reap them
    if (helper)
        return children_of(helper, NULL, 0) > 0;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != -1 || errno != ECHILD;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 500 && (i < 100 || has_children()); i++)
        loop_turn(loop, 1);
    assert_false(has_children());
    loop_free(loop);
    return 0;
}

static void run(struct child_request request, struct outcome *outcome)
{
    struct err err = {""};
    *outcome = (struct outcome){0};
    request.timeout_ms = request.timeout_ms ? request.timeout_ms : 20000;
    struct child *child = child_start(loop, &request, on_done, outcome, &err);
    if (!child)
        fail_msg("%s", err.text);
    assert_int_equal(outcome->calls, 0); // never from inside
    for (int i = 0; i < 3000 && !outcome->calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
}

#define ARGV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("/bin/sh", "-c", script, "sh")

static void test_bytes_through(void **state)
{
    (void)state;
    struct outcome outcome;
    char *much = mem_alloc(300000);
    memset(much, 'x', 300000);
    run((struct child_request){.argv = SH("cat; echo out; echo err >&2; exit 3"),
                               .input = STR("in\n"),
                               .output_max = 100},
        &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
    assert_int_equal(outcome.code, 3);
    assert_string_equal(outcome.output, "in\nout\n");
    assert_string_equal(outcome.error_text, "err");
    assert_string_equal(outcome.words, "exit status 3: err");
    run((struct child_request){.argv = ARGV("/bin/cat"),
                               .input = {much, 300000},
                               .output_max = 300000},
        &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
    assert_int_equal(outcome.output_len, 300000);
    run((struct child_request){.argv = SH("kill -9 $$"), .output_max = 1}, &outcome);
    assert_int_equal(outcome.end, CHILD_SIGNALLED);
    assert_int_equal(outcome.code, 9);
    assert_string_equal(outcome.words, "killed by signal 9");
    run(
        (struct child_request){
            .argv = SH("cat; echo lost; where=$(readlink /proc/$$/fd/1); echo $where >&2")},
        &outcome);
    assert_string_equal(outcome.error_text, "/dev/null"); // nobody wants it
    mem_free(much);
}

static void test_hostile_values(void **state) // T-17
{
    (void)state;
    static const char *const values[] = {
        "$(id)", "`id`", "; rm -rf x", "a\nb", "\"'\\", "", "-e", "*", "${HOME}", "\xff\x01",
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct outcome outcome;
        char line[64], expected[64];
        snprintf(line, sizeof line, "VALUE=%s", values[i]);
        snprintf(expected, sizeof expected, "[%s][%s]", values[i], values[i]);
        run((struct child_request){.argv =
                                       ARGV("/bin/sh", "-c", "printf '[%s][%s]' \"$1\" \"$VALUE\"",
                                            "sh", values[i]),
                                   .env = ARGV(line),
                                   .output_max = 100},
            &outcome);
        assert_string_equal(outcome.output, expected);
    }
}

static void test_clean_start(void **state) // T-17
{
    (void)state;
    struct outcome outcome;
    sigset_t blocked;
    char *rest;
    int leaked = open("/dev/null", O_RDONLY); // without O_CLOEXEC, as libraries do
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    setenv("SECRET", "canary", 1);
    setenv("HOME", "/the/home", 1);
    run((struct child_request){.argv = ARGV("/usr/bin/env"),
                               .env = ARGV("A=1", "B=2"),
                               .output_max = 1000},
        &outcome);
    assert_string_equal(
        outcome.output,
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\nHOME=/the/home\nA=1\nB=2\n");
    run((struct child_request){.argv = ARGV("/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"),
                               .output_max = 1000},
        &outcome);
    // 32 and 33 are glibc's own; posix_spawn() leaves those ignored.
    outcome.output[strcspn(outcome.output, "18")] = '0';
    outcome.output[strcspn(outcome.output, "18")] = '0';
    assert_string_equal(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    run((struct child_request){.argv = ARGV("/bin/ls", "/proc/self/fd"), .output_max = 1000},
        &outcome);
    assert_string_equal(outcome.output, "0\n1\n2\n3\n"); // 3 is the folder itself
    run((struct child_request){.argv = SH(
                                   "read -r pid a b c group d < /proc/self/stat; echo $pid $group"),
                               .output_max = 1000},
        &outcome);
    long pid = strtol(outcome.output, &rest, 10);
    assert_true(pid > 1);
    assert_int_equal(pid, strtol(rest, NULL, 10));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    close(leaked);
}

// Some of the numbers 0 to 2 may be free, which pipes then get.
static void run_without(unsigned closed, struct outcome *outcome)
{
    int kept[3] = {-1, -1, -1};
    struct err err;
    struct child_request request = {
        .argv = SH("cat; echo err >&2"), .input = STR("in"), .output_max = 10, .timeout_ms = 5000};
    for (int fd = 0; fd < 3; fd++)
        if (closed & (1u << fd)) {
            kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
            close(fd);
        }
    struct child *child = child_start(loop, &request, on_done, outcome, &err);
    for (int i = 0; child && i < 500 && !outcome->calls; i++)
        loop_turn(loop, 10);
    for (int fd = 0; fd < 3; fd++)
        if (kept[fd] >= 0) {
            dup2(kept[fd], fd);
            close(kept[fd]);
        }
}

static void test_free_descriptors(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++) {
        struct outcome outcome = {0};
        run_without(closed, &outcome);
        if (strcmp(outcome.output, "in") != 0 || strcmp(outcome.error_text, "err") != 0)
            fail_msg("without %u: '%s', '%s'", closed, outcome.output, outcome.error_text);
    }
}

// -- those that do not behave ------------------------------------------------------------------

// Processes of the group that still run.
static unsigned group_size(int group)
{
    unsigned count = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while ((entry = readdir(proc))) {
        char path[300], line[512] = "", state = 'Z';
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        int fd = open(path, O_RDONLY), its_group = 0;
        if (fd < 0)
            continue;
        if (read(fd, line, sizeof line - 1) < 0)
            line[0] = '\0';
        close(fd);
        char *at = strrchr(line, ')'); // "PID (NAME) STATE PARENT GROUP …"
        if (at && strlen(at) > 4) {
            state = at[2];
            strtol(at + 3, &at, 10);
            its_group = (int)strtol(at, NULL, 10);
        }
        count += its_group == group && state != 'Z' && state != 'X';
    }
    closedir(proc);
    return count;
}

struct bad_row {
    const char *name, *script;
    size_t output_max;
    uint64_t timeout_ms;
    enum child_end end;
};

// Each prints its process group first.
static const struct bad_row bad_rows[] = {
    {"1 GB output", "echo $$; head -c 1000000000 /dev/zero", 65536, 0, CHILD_TOO_MUCH},
    {"one byte too many", "echo $$; head -c 100000 /dev/zero; exec sleep 100", 65536, 0,
     CHILD_TOO_MUCH},
    {"1 GB on stderr", "echo $$; head -c 1000000000 /dev/zero >&2", 65536, 0, CHILD_TOO_MUCH},
    {"hang", "echo $$; exec sleep 1000", 100, 300, CHILD_TIMEOUT},
    {"hang that will not be told", "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done", 100,
     300, CHILD_TIMEOUT},
    {"its own children hang", "echo $$; sleep 1000 & sleep 1000 | sleep 1000", 100, 300,
     CHILD_TIMEOUT},
    {"closes everything and hangs", "echo $$; exec 0<&- 1>&- 2>&-; sleep 1000", 100, 300,
     CHILD_TIMEOUT},
    {"fork bomb", "echo $$; while :; do (sleep 100 & sleep 100 &) & done", 100, 300, CHILD_TIMEOUT},
    {"leaves a bomb behind", "echo $$; (while :; do sleep 100 & done) & sleep 0.2; exit 0", 100,
     5000, CHILD_EXITED},
};

static void test_bad_commands(void **state) // T-17
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const struct bad_row *row = &bad_rows[i];
        struct outcome outcome;
        uint64_t start_us = clock_boottime_us();
        run((struct child_request){.argv = SH(row->script),
                                   .input = STR("ignored"),
                                   .output_max = row->output_max,
                                   .timeout_ms = row->timeout_ms},
            &outcome);
        uint64_t took_ms = (clock_boottime_us() - start_us) / 1000;
        int group = (int)strtol(outcome.output, NULL, 10);
        for (int wait = 0; wait < 500 && group_size(group); wait++)
            loop_turn(loop, 5);
        if (outcome.end != row->end || took_ms > 10000 || group <= 1 || group_size(group) ||
            outcome.output_len > row->output_max + 1)
            fail_msg("%s: end %d after %llu ms, group %d of %u", row->name, (int)outcome.end,
                     (unsigned long long)took_ms, group, group_size(group));
    }
}

static void test_input_is_not_read(void **state) // EPIPE
{
    (void)state;
    static const char *const scripts[] = {
        "exec 0<&-; sleep 0.1; echo fine",
        "echo fine",
        "head -c 1 > /dev/null; echo fine",
    };
    char *much = mem_alloc(1000000);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct outcome outcome;
        run((struct child_request){.argv = SH(scripts[i]),
                                   .input = {much, 1000000},
                                   .output_max = 100},
            &outcome);
        assert_int_equal(outcome.end, CHILD_EXITED);
        assert_int_equal(outcome.code, 0);
        assert_string_equal(outcome.output, "fine\n");
    }
    mem_free(much);
}

static void test_last_words(void **state)
{
    (void)state;
    static const struct {
        const char *script, *expected;
    } rows[] = {
        {"true", ""},
        {"printf 'first\\nlast line \\n\\n \\n' >&2", "last line"},
        {"printf 'no end' >&2", "no end"},
        {"printf 'a\\033[31m\\tb\\303\\244\\n' >&2", "a?[31m?b?"},
        {"seq 100000 >&2; echo end >&2", "end"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome;
        run((struct child_request){.argv = SH(rows[i].script)}, &outcome);
        assert_string_equal(outcome.error_text, rows[i].expected);
    }
    struct outcome outcome;
    run((struct child_request){.argv = SH("head -c 5000 /dev/zero | tr '\\0' y >&2")}, &outcome);
    assert_int_equal(strlen(outcome.error_text), sizeof outcome.error_text - 1);
}

static void test_cancel(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    struct err err;
    struct child_request request = {.argv = SH("trap '' TERM; sleep 1000 & sleep 1000"),
                                    .input = STR("x"),
                                    .output_max = 10,
                                    .timeout_ms = 30};
    uint64_t start_us = clock_boottime_us();
    for (int i = 0; i < 20; i++) {
        struct child *child = child_start(loop, &request, on_done, &outcome, &err);
        assert_non_null(child);
        if (i % 2)
            loop_turn(loop, 1);
        if (!outcome.calls)
            child_cancel(child);
        else
            outcome.calls = 0;
    }
    assert_in_range(clock_boottime_us() - start_us, 0, 5000000);
    for (int i = 0; i < 500 && has_children(); i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome.calls, 0);
    assert_false(has_children()); // T-17: no zombies
}

static void test_loop_ends_first(void **state)
{
    (void)state;
    struct err err;
    struct child_request request = {.argv = ARGV("/bin/sleep", "100"), .timeout_ms = 1000};
    struct loop *other = loop_new(&err);
    child_cancel(child_start(other, &request, on_done, NULL, &err));
    loop_free(other);
    assert_true(waitpid(-1, NULL, 0) > 0); // as init would
}

static void test_exit_status_when_sigchld_is_ignored(void **state)
{
    (void)state;
    struct outcome outcome;
    signal(SIGCHLD, SIG_IGN);
    run((struct child_request){.argv = SH("exit 7")}, &outcome);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(outcome.end, CHILD_EXITED);
    assert_int_equal(outcome.code, 7);
}

static void make_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_cannot_start(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_child.XXXXXX", open_to_all[64], plain[64], no_shebang[64];
    assert_non_null(mkdtemp(dir));
    snprintf(open_to_all, sizeof open_to_all, "%s/open", dir);
    snprintf(plain, sizeof plain, "%s/plain", dir);
    snprintf(no_shebang, sizeof no_shebang, "%s/no_shebang", dir);
    make_file(open_to_all, "#!/bin/sh\n", 0757);
    make_file(plain, "#!/bin/sh\n", 0644);
    make_file(no_shebang, "echo a shell ran this\n", 0755);
    const struct {
        const char *path, *why;
    } rows[] = {
        {"/nonexistent/command", "No such file or directory"},
        {"sh", "no absolute path"},
        {"", "no absolute path"},
        {"/tmp", "no regular file"},
        {open_to_all, "everybody may write to it"},
        {plain, "Permission denied"},
        {no_shebang, "Exec format error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {""};
        struct child_request request = {
            .argv = ARGV(rows[i].path), .output_max = 100, .timeout_ms = 1000};
        assert_null(child_start(loop, &request, on_done, NULL, &err));
        if (!strstr(err.text, rows[i].why))
            fail_msg("%s: %s", rows[i].path, err.text);
    }
    unlink(open_to_all);
    unlink(plain);
    unlink(no_shebang);
    rmdir(dir);
}

static void test_error_repeats(void **state)
{
    (void)state;
    static const struct {
        const char *text, *secret;
        bool is_repeated;
    } rows[] = {
        {"+ curl -H 'Authorization: Bearer abcdefghijklmnopqrst'", "abcdefghijklmnopqrst", true},
        {"fghijklmnopqrst is the rest of it", "abcdefghijklmnopqrst", true},
        {"cut off: abcdefghijkl", "abcdefghijklmnopqrst", true},
        {"abcdefghijk is too little to be one", "abcdefghijklmnopqrst", false},
        {"short one: tok1", "tok1", true},
        {"short one: tok", "tok1", false},
        {"", "tok1", false},
        {"nothing", "", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct child_result result = {.end = CHILD_EXITED};
        snprintf(result.error_text, sizeof result.error_text, "%s", rows[i].text);
        assert_int_equal(child_error_repeats(&result, str_of(rows[i].secret)), rows[i].is_repeated);
    }
}

static void test_argv(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words; // each in brackets; NULL: refused
    } rows[] = {
        {"/bin/a", "[/bin/a]"},
        {"  /bin/a\t b  ", "[/bin/a][b]"},
        {"/bin/a 'b c' \"d e\"", "[/bin/a][b c][d e]"},
        {"/bin/a '' \"\" x", "[/bin/a][][][x]"},
        {"/bin/a pre'in'\"side\"post", "[/bin/a][preinsidepost]"},
        {"/bin/a 'it\\s' \"q\\\"q\" \"b\\\\b\"", "[/bin/a][it\\s][q\"q][b\\b]"},
        {"/bin/a \\b $HOME `id` * > f | g; h # i",
         "[/bin/a][\\b][$HOME][`id`][*][>][f][|][g;][h][#]"
         "[i]"},
        {"'/bin/with blank/a'", "[/bin/with blank/a]"},
        {"", NULL},
        {"  ", NULL},
        {"'' x", NULL},
        {"/bin/a 'b", NULL},
        {"/bin/a \"b", NULL},
        {"/bin/a \"b\\", NULL},
        {"/bin/a \"b\\\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {""};
        char words[256] = "";
        size_t len = 0;
        char **argv = child_argv_parse(rows[i].line, &err);
        for (size_t j = 0; argv && argv[j]; j++)
            len += (size_t)snprintf(words + len, sizeof words - len, "[%s]", argv[j]);
        assert_int_equal(argv == NULL, rows[i].words == NULL);
        if (argv)
            assert_string_equal(words, rows[i].words);
        else
            assert_true(err.text[0]);
        child_argv_free(argv);
    }
    char many[2000] = "";
    for (size_t i = 0; i < 900; i++)
        memcpy(many + 2 * i, "a ", 3);
    assert_null(child_argv_parse(many, NULL));
    struct err long_one = {""};
    char *quoted = mem_alloc(70001);
    memset(quoted, 'x', 70000);
    quoted[0] = quoted[69999] = '"';
    assert_null(child_argv_parse(quoted, &long_one)); // whose quotes are as they should be
    assert_string_equal(long_one.text, "the command line is too long");
    quoted[100] = '\0';
    assert_null(child_argv_parse(quoted, &long_one));
    assert_string_equal(long_one.text, "the closing \" is missing");
    mem_free(quoted);
}

static bool settle(void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    return true;
}

static bool permits(void *arg, const char *const *argv, const char *const *env)
{
    (void)arg;
    (void)env;
    return argv[0] != NULL;
}

static int start_helper(void **state)
{
    static const struct helper_setup setup = {.settle = settle, .permits = permits};
    struct err err;
    (void)state;
    setenv("HOME", "/the/home", 1);
    if (!helper_start(&setup, &err) || children_of(getpid(), &helper, 1) != 1)
        return -1;
    return 0;
}

static int stop_helper(void **state)
{
    (void)state;
    helper_stop();
    helper = 0;
    return 0;
}

int main(void)
{
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_bytes_through),   WITH_LOOP(test_hostile_values),
        WITH_LOOP(test_clean_start),     WITH_LOOP(test_free_descriptors),
        WITH_LOOP(test_bad_commands),    WITH_LOOP(test_input_is_not_read),
        WITH_LOOP(test_last_words),      WITH_LOOP(test_cancel),
        WITH_LOOP(test_loop_ends_first), WITH_LOOP(test_exit_status_when_sigchld_is_ignored),
        WITH_LOOP(test_cannot_start),    cmocka_unit_test(test_error_repeats),
        cmocka_unit_test(test_argv),
    };
    const struct CMUnitTest by_helper[] = {
        WITH_LOOP(test_bytes_through), WITH_LOOP(test_hostile_values),
        WITH_LOOP(test_clean_start),   WITH_LOOP(test_free_descriptors),
        WITH_LOOP(test_bad_commands),  WITH_LOOP(test_input_is_not_read),
        WITH_LOOP(test_last_words),    WITH_LOOP(test_cancel),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(by_helper, start_helper, stop_helper);
}
