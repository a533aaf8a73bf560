// SPDX-License-Identifier: MIT
// See helper.h. The side that is asked: a process without threads, that owns the commands it has
// started until they are reaped. Whoever asks is not believed: packets are taken apart with care,
// and what may run is the rule's to say. Invariant: a run's process is not reaped, and its group
// number therefore its own, until the group has been killed.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/helper_private.h"
#include "base/log.h"
#include "base/log_sink.h"

#define RUNS_MAX 256

struct run {
    int line;  // -1: this place is free
    pid_t pid; // 0 until it has been started
    bool is_unwanted;
    bool is_successor; // which is not ours to end
};

struct helper {
    int socket, signals;
    pid_t parent;
    const struct helper_setup *setup;
    struct run runs[RUNS_MAX];
    char packet[HELPER_PACKET_MAX + 1];
};

static struct helper helper; // too large for a stack; pages that no packet needs are never touched

// -- runs --------------------------------------------------------------------------------------

// Fails when nobody waits for it any more.
static void tell(const struct run *run, const struct helper_report *result)
{
    (void)!send(run->line, result, sizeof *result, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void report(struct run *run, const struct helper_report *result)
{
    tell(run, result);
    close(run->line);
    run->line = -1;
}

static struct run *find(pid_t pid)
{
    for (size_t i = 0; i < RUNS_MAX; i++)
        if (helper.runs[i].line >= 0 && helper.runs[i].pid == pid)
            return &helper.runs[i];
    return NULL;
}

// What a command has left behind outside of its group becomes a child of ours, and is reaped, too.
static void reap(void)
{
    siginfo_t info = {0};
    while (!waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid) {
        struct run *run = find(info.si_pid);
        if (run && !run->is_successor)
            spawn_kill(info.si_pid);
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED);
        if (run)
            report(run,
                   &(struct helper_report){.outcome = info.si_code == CLD_EXITED ? HELPER_EXITED
                                                                                 : HELPER_SIGNALLED,
                                           .code = info.si_status});
        info.si_pid = 0;
    }
}

static void helper_end(void) __attribute__((noreturn));
static void helper_end(void)
{
    for (size_t i = 0; i < RUNS_MAX; i++)
        if (helper.runs[i].line >= 0 && !helper.runs[i].is_successor)
            spawn_kill(helper.runs[i].pid);
    _exit(0); // not exit(): what the other process has registered is its own
}

// -- requests ----------------------------------------------------------------------------------

struct request {
    struct helper_head head;
    const char *argv[SPAWN_ARGS_MAX + 1], *env[HELPER_ENV_MAX + 1];
    int fds[HELPER_FDS_MAX];
    size_t fd_count;
};

// out has room for one more, which ends it.
static bool take_strings(const char **at, const char *end, uint32_t count, const char **out)
{
    out[count] = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (*at >= end)
            return false;
        out[i] = *at;
        *at += strlen(*at) + 1; // the byte behind the packet is a NUL
    }
    return true;
}

static bool take_apart(size_t len, struct request *request)
{
    struct helper_head *head = &request->head;
    if (len < sizeof *head)
        return false;
    memcpy(head, helper.packet, sizeof *head);
    const char *at = helper.packet + sizeof *head, *end = helper.packet + len;
    return head->arg_count <= SPAWN_ARGS_MAX && head->env_count <= HELPER_ENV_MAX &&
           take_strings(&at, end, head->arg_count, request->argv) &&
           take_strings(&at, end, head->env_count, request->env) && at == end;
}

static bool is_sound(const struct request *request)
{
    const struct helper_head *head = &request->head;
    switch (head->kind) {
    case HELPER_COMMAND:
        return head->arg_count && head->env_count <= SPAWN_ENV_MAX &&
               request->fd_count >= HELPER_OUTPUT && request->fd_count <= HELPER_FDS;
    case HELPER_RESTART:
        return !head->arg_count && request->fd_count == 1;
    case HELPER_REFRESH:
        return !head->arg_count && !head->env_count && !request->fd_count;
    default:
        return (head->kind == HELPER_LEND || head->kind == HELPER_LEND_FIRST) && request->fd_count;
    }
}

static void take_fds(struct msghdr *message, struct request *request)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            request->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(request->fds, CMSG_DATA(c), request->fd_count * sizeof(int));
        }
}

