// SPDX-License-Identifier: MIT
// A server on a thread whose answer to each request the test works out from its number and its
// text. It keeps all requests. One request per connection.
#ifndef SUPPORT_SCRIPT_SERVER_H
#define SUPPORT_SCRIPT_SERVER_H

#include <stdarg.h>

#include "raw_server.h"

#define SCRIPT_REQUESTS 16
#define SCRIPT_ANSWER   (512 * 1024)

struct script_server;
// Writes the answer with script_answer(). number: 0 for the first request.
typedef void script_fn(struct script_server *server, unsigned number, const char *request);

struct script_server {
    struct raw_server raw; // port
    script_fn *respond;
    char requests[SCRIPT_REQUESTS][16384];
    unsigned count; // atomic
    char answer[SCRIPT_ANSWER];
    size_t answer_len;
};

// "HTTP/1.1 STATUS x", more fields (each with its CR LF), the body with its length.
static inline void script_answer(struct script_server *server, int status, const char *fields,
                                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static inline void script_answer(struct script_server *server, int status, const char *fields,
                                 const char *format, ...)
{
    static char body[SCRIPT_ANSWER];
    va_list ap;
    va_start(ap, format);
    int len = vsnprintf(body, sizeof body, format, ap);
    va_end(ap);
    server->answer_len = (size_t)snprintf(server->answer, sizeof server->answer,
                                          "HTTP/1.1 %d x\r\n%sContent-Length: %d\r\n\r\n%s", status,
                                          fields, len, body);
}

static void *script_run(void *arg)
{
    struct script_server *server = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = server->raw.fd, .events = POLLIN},
                                {.fd = server->raw.quit[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        int fd = accept(server->raw.fd, NULL, NULL);
        raw_read(&server->raw, fd);
        unsigned number = __atomic_load_n(&server->count, __ATOMIC_ACQUIRE);
        server->answer_len = 0;
        server->respond(server, number, server->raw.request);
        if (number < SCRIPT_REQUESTS)
            memcpy(server->requests[number], server->raw.request, sizeof server->requests[0]);
        __atomic_add_fetch(&server->count, 1, __ATOMIC_RELEASE);
        for (size_t at = 0; at < server->answer_len;) {
            ssize_t sent = send(fd, server->answer + at, server->answer_len - at, MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            at += (size_t)sent;
        }
        close(fd);
    }
}

// On a socket that was bound before.
static inline void script_start_on(struct script_server *server, int fd, script_fn *respond)
{
    *server = (struct script_server){.raw = {.fd = fd}, .respond = respond};
    assert_int_equal(listen(server->raw.fd, 16), 0);
    assert_int_equal(pipe(server->raw.quit), 0);
    server->raw.port = raw_port_of(server->raw.fd);
    assert_int_equal(pthread_create(&server->raw.thread, NULL, script_run, server), 0);
}

static inline void script_start(struct script_server *server, script_fn *respond)
{
    script_start_on(server, raw_bind(), respond);
}

static inline unsigned script_count(const struct script_server *server)
{
    return __atomic_load_n(&server->count, __ATOMIC_ACQUIRE);
}

// What the server noted may be read afterwards.
static inline void script_stop(struct script_server *server)
{
    raw_stop(&server->raw);
}

#endif
