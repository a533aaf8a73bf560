// SPDX-License-Identifier: MIT
// See child.h. Owns processes from their start until they are reaped, by itself or by the helper,
// and what is known of them in between. It refuses to know what is run and why, and never gives a
// command line to a shell. Invariants: the process leads a group of its own, and stays unreaped, so
// that the group's number is its own, until the group has been killed; a child whose result was
// told, or is no longer wanted, waits in `dying` for its process to end.
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/helper.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/spawn.h"

#define CHUNK       4096
#define CHUNKS_MAX  32 // at a time: more than a pipe holds
#define ERRORS_KEPT 1024
#define REPEAT_MIN  12 // so many bytes of a secret in a row are no accident

struct child {
    struct loop *loop;
    child_done_fn *done; // NULL: dying
    void *arg;
    pid_t pid;                               // 0: the helper's to know
    struct watch exit_watch;                 // pidfd, or the line to the helper
    struct watch input_watch;                // fd -1: closed, as of all pipes
    struct watch output_watch, errors_watch; // what it writes
    struct timer timer;
    struct buf input, output;
    size_t input_at, output_max;
    char errors[ERRORS_KEPT]; // the end of stderr
    size_t errors_len, errors_total;
    struct list link; // in dying
};

// Nothing ever looks into it; it keeps what is in it reachable when a loop ends before they do.
static struct list dying = {&dying, &dying};
static pthread_mutex_t dying_lock = PTHREAD_MUTEX_INITIALIZER;

static void dying_add(struct child *child)
{
    pthread_mutex_lock(&dying_lock);
    list_append(&dying, &child->link);
    pthread_mutex_unlock(&dying_lock);
}

static void dying_remove(struct child *child)
{
    pthread_mutex_lock(&dying_lock);
    list_remove(&child->link);
    pthread_mutex_unlock(&dying_lock);
}

// -- ends --------------------------------------------------------------------------------------