// False: the other process is gone.
static bool receive(struct request *request, size_t *out_len)
{
    union {
        char bytes[CMSG_SPACE(HELPER_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {helper.packet, HELPER_PACKET_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(helper.socket, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0)
        return got < 0 && (errno == EINTR || errno == EAGAIN);
    take_fds(&message, request);
    helper.packet[got] = '\0';
    *out_len = message.msg_flags & MSG_TRUNC ? 0 : (size_t)got;
    return true;
}

static bool start_command(const struct request *request, pid_t *out_pid, struct err *err)
{
    const int *fds = request->fds;
    struct spawn_ends ends = {
        .input = fds[HELPER_INPUT], .output = -1, .errors = fds[HELPER_ERRORS]};
    if (request->fd_count > HELPER_OUTPUT)
        ends.output = fds[HELPER_OUTPUT];
    if (!helper.setup->permits(helper.setup->arg, request->argv, request->env)) {
        log_error("helper.refused", F_TEXT("command", request->argv[0]));
        return err_set(err, "cannot start %s: the configuration does not name this command",
                       request->argv[0]);
    }
    return spawn_check(request->argv[0], err) &&
           spawn_start(request->argv, request->env, &ends, out_pid, err);
}

static bool start(const struct request *request, struct run *run, struct err *err)
{
    if (!run->is_successor)
        return start_command(request, &run->pid, err);
    if (!successor_start(helper.setup, request->env, &run->pid, err))
        return false;
    tell(run, &(struct helper_report){.outcome = HELPER_STARTED, .code = run->pid});
    return true;
}

static void start_run(const struct request *request)
{
    struct helper_report failure = {.outcome = HELPER_NOT_STARTED};
    struct run one_too_many, *run = &one_too_many;
    for (size_t i = 0; i < RUNS_MAX && run == &one_too_many; i++)
        if (helper.runs[i].line < 0)
            run = &helper.runs[i];
    *run = (struct run){.line = request->fds[HELPER_LINE],
                        .is_successor = request->head.kind == HELPER_RESTART};
    if (run == &one_too_many)
        err_set(&failure.why, "%d commands run already", RUNS_MAX);
    else if (start(request, run, &failure.why))
        return;
    report(run, &failure);
}

static void refuse(int line)
{
    struct helper_report failure = {.outcome = HELPER_NOT_STARTED};
    err_set(&failure.why, "the request was damaged on its way: there are no descriptors left");
    report(&(struct run){.line = line}, &failure);
}

// Returns how many of its descriptors have found an owner.
static size_t take_request(const struct request *request)
{
    if (!is_sound(request)) {
        if (request->fd_count)
            refuse(request->fds[HELPER_LINE]);
        return 1;
    }
    if (request->head.kind == HELPER_LEND_FIRST)
        successor_give_back();
    if (request->head.kind == HELPER_LEND_FIRST || request->head.kind == HELPER_LEND) {
        successor_lend(request->fds, request->fd_count);
        return request->fd_count;
    }
    if (request->head.kind == HELPER_REFRESH) {
        if (helper.setup->refresh)
            helper.setup->refresh(helper.setup->arg);
        return 0;
    }
    start_run(request);
    return 1;
}

static bool on_request(void)
{
    static struct request request;
    size_t len = 0;
    request.fd_count = 0;
    if (!receive(&request, &len))
        return false;
    if (!take_apart(len, &request))
        request.head.kind = UINT32_MAX;
    for (size_t i = take_request(&request); i < request.fd_count; i++)
        close(request.fds[i]);
    mem_wipe(helper.packet, len); // a successor gets secrets
    return true;
}

// -- life --------------------------------------------------------------------------------------

static void on_signal(void)
{
    struct signalfd_siginfo info;
    while (read(helper.signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD && getppid() != helper.parent)
            helper_end(); // PR_SET_PDEATHSIG; from anybody else it does not count
    reap();
}

// The end of the line means that a command is no longer wanted, and nothing to a successor, which
// is ended by a word.
static void on_line(struct run *run)
{
    char word;
    if (!run->is_successor)
        spawn_kill(run->pid);
    else if (recv(run->line, &word, sizeof word, 0) > 0)
        kill(run->pid, SIGKILL);
    run->is_unwanted = true;
}

static void turn(void)
{
    struct pollfd fds[2 + RUNS_MAX] = {{.fd = helper.socket, .events = POLLIN},
                                       {.fd = helper.signals, .events = POLLIN}};
    struct run *of[2 + RUNS_MAX];
    nfds_t count = 2;
    for (size_t i = 0; i < RUNS_MAX; i++) {
        struct run *run = &helper.runs[i];
        if (run->line < 0 || run->is_unwanted)
            continue;
        of[count] = run;
        fds[count++] = (struct pollfd){.fd = run->line, .events = POLLIN};
    }
    if (poll(fds, count, -1) < 0 && errno != EINTR)
        helper_end();
    for (nfds_t i = 2; i < count; i++)
        if (fds[i].revents)
            on_line(of[i]);
    if (fds[1].revents)
        on_signal();
    if (fds[0].revents && !on_request())
        helper_end();
}

// Keeps the socket alone. 0 to 2 exist, so that a command's ends never get one of these numbers
// before they are moved.
static int close_others(int socket)
{
    static const int kept = STDERR_FILENO + 1;
    for (int fd = 0; fd < kept; fd++)
        if (fd == socket)
            socket = fcntl(fd, F_DUPFD_CLOEXEC, kept);
    for (int fd = 0; fd < kept; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR);
    if (socket != kept && dup3(socket, kept, O_CLOEXEC) < 0)
        _exit(1);
    close_range((unsigned)kept + 1, ~0U, 0);
    return kept;
}

// Signals from a terminal or a service manager are for the other process: commands may be wanted
// until it has drained, and when it has ended, so do we.
static void watch_signals(void)
{
    static const int others[] = {SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    sigset_t watched;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        signal(others[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigprocmask(SIG_SETMASK, &watched, NULL);
    helper.signals = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
}

void helper_live(int socket, const struct helper_setup *setup)
{
    struct err failure = {""};
    helper.socket = socket = close_others(socket);
    log_sink_forget();
    helper.setup = setup;
    helper.parent = getppid();
    for (size_t i = 0; i < RUNS_MAX; i++)
        helper.runs[i].line = -1;
    prctl(PR_SET_NAME, "bearerd-helper");
    successor_init();
    watch_signals();
    bool ok = setup->settle(setup->arg, &failure);
    // Behind settle(): a change of user would undo these two.
    if (ok && (helper.signals < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) ||
               prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_CHILD_SUBREAPER, 1)))
        ok = err_errno(&failure, "cannot prepare the process that starts commands");
    successor_keep_ambient();
    spawn_raise_limit(); // a successor's descriptors are here twice for a moment
    (void)!send(socket, &failure, sizeof failure, MSG_NOSIGNAL);
    if (!ok)
        _exit(1);
    for (;;)
        turn();
}
