// SPDX-License-Identifier: MIT
// A reply sent past libmicrohttpd, which answers no request before the last byte of its body. The
// connection is the client's to finish: it has its answer and our end, and what it still sends is
// thrown away.
#include <sys/socket.h>

#include "http/server.h"
#include "http/server_private.h"

#define MESSAGE_MAX ((size_t)64 * 1024)

static bool append_fields(struct buf *out, const struct fields *fields)
{
    bool ok = true;
    for (size_t i = 0; ok && i < fields->count; i++)
        ok = message_add(out, fields->items[i].name, fields->items[i].value);
    return ok && (fields_find(fields, STR("Date")) || message_add_date(out));
}

static bool append_body(struct buf *out, const struct request *request, const struct reply *reply)
{
    if (reply->status == 204 || reply->status == 304)
        return buf_append(out, STR("\r\n"));
    struct str body = reply->status == 205 ? STR_NONE : reply->body;
    return buf_printf(out, "Content-Length: %zu\r\n\r\n", body.len) &&
           (str_eq(request->method, STR("HEAD")) || buf_append(out, body));
}

static bool append_message(struct buf *out, const struct request *request,
                           const struct reply *reply)
{
    return message_start(out, reply->status) && buf_append(out, STR("Connection: close\r\n")) &&
           append_fields(out, reply->fields) && append_body(out, request, reply);
}

bool req_take_over(struct req *req, const struct reply *reply)
{
    struct buf message;
    buf_init(&message, MESSAGE_MAX);
    // Nothing was sent on this connection since the last reply, so this much fits into the socket.
    ssize_t sent = -1;
    if (append_message(&message, &req->pub, reply))
        sent = send(req->conn->fd, message.ptr, message.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    bool is_whole = sent == (ssize_t)message.len;
    buf_fini(&message);
    if (sent <= 0)
        return false;
    // What went out in part cannot be taken back, and must not look whole.
    req->is_gone = !is_whole;
    shutdown(req->conn->fd, is_whole ? SHUT_WR : SHUT_RDWR);
    req->is_taken_over = true;
    return true;
}
