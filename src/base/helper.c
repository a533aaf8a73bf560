// SPDX-License-Identifier: MIT
// See helper.h. The side that asks: starts the helper and puts requests on its socket. The other
// side is helper_process.c.
#include "base/helper.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/helper_private.h"

static int helper_socket = -1;
static pid_t helper_process;
static bool is_refresh_due; // it could not be sent, and goes before the next request

bool helper_is_used(void)
{
    return helper_socket >= 0;
}

static void set_packet_size(int fd)
{
    int size = (int)HELPER_PACKET_MAX;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

// It says how settling went: an empty text means well.
static bool await_settled(struct err *err)
{
    struct err told = {""};
    ssize_t got;
    while ((got = recv(helper_socket, &told, sizeof told, 0)) < 0 && errno == EINTR)
        ;
    if (got != (ssize_t)sizeof told)
        return err_set(err, "the process that is to start commands has ended at once");
    return !told.text[0] || err_set(err, "%s", told.text);
}

bool helper_start(const struct helper_setup *setup, struct err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return err_errno(err, "cannot make a socket for the process that is to start commands");
    set_packet_size(ends[0]);
    helper_process = fork();
    if (!helper_process) {
        close(ends[0]);
        helper_live(ends[1], setup);
    }
    close(ends[1]);
    helper_socket = ends[0];
    bool ok = helper_process > 0
                  ? await_settled(err)
                  : err_errno(err, "cannot fork the process that is to start commands");
    if (!ok)
        helper_stop();
    return ok;
}

pid_t helper_pid(void)
{
    return helper_process;
}

void helper_stop(void)
{
    if (helper_socket >= 0)
        close(helper_socket);
    helper_socket = -1;
    is_refresh_due = false;
    while (helper_process > 0 && waitpid(helper_process, NULL, 0) < 0 && errno == EINTR)
        ;
    helper_process = 0;
}

// -- a request ---------------------------------------------------------------------------------

static bool add_strings(struct buf *packet, const char *const *strings, uint32_t *out_count)
{
    for (*out_count = 0; strings && strings[*out_count]; ++*out_count)
        if (!buf_append(packet, (struct str){strings[*out_count], strlen(strings[*out_count]) + 1}))
            return false;
    return true;
}

static bool build_packet(struct buf *packet, enum helper_kind kind, const char *const *argv,
                         const char *const *env)
{
    struct helper_head head = {.kind = kind};
    bool ok = buf_append(packet, (struct str){(const char *)&head, sizeof head}) &&
              add_strings(packet, argv, &head.arg_count) &&
              add_strings(packet, env, &head.env_count);
    if (ok)
        memcpy(packet->ptr, &head, sizeof head);
    return ok && head.arg_count <= SPAWN_ARGS_MAX && head.env_count <= HELPER_ENV_MAX;
}

static bool send_packet(const struct buf *packet, const int *fds, size_t fd_count)
{
    union {
        char bytes[CMSG_SPACE(HELPER_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = ""};
    struct iovec part = {packet->ptr, packet->len};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    if (fd_count)
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    else
        message.msg_controllen = 0;
    return sendmsg(helper_socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

// False and errno.
static bool ask_now(enum helper_kind kind, const char *const *argv, const char *const *env,
                    const int *fds, size_t fd_count)
{
    struct buf packet;
    buf_init(&packet, HELPER_PACKET_MAX);
    bool ok = build_packet(&packet, kind, argv, env);
    errno = ok ? 0 : EMSGSIZE;
    ok = ok && send_packet(&packet, fds, fd_count);
    int saved = errno;
    buf_fini(&packet);
    errno = saved;
    return ok;
}

void helper_refresh(void)
{
    is_refresh_due = helper_is_used() && !ask_now(HELPER_REFRESH, NULL, NULL, NULL, 0);
}

// False and errno.
static bool ask(enum helper_kind kind, const char *const *argv, const char *const *env,
                const int *fds, size_t fd_count)
{
    if (is_refresh_due)
        helper_refresh();
    return !is_refresh_due && ask_now(kind, argv, env, fds, fd_count);
}

static bool explain(const char *what, struct err *err)
{
    if (errno == EMSGSIZE)
        return err_set(err, "cannot start %s: its arguments are too long", what);
    if (errno == EAGAIN)
        return err_set(err, "cannot start %s: another command is still being started", what);
    if (errno == EPIPE || errno == ECONNRESET)
        return err_set(err,
                       "cannot start %s: the process that starts commands is gone; restart bearerd",
                       what);
    return err_errno(err, "cannot start %s", what);
}

static bool make_line(int line[2], const char *what, struct err *err)
{
    return !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, line) ||
           err_errno(err, "cannot start %s", what);
}

// Our end of the line, or -1 with err.
static int end_of(const int line[2], bool ok, const char *what, struct err *err)
{
    if (!ok)
        explain(what, err);
    close(line[1]);
    if (ok)
        return line[0];
    close(line[0]);
    return -1;
}

int helper_run(const char *const *argv, const char *const *env, const struct spawn_ends *ends,
               struct err *err)
{
    int line[2];
    if (!make_line(line, argv[0], err))
        return -1;
    const int fds[HELPER_FDS] = {line[1], ends->input, ends->errors, ends->output};
    bool ok = ask(HELPER_COMMAND, argv, env, fds, ends->output < 0 ? HELPER_OUTPUT : HELPER_FDS);
    return end_of(line, ok, argv[0], err);
}

int helper_restart(const int *fds, size_t fd_count, const char *const *env, struct err *err)
{
    static const char what[] = "a successor";
    int line[2];
    if (!make_line(line, what, err))
        return -1;
    bool ok = true;
    for (size_t at = 0; ok && at < fd_count; at += HELPER_FDS_MAX) {
        size_t rest = fd_count - at;
        ok = ask(at ? HELPER_LEND : HELPER_LEND_FIRST, NULL, NULL, fds + at,
                 rest < HELPER_FDS_MAX ? rest : HELPER_FDS_MAX);
    }
    ok = ok && ask(HELPER_RESTART, NULL, env, &line[1], 1);
    return end_of(line, ok, what, err);
}
