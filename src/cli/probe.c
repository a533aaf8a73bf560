// SPDX-License-Identifier: MIT
// See probe.h. Invariant: no descriptor survives the call.
#include "cli/probe.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/loop.h"
#include "http/h1.h"

#define READ_SIZE  4096
#define ANSWER_MAX 8192

static bool connect_to(int fd, const struct sockaddr *to, socklen_t to_len, unsigned timeout_ms,
                       const char *address, struct err *err)
{
    struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L};
    if (fd < 0)
        return err_errno(err, "socket");
    // On Linux SO_SNDTIMEO bounds connect(), too.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
        return err_errno(err, "%s", address);
    return !connect(fd, to, to_len) || err_errno(err, "%s", address);
}

static int dial_unix(const char *address, unsigned timeout_ms, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(address);
    if (len >= sizeof(to.sun_path)) {
        err_set(err, "unix:%s: path too long", address);
        return -1;
    }
    memcpy(to.sun_path, address, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect_to(fd, (const struct sockaddr *)&to, sizeof(to), timeout_ms, address, err))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int dial_first(const struct addrinfo *found, unsigned timeout_ms, const char *address,
                      struct err *err)
{
    for (; found; found = found->ai_next) {
        int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect_to(fd, found->ai_addr, found->ai_addrlen, timeout_ms, address, err))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

// "127.0.0.1:80", "[::1]:80", ":80", "localhost:80"
static int dial_tcp(const char *address, unsigned timeout_ms, struct err *err)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    const char *start = *address == '[' ? address + 1 : address;
    size_t len = colon ? (size_t)(colon - start) - (*address == '[') : 0;
    if (!colon || len >= sizeof(host)) {
        err_set(err, "%s: not an address", address);
        return -1;
    }
    memcpy(host, start, len);
    host[len] = '\0';
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(len ? host : NULL, colon + 1, &hints, &found); // NULL: loopback
    if (failure) {
        err_set(err, "%s: %s", address, gai_strerror(failure));
        return -1;
    }
    int fd = dial_first(found, timeout_ms, address, err);
    freeaddrinfo(found);
    return fd;
}

static bool send_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

// SO_RCVTIMEO bounds each wait; somebody who sends a byte at a time is bounded here.
static bool read_all(int fd, uint64_t until_us, struct buf *out)
{
    while (out->len < out->max) {
        if (clock_boottime_us() > until_us) {
            errno = ETIMEDOUT;
            return false;
        }
        size_t room = out->max - out->len;
        if (room > READ_SIZE)
            room = READ_SIZE;
        if (!buf_reserve(out, room))
            return false;
        ssize_t n = recv(fd, out->ptr + out->len, room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        out->len += (size_t)n;
    }
    return true;
}

static int dial(const char *address, unsigned timeout_ms, struct err *err)
{
    bool is_unix = str_starts(str_of(address), STR("unix:"));
    return is_unix ? dial_unix(address + 5, timeout_ms, err) : dial_tcp(address, timeout_ms, err);
}

bool probe_connect(const char *address, unsigned timeout_ms, struct err *err)
{
    int fd = dial(address, timeout_ms, err);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool probe_exchange(const char *address, struct str request, unsigned timeout_ms, struct buf *out,
                    struct err *err)
{
    int fd = dial(address, timeout_ms, err);
    if (fd < 0)
        return false;
    uint64_t until_us = clock_boottime_us() + (uint64_t)timeout_ms * 1000;
    bool is_done = send_all(fd, request) && read_all(fd, until_us, out);
    if (!is_done && errno == EAGAIN)
        errno = ETIMEDOUT;
    if (!is_done)
        err_errno(err, "%s: no answer", address);
    close(fd);
    return is_done;
}

// -- the proxy ---------------------------------------------------------------------------------

#define QUESTION                                                                                   \
    "TRACE / HTTP/1.1\r\n"                                                                         \
    "Host: localhost\r\n"                                                                          \
    "Max-Forwards: 0\r\n"                                                                          \
    "Connection: close\r\n\r\n"

static bool is_bearerd(struct str answer)
{
    struct h1_response response;
    const char *why;
    if (h1_parse_response(answer, false, &response, &why) != H1_DONE)
        return false;
    const struct field *field = fields_find(&response.fields, STR("Proxy-Status"));
    return field && str_starts(field->value, STR("bearerd"));
}

// It asks with TRACE, which bearerd answers itself, before any route or token plays a part; what
// counts is that the answer is bearerd's, as its Proxy-Status field says.
bool probe_proxy(const char *address, unsigned timeout_ms, struct err *err)
{
    struct buf answer;
    if (str_starts(str_of(address), STR("fd:")))
        return err_set(err, "listen = %s: where that socket is, only who hands it over knows",
                       address);
    buf_init(&answer, ANSWER_MAX);
    bool is_up = probe_exchange(address, STR(QUESTION), timeout_ms, &answer, err);
    if (is_up && !is_bearerd(buf_str(&answer)))
        is_up = err_set(err, "%s: something answers there, but it is not bearerd", address);
    buf_fini(&answer);
    return is_up;
}
