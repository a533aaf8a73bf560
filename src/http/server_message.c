// SPDX-License-Identifier: MIT
// Heads of messages to the client that libmicrohttpd has no part in: interim responses, which it
// does not know, and the lines of replies that are written by hand.
#include <microhttpd.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

#define INTERIM_MAX ((size_t)16 * 1024) // of one interim response

bool message_start(struct buf *out, int status)
{
    return buf_printf(out, "HTTP/1.1 %d %s\r\n", status,
                      MHD_get_reason_phrase_for((unsigned)status));
}

bool message_add(struct buf *out, struct str name, struct str value)
{
    return buf_append(out, name) && buf_append(out, STR(": ")) && buf_append(out, value) &&
           buf_append(out, STR("\r\n"));
}

bool message_add_date(struct buf *out)
{
    char text[64];
    struct tm utc;
    time_t now = (time_t)clock_realtime_s();
    gmtime_r(&now, &utc);
    size_t len = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return message_add(out, STR("Date"), (struct str){text, len});
}

static bool append_interim(struct buf *out, int status, const struct fields *fields)
{
    bool ok = message_start(out, status);
    for (size_t i = 0; ok && i < fields->count; i++)
        ok = message_add(out, fields->items[i].name, fields->items[i].value);
    return ok && buf_append(out, STR("\r\n"));
}

void request_inform(struct request *request, int status, const struct fields *fields)
{
    struct req *req = req_of(request);
    if (request->minor == 0 || req->response || req->hand || req->phase == REQ_REPLYING)
        return;
    struct buf message;
    buf_init(&message, INTERIM_MAX);
    ssize_t sent = 0;
    // Between two replies libmicrohttpd has nothing of its own to send but a whole 100, which may
    // stand before or behind.
    if (append_interim(&message, status, fields))
        sent = send(req->conn->fd, message.ptr, message.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    bool is_cut = sent > 0 && (size_t)sent < message.len;
    buf_fini(&message);
    if (is_cut) // what went out cannot be taken back
        request_abort(request);
    else if (sent <= 0)
        log_debug("reply.interim_dropped", F_NUM("status", status));
}
