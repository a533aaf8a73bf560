// SPDX-License-Identifier: MIT
// The helper does what it is asked only where its rule lets it, believes nobody, says what went
// wrong, and neither outlives the process it works for nor leaves anything behind.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/children.h"
#include "base/child.h"
#include "base/helper_private.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct loop *loop;
static pid_t helper;

struct outcome {
    unsigned calls;
    enum child_end end;
    int code;
    char output[256], words[320];
};

static void on_done(void *arg, const struct child_result *result)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->end = result->end;
    outcome->code = result->code;
    snprintf(outcome->output, sizeof outcome->output, "%.*s", STR_ARG(result->output));
    child_describe(result, 5000, outcome->words, sizeof outcome->words);
}

static bool settle(void *arg, struct err *err)
{
    struct rlimit limit = {600, 2000};
    (void)arg;
    setenv("HOME", "/the/home", 1);
    return !setrlimit(RLIMIT_NOFILE, &limit) || err_errno(err, "setrlimit");
}

static bool settle_fails(void *arg, struct err *err)
{
    return err_set(err, "no %s", (const char *)arg);
}

static bool is_refreshed;

static void refresh(void *arg)
{
    (void)arg;
    is_refreshed = true;
}

static bool permits(void *arg, const char *const *argv, const char *const *env)
{
    (void)arg;
    return (is_refreshed || strcmp(argv[0], "/bin/touch") != 0) &&
           (!env[0] || !strncmp(env[0], "GOOD=", 5));
}

static int start(void **state)
{
    static const struct helper_setup setup = {
        .settle = settle, .permits = permits, .refresh = refresh};
    struct err err;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    loop = loop_new(&err);
    if (!loop || !helper_start(&setup, &err) || children_of(getpid(), &helper, 1) != 1)
        return -1;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    helper_stop();
    loop_free(loop);
    return children_of(getpid(), NULL, 0) ? -1 : 0;
}

static struct child *begin(const char *const *argv, const char *const *env, struct outcome *outcome)
{
    struct err err = {""};
    struct child_request request = {
        .argv = argv, .env = env, .output_max = 250, .timeout_ms = 20000};
    *outcome = (struct outcome){0};
    struct child *child = child_start(loop, &request, on_done, outcome, &err);
    if (!child)
        fail_msg("%s", err.text);
    return child;
}