static void pipe_close(struct child *child, struct watch *watch)
{
    watch_stop(child->loop, watch);
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

// All but the process itself.
static void child_let_go(struct child *child)
{
    pipe_close(child, &child->input_watch);
    pipe_close(child, &child->output_watch);
    pipe_close(child, &child->errors_watch);
    timer_stop(child->loop, &child->timer);
    buf_fini(&child->input);
}

static void child_free(struct child *child)
{
    child_let_go(child);
    pipe_close(child, &child->exit_watch);
    dying_remove(child);
    buf_fini(&child->output);
    mem_wipe(child->errors, sizeof child->errors);
    mem_free(child);
}

static void kill_group(const struct child *child)
{
    if (child->pid)
        spawn_kill(child->pid);
    else
        shutdown(child->exit_watch.fd, SHUT_WR);
}

// From here on nobody asks for it: on_gone() frees it.
static void child_die(struct child *child)
{
    kill_group(child);
    child_let_go(child);
    child->done = NULL;
    dying_add(child);
}

static void clean_line(struct str line, char *out, size_t out_size)
{
    size_t len = 0;
    for (size_t i = 0; i < line.len && len < out_size - 1; i++) {
        char c = line.ptr[i];
        if (((unsigned char)c & 0xc0) != 0x80) // of a UTF-8 character, one '?' for all of it
            out[len++] = c;
        if (len && (out[len - 1] < ' ' || out[len - 1] > '~'))
            out[len - 1] = '?';
    }
    out[len] = '\0';
}

static struct str last_line(struct str text)
{
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    const char *end = text.len ? memrchr(text.ptr, '\n', text.len) : NULL;
    return str_trim(end ? str_from(text, (size_t)(end + 1 - text.ptr)) : text);
}

static void child_tell(struct child *child, child_done_fn *done, enum child_end end, int code)
{
    struct child_result result = {.end = end, .code = code, .output = buf_str(&child->output)};
    struct str errors = {child->errors, child->errors_len};
    clean_line(last_line(errors), result.error_text, sizeof result.error_text);
    done(child->arg, &result);
    buf_fini(&child->output);
    mem_wipe(child->errors, sizeof child->errors);
    mem_wipe(result.error_text, sizeof result.error_text);
}

static void child_break(struct child *child, enum child_end end)
{
    child_done_fn *done = child->done;
    child_die(child);
    child_tell(child, done, end, 0);
}

// -- what it writes ----------------------------------------------------------------------------

// False: nothing more can be read now.
static bool read_output(struct child *child)
{
    struct buf *output = &child->output;
    size_t room = child->output_max + 1 - output->len; // the one more tells that it is too much
    room = room < CHUNK ? room : CHUNK;
    if (!room || !buf_reserve(output, room))
        return false;
    ssize_t got = read(child->output_watch.fd, output->ptr + output->len, room);
    if (got > 0)
        output->len += (size_t)got;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        pipe_close(child, &child->output_watch);
    return got > 0 && output->len <= child->output_max;
}

static void keep_errors(struct child *child, struct str chunk)
{
    if (chunk.len > ERRORS_KEPT)
        chunk = str_from(chunk, chunk.len - ERRORS_KEPT);
    size_t room = ERRORS_KEPT - child->errors_len;
    size_t drop = chunk.len > room ? chunk.len - room : 0;
    memmove(child->errors, child->errors + drop, child->errors_len - drop);
    child->errors_len -= drop;
    memcpy(child->errors + child->errors_len, chunk.ptr, chunk.len);
    child->errors_len += chunk.len;
}

static bool read_errors(struct child *child)
{
    char chunk[CHUNK];
    ssize_t got = read(child->errors_watch.fd, chunk, sizeof chunk);
    if (got > 0) {
        keep_errors(child, (struct str){chunk, (size_t)got});
        child->errors_total += (size_t)got;
    }
    mem_wipe(chunk, sizeof chunk);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        pipe_close(child, &child->errors_watch);
    return got > 0 && child->errors_total <= CHILD_ERROR_MAX;
}

static bool is_too_much(const struct child *child)
{
    return child->output.len > child->output_max || child->errors_total > CHILD_ERROR_MAX;
}

static void read_all(struct child *child)
{
    for (int i = 0; i < CHUNKS_MAX && child->output_watch.fd >= 0 && read_output(child); i++)
        ;
    for (int i = 0; i < CHUNKS_MAX && child->errors_watch.fd >= 0 && read_errors(child); i++)
        ;
}

static void on_output(struct watch *watch, unsigned ready)
{
    struct child *child = CONTAINER_OF(watch, struct child, output_watch);
    (void)ready;
    read_output(child);
    if (is_too_much(child))
        child_break(child, CHILD_TOO_MUCH);
}

static void on_errors(struct watch *watch, unsigned ready)
{
    struct child *child = CONTAINER_OF(watch, struct child, errors_watch);
    (void)ready;
    read_errors(child);
    if (is_too_much(child))
        child_break(child, CHILD_TOO_MUCH);
}

// -- what it reads, how long it takes, how it ends ---------------------------------------------

static void on_input(struct watch *watch, unsigned ready)
{
    struct child *child = CONTAINER_OF(watch, struct child, input_watch);
    (void)ready;
    struct str rest = str_from(buf_str(&child->input), child->input_at);
    ssize_t put = write(watch->fd, rest.ptr, rest.len);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (put > 0)
        child->input_at += (size_t)put;
    if (put > 0 && child->input_at < child->input.len)
        return;
    // All of it, or nobody reads it (EPIPE): that is the command's business.
    pipe_close(child, watch);
    buf_fini(&child->input);
}

static void on_timeout(struct timer *timer)
{
    child_break(CONTAINER_OF(timer, struct child, timer), CHILD_TIMEOUT);
}

// How it ended; false: it has not.
static bool reap(struct child *child, struct helper_report *out)
{
    siginfo_t info = {0};
    kill_group(child);
    int failed = waitid(P_PIDFD, (id_t)child->exit_watch.fd, &info, WEXITED | WNOHANG);
    if (!failed && !info.si_pid)
        return false;
    bool is_exit = failed || info.si_code == CLD_EXITED; // failed: somebody else reaped it
    *out = (struct helper_report){.outcome = is_exit ? HELPER_EXITED : HELPER_SIGNALLED,
                                  .code = failed ? -1 : info.si_status};
    return true;
}

static bool hear(const struct child *child, struct helper_report *out)
{
    ssize_t got = recv(child->exit_watch.fd, out, sizeof *out, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got != (ssize_t)sizeof *out) {
        *out = (struct helper_report){.outcome = HELPER_NOT_STARTED};
        err_set(&out->why, "the process that starts commands is gone; restart bearerd");
    }
    return true;
}

static void tell_end(struct child *child, const struct helper_report *report)
{
    enum child_end end = report->outcome == HELPER_EXITED      ? CHILD_EXITED
                         : report->outcome == HELPER_SIGNALLED ? CHILD_SIGNALLED
                                                               : CHILD_NOT_STARTED;
    read_all(child);
    child_let_go(child);
    if (end == CHILD_NOT_STARTED) {
        child->errors_len = 0;
        keep_errors(child, str_of(report->why.text));
    }
    child_tell(child, child->done, is_too_much(child) ? CHILD_TOO_MUCH : end, report->code);
}

static void on_gone(struct watch *watch, unsigned ready)
{
    struct child *child = CONTAINER_OF(watch, struct child, exit_watch);
    struct helper_report report = {.code = 0};
    (void)ready;
    if (!(child->pid ? reap(child, &report) : hear(child, &report)))
        return;
    if (child->done)
        tell_end(child, &report);
    child_free(child);
}

void child_cancel(struct child *child)
{
    child_die(child);
    buf_fini(&child->output);
    mem_wipe(child->errors, sizeof child->errors);
}

// -- start -------------------------------------------------------------------------------------

// Ours goes into the watch, does not block, and stays here; theirs is returned, -1 on failure.
static int pipe_open(struct child *child, struct watch *watch, unsigned events, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) {
        err_errno(err, "cannot make a pipe");
        return -1;
    }
    const int *ours = &ends[events == LOOP_WRITE], *theirs = &ends[events != LOOP_WRITE];
    if (fcntl(*ours, F_SETFL, O_NONBLOCK))
        err_errno(err, "cannot make a pipe");
    else if (watch_start(child->loop, watch, *ours, events, err))
        return *theirs;
    close(*ours);
    close(*theirs);
    return -1;
}

