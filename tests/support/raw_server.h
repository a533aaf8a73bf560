// SPDX-License-Identifier: MIT
// A server on a thread that takes one connection after the other, reads one request from each,
// notes it, and answers with bytes the test has written down, well-formed or not.
#ifndef SUPPORT_RAW_SERVER_H
#define SUPPORT_RAW_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

enum raw_end {
    RAW_CLOSE, // after the answer
    RAW_HOLD,  // leave it open until the client goes
    RAW_DRIP,  // hold, and send a byte every 20 ms
    RAW_FLOOD, // send the answer again and again until the client goes
};

struct raw_server {
    int fd, quit[2];
    unsigned port;
    pthread_t thread;
    struct str answer;
    enum raw_end end;
    unsigned connections; // atomic
    char request[16384];  // the last one
};

static bool raw_is_whole(const char *request, size_t len)
{
    const char *head_end = strstr(request, "\r\n\r\n");
    if (!head_end)
        return false;
    const char *length = strcasestr(request, "\r\nContent-Length:");
    size_t body_len = length && length < head_end ? strtoul(length + 17, NULL, 10) : 0;
    return len >= (size_t)(head_end - request) + 4 + body_len;
}

static void raw_read(struct raw_server *server, int fd)
{
    size_t len = 0;
    memset(server->request, 0, sizeof server->request);
    while (len < sizeof server->request - 1 && !raw_is_whole(server->request, len)) {
        ssize_t got = recv(fd, server->request + len, sizeof server->request - 1 - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
    }
}

// True when the client went, or the test is over.
static bool raw_is_gone(const struct raw_server *server, int fd, int wait_ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN | POLLRDHUP},
                            {.fd = server->quit[0], .events = POLLIN}};
    return poll(fds, 2, wait_ms) > 0;
}

static void raw_serve(struct raw_server *server, int fd)
{
    raw_read(server, fd);
    struct str rest = server->answer;
    bool is_sent = true;
    while (is_sent && rest.len) {
        ssize_t sent = send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        is_sent = sent > 0;
        rest = str_from(rest, is_sent ? (size_t)sent : rest.len);
        if (!rest.len && server->end == RAW_FLOOD && !raw_is_gone(server, fd, 0))
            rest = server->answer;
    }
    while (is_sent && server->end == RAW_DRIP && !raw_is_gone(server, fd, 20))
        is_sent = send(fd, "x", 1, MSG_NOSIGNAL) == 1;
    while (server->end == RAW_HOLD && !raw_is_gone(server, fd, 1000))
        ;
    close(fd);
}

static void *raw_run(void *arg)
{
    struct raw_server *server = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = server->fd, .events = POLLIN},
                                {.fd = server->quit[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        int fd = accept(server->fd, NULL, NULL);
        __atomic_add_fetch(&server->connections, 1, __ATOMIC_RELEASE);
        raw_serve(server, fd);
    }
}

static inline unsigned raw_port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

static inline int raw_bind(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void raw_start(struct raw_server *server, struct str answer, enum raw_end end)
{
    *server = (struct raw_server){.fd = raw_bind(), .answer = answer, .end = end};
    assert_int_equal(listen(server->fd, 16), 0);
    assert_int_equal(pipe(server->quit), 0);
    server->port = raw_port_of(server->fd);
    assert_int_equal(pthread_create(&server->thread, NULL, raw_run, server), 0);
}

// What the server noted may be read afterwards.
static inline void raw_stop(struct raw_server *server)
{
    assert_int_equal(write(server->quit[1], "q", 1), 1);
    pthread_join(server->thread, NULL);
    close(server->fd);
    close(server->quit[0]);
    close(server->quit[1]);
}

#endif