static void run(const char *const *argv, const char *const *env, struct outcome *outcome)
{
    begin(argv, env, outcome);
    for (int i = 0; i < 2000 && !outcome->calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
}

static void await_childless(pid_t of)
{
    for (int i = 0; i < 500 && children_of(of, NULL, 0); i++)
        loop_turn(loop, 10);
    assert_int_equal(children_of(of, NULL, 0), 0);
}

static void test_this_process_does_not_fork(void **state)
{
    (void)state;
    struct outcome outcome;
    char parent[16];
    run(ARGV("/bin/sh", "-c", "echo $PPID"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
    snprintf(parent, sizeof parent, "%d\n", (int)helper);
    assert_string_equal(outcome.output, parent);
    await_childless(helper);
}

static void test_settled(void **state) // its limits, and its HOME
{
    (void)state;
    struct outcome outcome;
    run(ARGV("/bin/sh", "-c", "ulimit -n; echo $HOME; ulimit -c"), NULL, &outcome);
    assert_string_equal(outcome.output, "600\n/the/home\n0\n");
}

static void test_only_what_is_permitted(void **state) // T-17
{
    (void)state;
    struct outcome outcome;
    run(ARGV("/bin/touch", "/tmp/never"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_NOT_STARTED);
    assert_string_equal(outcome.words,
                        "it did not start: cannot start /bin/touch: the configuration "
                        "does not name this command");
    run(ARGV("/bin/true"), ARGV("LD_PRELOAD=/tmp/evil.so"), &outcome);
    assert_int_equal(outcome.end, CHILD_NOT_STARTED);
    run(ARGV("/bin/sh", "-c", "echo $GOOD"), ARGV("GOOD=1"), &outcome);
    assert_string_equal(outcome.output, "1\n");
}

// It is no request that may be lost: what comes later counts on it.
static void test_refresh(void **state)
{
    (void)state;
    struct outcome outcome;
    struct err err = {""};
    const struct spawn_ends ends = {STDERR_FILENO, -1, STDERR_FILENO};
    int lines[1000], count = 0;
    assert_int_equal(kill(helper, SIGSTOP), 0);
    while (count < 1000 && (lines[count] = helper_run(ARGV("/bin/true"), NULL, &ends, &err)) >= 0)
        count++;
    assert_in_range(count, 1, 999); // its queue is full
    assert_non_null(strstr(err.text, "another command is still being started"));
    helper_refresh();
    assert_int_equal(helper_run(ARGV("/bin/true"), NULL, &ends, &err), -1);
    assert_int_equal(kill(helper, SIGCONT), 0);
    for (int i = 0; i < count; i++) {
        struct pollfd end = {.fd = lines[i], .events = POLLIN};
        assert_int_equal(poll(&end, 1, 10000), 1);
        close(lines[i]);
    }
    run(ARGV("/bin/touch", "/dev/null"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
}

static void test_cannot_start(void **state)
{
    (void)state;
    struct outcome outcome;
    char path[] = "/tmp/test_helper.XXXXXX";
    int fd = mkstemp(path);
    assert_true(write(fd, "echo a shell ran this\n", 22) == 22);
    close(fd);
    chmod(path, 0700);
    run(ARGV(path), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_NOT_STARTED);
    assert_non_null(strstr(outcome.words, "Exec format error"));
    unlink(path);
    struct err err = {""};
    struct child_request request = {.argv = ARGV("/nonexistent/command"), .timeout_ms = 1000};
    assert_null(child_start(loop, &request, on_done, NULL, &err)); // plain at once
}

static void test_too_many(void **state)
{
    (void)state;
    struct outcome outcomes[260] = {{0}};
    struct child *children[ARRAY_LEN(outcomes)];
    unsigned refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        children[i] = begin(ARGV("/bin/sleep", "100"), NULL, &outcomes[i]);
        for (int turns = 0; turns < 500 && i >= 256 && !outcomes[i].calls; turns++)
            loop_turn(loop, 10);
        refused += outcomes[i].calls && outcomes[i].end == CHILD_NOT_STARTED &&
                   strstr(outcomes[i].words, "commands run already");
    }
    assert_int_equal(refused, 4);
    for (size_t i = 0; i < 256; i++)
        child_cancel(children[i]);
    await_childless(helper);
    run(ARGV("/bin/true"), NULL, &outcomes[0]); // and there is room again
    assert_int_equal(outcomes[0].end, CHILD_EXITED);
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    struct outcome outcome;
    struct rlimit few = {5, 2000}, before; // those it has, and none besides
    assert_int_equal(prlimit(helper, RLIMIT_NOFILE, &few, &before), 0);
    run(ARGV("/bin/true"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_NOT_STARTED);
    assert_int_equal(prlimit(helper, RLIMIT_NOFILE, &before, NULL), 0);
    run(ARGV("/bin/true"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
}

static void test_arguments_too_long(void **state)
{
    (void)state;
    struct err err = {""};
    char *much = mem_alloc(200001);
    memset(much, 'x', 200000);
    struct child_request request = {.argv = ARGV("/bin/true", much), .timeout_ms = 1000};
    assert_null(child_start(loop, &request, on_done, NULL, &err));
    assert_string_equal(err.text, "cannot start /bin/true: its arguments are too long");
    mem_free(much);
}

static void test_orphans_are_reaped(void **state)
{
    (void)state;
    struct outcome outcome;
    run(ARGV("/bin/sh", "-c", "setsid sh -c 'sleep 0.2' >&- 2>&- & echo $!"), NULL, &outcome);
    assert_int_equal(outcome.end, CHILD_EXITED);
    await_childless(helper); // neither running nor as a zombie
}

// -- ends --------------------------------------------------------------------------------------

static void test_settling_fails(void **state)
{
    (void)state;
    char what[] = "rights";
    const struct helper_setup setup = {.settle = settle_fails, .permits = permits, .arg = what};
    struct err err;
    assert_false(helper_start(&setup, &err));
    assert_string_equal(err.text, "no rights");
    assert_false(helper_is_used());
    assert_int_equal(children_of(getpid(), NULL, 0), 0);
}

static void test_signals_are_not_for_it(void **state)
{
    (void)state;
    struct outcome outcome;
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        kill(helper, numbers[i]);
    run(ARGV("/bin/echo", "here"), NULL, &outcome);
    assert_string_equal(outcome.output, "here\n");
}

static void test_helper_dies(void **state)
{
    (void)state;
    struct outcome outcome;
    struct err err = {""};
    begin(ARGV("/bin/sleep", "100"), NULL, &outcome);
    pid_t command = 0;
    for (int i = 0; i < 500 && !children_of(helper, &command, 1); i++)
        loop_turn(loop, 10);
    kill(helper, SIGKILL);
    for (int i = 0; i < 500 && !outcome.calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome.end, CHILD_NOT_STARTED);
    assert_non_null(strstr(outcome.words, "is gone; restart bearerd"));
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)helper, &info, WEXITED | WNOWAIT), 0);
    struct child_request request = {.argv = ARGV("/bin/true"), .timeout_ms = 1000};
    assert_null(child_start(loop, &request, on_done, NULL, &err));
    assert_string_equal(err.text, "cannot start /bin/true: the process that starts commands is "
                                  "gone; restart bearerd");
    kill(command, SIGKILL); // nobody is left who would
}

static bool is_running(pid_t pid)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    const char *state = strrchr(line, ')'); // "PID (NAME) STATE …"
    return state && strlen(state) > 2 && state[2] != 'Z';
}

// A process of its own uses the helper, with a command that hangs, and is killed.
static void test_it_ends_with_its_master(void **state)
{
    (void)state;
    int said[2];
    pid_t pids[2] = {0, 0}; // helper, command
    assert_int_equal(pipe(said), 0);
    pid_t master = fork();
    if (!master) {
        struct outcome outcome;
        start(NULL);
        begin(ARGV("/bin/sh", "-c", "trap '' TERM HUP; sleep 1000 & wait"), NULL, &outcome);
        pids[0] = helper;
        while (!children_of(helper, &pids[1], 1))
            loop_turn(loop, 10);
        _exit(write(said[1], pids, sizeof pids) != sizeof pids || pause());
    }
    assert_int_equal(read(said[0], pids, sizeof pids), sizeof pids);
    assert_true(is_running(pids[0]) && is_running(pids[1]));
    kill(master, SIGKILL);
    waitpid(master, NULL, 0);
    for (int i = 0; i < 1000 && (is_running(pids[0]) || is_running(pids[1])); i++)
        usleep(10000);
    assert_false(is_running(pids[0]));
    assert_false(is_running(pids[1]));
    close(said[0]);
    close(said[1]);
}

// -- successors --------------------------------------------------------------------------------

static bool permits_restart(void *arg, const char *const *env)
{
    (void)arg;
    return !env[0] || !strncmp(env[0], "GOOD=", 5);
}

// What the test's own program does when it is started as a successor: it says what it got.
static int be_successor(void)
{
    char text[64];
    int fds = 0;
    for (int fd = SPAWN_FD_FIRST; fd < 1000; fd++)
        fds += fcntl(fd, F_GETFD) >= 0;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    snprintf(text, sizeof text, "%d %s %s %d", fds, getenv("GOOD"), getenv("KEPT"),
             (int)limit.rlim_cur);
    (void)!write(SPAWN_FD_FIRST, text, strlen(text));
    pause();
    return 0;
}

static char name[] = "test_helper", word[] = "successor";
static char *const successor_argv[] = {name, word, NULL};

static int start_restartable(void **state)
{
    static const struct helper_setup setup = {.settle = settle,
                                              .permits = permits,
                                              .permits_restart = permits_restart,
                                              .restart_argv = successor_argv};
    struct err err;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    setenv("KEPT", "kept", 1);
    loop = loop_new(&err);
    return loop && helper_start(&setup, &err) && children_of(getpid(), &helper, 1) == 1 ? 0 : -1;
}

static struct helper_report hear(int line)
{
    struct helper_report report = {.code = -1};
    for (int i = 0; i < 1000 && recv(line, &report, sizeof report, 0) < 0; i++)
        usleep(10000);
    return report;
}

// So many descriptors: ours, and copies of it.
static int restart(int fd, size_t count, const char *const *env)
{
    struct err err = {""};
    int *fds = mem_array(count, sizeof *fds);
    for (size_t i = 0; i < count; i++)
        fds[i] = fd;
    int line = helper_restart(fds, count, env, &err);
    if (line < 0)
        fail_msg("%s", err.text);
    mem_free(fds);
    return line;
}

static void read_text(int fd, char *out, size_t size)
{
    ssize_t got = read(fd, out, size - 1);
    out[got > 0 ? got : 0] = '\0';
}

static void test_successor(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 3, 250, 251, 300, 700}; // 253 go into one packet at most
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        int ends[2];
        char text[64], expected[64];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        int line = restart(ends[1], counts[i], ARGV("GOOD=told"));
        close(ends[1]);
        struct helper_report report = hear(line);
        assert_int_equal(report.outcome, HELPER_STARTED);
        read_text(ends[0], text, sizeof text);
        // The limit is what the helper was given, unless it would not do.
        snprintf(expected, sizeof expected, "%zu told kept %d", counts[i],
                 counts[i] < 600 ? 600 : 767);
        assert_string_equal(text, expected);
        assert_true(is_running(report.code));
        assert_int_equal(send(line, "!", 1, 0), 1);
        report = hear(line);
        assert_int_equal(report.outcome, HELPER_SIGNALLED);
        assert_int_equal(report.code, SIGKILL);
        close(line);
        close(ends[0]);
    }
}

// Descriptors were lent, and then the request itself could not be sent.
static void test_successor_that_was_never_started(void **state)
{
    (void)state;
    struct err err = {""};
    int ends[2];
    char text[64];
    const int fds[] = {STDERR_FILENO, STDERR_FILENO};
    char *much = mem_alloc(200001);
    memset(much, 'x', 200000);
    assert_int_equal(helper_restart(fds, 2, ARGV(much), &err), -1);
    assert_string_equal(err.text, "cannot start a successor: its arguments are too long");
    mem_free(much);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int line = restart(ends[1], 1, ARGV("GOOD=told"));
    close(ends[1]);
    assert_int_equal(hear(line).outcome, HELPER_STARTED);
    read_text(ends[0], text, sizeof text);
    assert_string_equal(text, "1 told kept 600");
    assert_int_equal(send(line, "!", 1, 0), 1);
    assert_int_equal(hear(line).outcome, HELPER_SIGNALLED);
    close(line);
    close(ends[0]);
}

static void test_a_descriptor_that_cannot_be_sent(void **state)
{
    (void)state;
    struct err err = {""};
    const struct spawn_ends ends = {999, -1, STDERR_FILENO}; // nobody has opened it
    assert_int_equal(helper_run(ARGV("/bin/true"), NULL, &ends, &err), -1);
    assert_string_equal(err.text, "cannot start /bin/true: Bad file descriptor");
}

static void test_successor_is_refused(void **state)
{
    (void)state;
    int line = restart(STDERR_FILENO, 1, ARGV("LD_PRELOAD=/tmp/evil.so"));
    struct helper_report report = hear(line);
    assert_int_equal(report.outcome, HELPER_NOT_STARTED);
    assert_string_equal(report.why.text, "cannot start a successor: that is not permitted");
    close(line);
}

static void test_successor_with_too_many(void **state)
{
    (void)state;
    const struct helper_setup setup = {.permits_restart = permits_restart,
                                       .restart_argv = successor_argv};
    const int none = -1;
    struct err err = {""};
    pid_t pid;
    successor_init();
    for (size_t i = 0; i < HELPER_LENT_MAX + 1; i++)
        successor_lend(&none, 1);
    assert_false(successor_start(&setup, ARGV(NULL), &pid, &err));
    assert_string_equal(err.text, "cannot start a successor: more than 2100 sockets");
}

// Neither the end of the line nor that of the helper is its end.
static void test_successor_lives_on(void **state)
{
    (void)state;
    int ends[2];
    char text[64];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int line = restart(ends[1], 1, ARGV("GOOD=told"));
    close(ends[1]);
    pid_t pid = hear(line).code;
    read_text(ends[0], text, sizeof text);
    close(line);
    struct outcome outcome;
    run(ARGV("/bin/true"), NULL, &outcome); // by now it knows
    assert_true(is_running(pid));
    helper_stop();
    assert_true(is_running(pid));
    kill(pid, SIGKILL);
    close(ends[0]);
}

// -- packets that this side would never send ---------------------------------------------------

static void send_to(int to, const void *packet, size_t len, const int *fds, size_t fd_count)
{
    char control[CMSG_SPACE(8 * sizeof(int))] = "";
    struct iovec part = {mem_unconst(packet), len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        *rights = (struct cmsghdr){CMSG_LEN(fd_count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    }
    assert_int_equal(sendmsg(to, &message, MSG_NOSIGNAL), (ssize_t)len);
}

static void test_malformed_packets(void **state)
{
    (void)state;
    static const struct {
        struct helper_head head;
        const char *text;
        size_t len, fds;
    } rows[] = {
        {{HELPER_COMMAND, 1, 0}, "/bin/true", 10, 2},
        {{HELPER_COMMAND, 1, 0}, "/bin/true", 10, 0},
        {{HELPER_COMMAND, 0, 0}, "", 0, 4},
        {{HELPER_COMMAND, 2, 0}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 1, 1}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 1, 0}, "/bin/true\0more", 15, 4},
        {{HELPER_COMMAND, UINT32_MAX, 0}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 1, UINT32_MAX}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 1, 65}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 258, 0}, "/bin/true", 10, 4},
        {{HELPER_COMMAND, 1, 0}, "/bin/true", 10, 7},
        {{HELPER_LEND, 0, 0}, "", 0, 0},
        {{HELPER_RESTART, 0, 0}, "", 0, 2},
        {{HELPER_RESTART, 0, 0}, "", 0, 0},
        {{HELPER_RESTART, 0, 0}, "", 0, 1}, // sound, but there is no restart_argv
        {{HELPER_RESTART, 1, 0}, "/bin/true", 10, 1},
        {{3, 1, 0}, "/bin/true", 10, 4},
        {{UINT32_MAX, 1, 0}, "/bin/true", 10, 3},
    };
    int ends[2], sink = open("/dev/null", O_RDWR);
    const struct helper_setup setup = {.settle = settle, .permits = permits};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid_t pid = fork();
    if (!pid) {
        close(ends[0]);
        helper_live(ends[1], &setup);
    }
    close(ends[1]);
    struct err settled;
    assert_int_equal(recv(ends[0], &settled, sizeof settled, 0), sizeof settled);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char packet[64];
        int fds[8] = {sink, sink, sink, sink, sink, sink, sink, sink};
        memcpy(packet, &rows[i].head, sizeof rows[i].head);
        memcpy(packet + sizeof rows[i].head, rows[i].text, rows[i].len);
        send_to(ends[0], packet, sizeof rows[i].head + rows[i].len, fds, rows[i].fds);
    }
    send_to(ends[0], "x", 1, NULL, 0);
    // It is still there, and has not kept a descriptor of all those.
    int line[2], fds[3] = {-1, sink, sink};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line), 0);
    fds[0] = line[1];
    struct {
        struct helper_head head;
        char text[10];
    } good = {{HELPER_COMMAND, 1, 0}, "/bin/true"};
    send_to(ends[0], &good, sizeof good.head + sizeof good.text, fds, 3);
    close(line[1]);
    struct helper_report report;
    assert_int_equal(recv(line[0], &report, sizeof report, 0), sizeof report);
    assert_int_equal(report.outcome, HELPER_EXITED);
    assert_int_equal(report.code, 0);
    assert_int_equal(recv(line[0], &report, sizeof report, 0), 0); // the end of the line
    char path[64];
    unsigned open_fds = 0;
    for (int fd = 0; fd < 400; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        open_fds += access(path, F_OK) == 0;
    }
    assert_int_equal(open_fds, 5); // 0, 1, 2, its socket, its signals
    close(line[0]);
    close(ends[0]);
    close(sink);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], word))
        return be_successor();
#define RESTARTABLE(test) cmocka_unit_test_setup_teardown(test, start_restartable, stop)
#define WITH_HELPER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_HELPER(test_this_process_does_not_fork),
        WITH_HELPER(test_settled),
        WITH_HELPER(test_only_what_is_permitted),
        WITH_HELPER(test_refresh),
        WITH_HELPER(test_cannot_start),
        WITH_HELPER(test_too_many),
        WITH_HELPER(test_no_descriptors_left),
        WITH_HELPER(test_arguments_too_long),
        WITH_HELPER(test_orphans_are_reaped),
        cmocka_unit_test(test_settling_fails),
        WITH_HELPER(test_signals_are_not_for_it),
        WITH_HELPER(test_helper_dies),
        cmocka_unit_test(test_it_ends_with_its_master),
        RESTARTABLE(test_successor),
        RESTARTABLE(test_successor_that_was_never_started),
        WITH_HELPER(test_a_descriptor_that_cannot_be_sent),
        RESTARTABLE(test_successor_is_refused),
        RESTARTABLE(test_successor_lives_on),
        cmocka_unit_test(test_successor_with_too_many),
        cmocka_unit_test(test_malformed_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