// The order is that of spawn(): if the numbers 0 to 2 are free here, of theirs only the first can
// get one of them, and it is moved before anything else is put in its place.
static bool ends_open(struct child *child, struct spawn_ends *out, struct err *err)
{
    out->input = pipe_open(child, &child->input_watch, LOOP_WRITE, err);
    if (out->input >= 0)
        out->errors = pipe_open(child, &child->errors_watch, LOOP_READ, err);
    if (out->errors >= 0 && child->output_max)
        out->output = pipe_open(child, &child->output_watch, LOOP_READ, err);
    return out->errors >= 0 && (out->output >= 0 || !child->output_max);
}

static void ends_close(struct spawn_ends *ends)
{
    const int all[] = {ends->input, ends->output, ends->errors};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] >= 0)
            close(all[i]);
}

static bool watch_process(struct child *child, struct err *err)
{
    int fd = pidfd_open(child->pid, 0);
    if (fd < 0)
        err_errno(err, "cannot watch a process");
    else if (watch_start(child->loop, &child->exit_watch, fd, LOOP_READ, err))
        return true;
    else
        close(fd);
    // Without a descriptor there is no other way to know; of a killed process it is soon over.
    kill_group(child);
    waitpid(child->pid, NULL, 0);
    return false;
}

static bool start_here(struct child *child, const struct child_request *request,
                       const struct spawn_ends *ends, struct err *err)
{
    return spawn_start(request->argv, request->env, ends, &child->pid, err) &&
           watch_process(child, err);
}

