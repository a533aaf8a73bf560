// SPDX-License-Identifier: MIT
// Answers written by hand, where libmicrohttpd has no request to answer yet, or no room for it. The
// same form as those that the handler makes; the connection is closed behind them.
#include <microhttpd.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

static const struct saying {
    int status;
    const char *type, *title, *detail;
    const char *proxy_error; // RFC 9209 2.3
    const char *more;        // field lines
} sayings[] = {
    [SAY_HEAD_TOO_LARGE] = {431, "malformed-request", "The request is malformed",
                            "the request head is larger than header_limit", "http_request_error",
                            ""},
    [SAY_LATE_HEAD] = {408, "client-timeout", "The client took too long to send its request",
                       "the request head was not complete within header_timeout",
                       "http_request_error", ""},
    [SAY_TOO_MANY_CONNECTIONS] = {503, "too-many-connections",
                                  "This client has too many connections",
                                  "max_connections_per_client connections of this client are open",
                                  "http_request_denied", "Retry-After: 1\r\n"},
};

void socket_say(int fd, enum saying_kind kind)
{
    const struct saying *saying = &sayings[kind];
    char body[512], text[1024];
    int body_len = snprintf(body, sizeof body,
                            "{\"type\":\"urn:bearerd:problem:%s\",\"title\":\"%s\",\"status\":%d,"
                            "\"detail\":\"%s\"}\n",
                            saying->type, saying->title, saying->status, saying->detail);
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
                       "Cache-Control: no-store\r\n"
                       "Proxy-Status: bearerd; error=%s; details=\"%s\"\r\n%s"
                       "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
                       saying->status, MHD_get_reason_phrase_for((unsigned)saying->status),
                       saying->proxy_error, saying->detail, saying->more, body_len, body);
    // The connection is closed whether or not this gets through.
    if (send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("client.gone", F_NUM("fd", fd));
}

void conn_say(const struct conn *conn, enum saying_kind kind)
{
    socket_say(conn->fd, kind);
}