static bool start_by_helper(struct child *child, const struct child_request *request,
                            const struct spawn_ends *ends, struct err *err)
{
    int line = helper_run(request->argv, request->env, ends, err);
    if (line < 0)
        return false;
    if (watch_start(child->loop, &child->exit_watch, line, LOOP_READ, err))
        return true;
    close(line); // which has it killed
    return false;
}

// Whoever started us may have left SIGCHLD ignored, and then nobody would be told how a process
// ended.
static void want_exit_status(void)
{
    struct sigaction action;
    if (!sigaction(SIGCHLD, NULL, &action) && action.sa_handler == SIG_IGN) {
        action.sa_handler = SIG_DFL;
        sigaction(SIGCHLD, &action, NULL);
    }
}

static struct child *child_new(struct loop *loop, const struct child_request *request)
{
    struct child *child = mem_alloc(sizeof *child);
    child->loop = loop;
    child->output_max = request->output_max;
    child->exit_watch = (struct watch){.on_ready = on_gone, .fd = -1};
    child->input_watch = (struct watch){.on_ready = on_input, .fd = -1};
    child->output_watch = (struct watch){.on_ready = on_output, .fd = -1};
    child->errors_watch = (struct watch){.on_ready = on_errors, .fd = -1};
    timer_init(&child->timer, on_timeout);
    buf_init(&child->input, request->input.len);
    buf_init(&child->output, request->output_max + 1);
    return child;
}

struct child *child_start(struct loop *loop, const struct child_request *request,
                          child_done_fn *done, void *arg, struct err *err)
{
    struct child *child = child_new(loop, request);
    struct spawn_ends ends = {-1, -1, -1};
    want_exit_status();
    bool ok = buf_append(&child->input, request->input) && spawn_check(request->argv[0], err) &&
              ends_open(child, &ends, err) &&
              (helper_is_used() ? start_by_helper : start_here)(child, request, &ends, err);
    ends_close(&ends);
    if (!ok) {
        child_free(child);
        return NULL;
    }
    child->done = done;
    child->arg = arg;
    timer_start(loop, &child->timer, request->timeout_ms);
    if (!child->input.len)
        pipe_close(child, &child->input_watch);
    return child;
}

// -- words -------------------------------------------------------------------------------------

void child_describe(const struct child_result *result, uint64_t timeout_ms, char *out,
                    size_t out_size)
{
    char how[64];
    switch (result->end) {
    case CHILD_EXITED:
        snprintf(how, sizeof how, "exit status %d", result->code);
        break;
    case CHILD_SIGNALLED:
        snprintf(how, sizeof how, "killed by signal %d", result->code);
        break;
    case CHILD_TIMEOUT:
        snprintf(how, sizeof how, "took longer than %llu ms", (unsigned long long)timeout_ms);
        break;
    case CHILD_TOO_MUCH:
        snprintf(how, sizeof how, "too much output");
        break;
    case CHILD_NOT_STARTED:
        snprintf(how, sizeof how, "it did not start");
        break;
    }
    snprintf(out, out_size, "%s%s%s", how, result->error_text[0] ? ": " : "", result->error_text);
}

bool child_error_repeats(const struct child_result *result, struct str secret)
{
    struct str text = str_of(result->error_text);
    size_t window = secret.len < REPEAT_MIN ? secret.len : REPEAT_MIN;
    for (size_t i = 0; window && i + window <= text.len; i++)
        if (memmem(secret.ptr, secret.len, text.ptr + i, window))
            return true;
    return false;
}
