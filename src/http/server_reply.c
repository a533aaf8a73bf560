// SPDX-License-Identifier: MIT
// The answer goes out: a reply becomes a libmicrohttpd response. Traps stepped round here: an empty
// value is refused by the library; `Connection` must be added before `Date`; HEAD and 304 of
// unknown length would get a stray last chunk from 0.9.75; a reader that was suspended and then
// fails leaves the connection half-dead until a limit is moved.
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

#define BLOCK_SIZE_MAX ((size_t)64 * 1024)

static void req_make_abort_visible(struct req *req)
{
    // A connection with a limit of its own moves to the list that is looked through on every run.
    MHD_set_connection_option(req->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
    server_want_run(req->server);
}

static ssize_t on_read(void *arg, uint64_t position, char *out, size_t out_max)
{
    (void)position;
    struct req *req = arg;
    server_owe_runs(req->server, 2); // to write it, to see that it was written
    ssize_t got = req->is_gone ? PULL_ABORT : req->server->ops->on_pull(&req->pub, out, out_max);
    if (got > 0) {
        pace_move(&req->conn->pace, (size_t)got);
        return got;
    }
    if (got == PULL_WAIT) {
        pace_pause(&req->conn->pace);
        req_suspend(req);
        return 0;
    }
    if (got == PULL_END) {
        if (req->ends_by_close)
            req_reset_on_close(req, false);
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    req_make_abort_visible(req);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static bool is_bodyless(const struct req *req, int status)
{
    return str_eq(req->pub.method, STR("HEAD")) || status == 204 || status == 304 || status == 205;
}

static struct MHD_Response *response_new(struct req *req, const struct reply *reply)
{
    if (reply->status == 204 || reply->status == 205)
        return MHD_create_response_from_buffer(0, mem_unconst(""), MHD_RESPMEM_PERSISTENT);
    if (reply->is_whole) // borrowed until on_end; libmicrohttpd is done with it before
        return MHD_create_response_from_buffer(reply->body.len, mem_unconst(reply->body.ptr),
                                               MHD_RESPMEM_PERSISTENT);
    size_t block = reply->length < BLOCK_SIZE_MAX ? (size_t)reply->length + 1 : BLOCK_SIZE_MAX;
    uint64_t size = reply->length == REPLY_LENGTH_UNKNOWN ? MHD_SIZE_UNKNOWN : reply->length;
    if (is_bodyless(req, reply->status))
        block = 1; // never called
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, block, on_read, req, NULL);
    if (response && size == MHD_SIZE_UNKNOWN && is_bodyless(req, reply->status))
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

typedef enum MHD_Result add_fn(struct MHD_Response *response, const char *name, const char *value);

static bool response_add(struct MHD_Response *response, const struct field *field, add_fn *add)
{
    // Not zeroed first, as the compiler is told to do elsewhere: 1.3 KiB for each field of each
    // reply.
    char name[256] __attribute__((uninitialized));
    char small[1024] __attribute__((uninitialized));
    if (field->name.len >= sizeof name)
        return false;
    memcpy(name, field->name.ptr, field->name.len);
    name[field->name.len] = '\0';
    if (!field->value.len)
        return add(response, name, " ") == MHD_YES;
    char *value = field->value.len < sizeof small ? small : mem_alloc(field->value.len + 1);
    memcpy(value, field->value.ptr, field->value.len);
    value[field->value.len] = '\0';
    bool ok = add(response, name, value) == MHD_YES;
    if (value != small)
        mem_free(value);
    return ok;
}

bool response_add_field(struct MHD_Response *response, const struct field *field)
{
    return response_add(response, field, MHD_add_response_header);
}

void request_add_trailer(struct request *request, const struct field *field)
{
    struct req *req = req_of(request);
    req->trailer_len += field->name.len + field->value.len + 4;
    // What does not fit into the pool would break the reply off.
    bool ok = req->trailer_len <= request_reply_room(request);
    if (ok && req->hand)
        ok = hand_add_trailer(req->hand, field);
    else if (ok)
        ok = req->queued && response_add(req->queued, field, MHD_add_response_footer);
    if (!ok)
        log_warn("reply.trailer_dropped", F_STR("name", field->name));
}

// Is so much of the request's body still to come that reading it all first is not worth it?
static bool body_is_long_to_come(const struct req *req)
{
    if (!req_has_body(req) || req->phase > REQ_BODY)
        return false;
    return req->pub.body == BODY_CHUNKED || req->pub.content_length > DRAIN_MAX;
}

bool request_may_overlap(struct request *request)
{
    const struct req *req = req_of(request);
    // An answer to the expectation may be on its way until the body comes.
    return req->phase == REQ_BODY && body_is_long_to_come(req) && !req->response && !req->hand &&
           (req->has_body_bytes || !request->expects_continue);
}

static bool is_by_hand(const struct req *req)
{
    // Whoever waits to be told to continue sends nothing that could get into the way.
    if (req->phase == REQ_HEAD && req->pub.expects_continue)
        return false;
    return body_is_long_to_come(req) || req->reply.close || req->is_late || !req->mhd;
}

static void response_add_fields(const struct req *req, struct MHD_Response *response,
                                const struct reply *reply)
{
    // libmicrohttpd 0.9.75 ends trailers where others do not, and 1.0.1 chunks whose extension
    // comes in pieces: what follows a chunked request is not taken for another one.
    bool is_loose = req->pub.body == BODY_CHUNKED && req->server->chunks_are_loose;
    if (reply->close || is_loose || conn_is_leaving(req->conn))
        response_add_field(response, &(struct field){STR("Connection"), STR("close")});
    for (size_t i = 0; i < reply->fields->count; i++)
        if (!response_add_field(response, &reply->fields->items[i]))
            log_warn("reply.field_dropped", F_STR("name", reply->fields->items[i].name));
}

// The reply is known: whatever of the body still comes is read and thrown away, for a while.
static void req_be_answered(struct req *req)
{
    if (req->phase == REQ_BODY) {
        req->is_draining = true;
        conn_set_deadline(req->conn, DRAIN_TIME_MS);
    }
    if (req->is_parked)
        list_append(&req->server->answered, &req->suspended_link);
    req_resume(req);
}

static bool reply_ends_by_close(const struct req *req, const struct reply *reply)
{
    return !reply->is_whole && reply->length == REPLY_LENGTH_UNKNOWN && req->pub.minor == 0 &&
           !is_bodyless(req, reply->status);
}

void request_reply(struct request *request, const struct reply *reply)
{
    struct req *req = req_of(request);
    if (req->response || req->hand || req->phase == REQ_REPLYING)
        return;
    bool overlaps = reply->overlaps && request_may_overlap(request);
    struct MHD_Response *response = response_new(req, reply);
    if (!response) {
        log_error("reply.no_memory");
        request_abort(request);
        return;
    }
    response_add_fields(req, response, reply);
    req->ends_by_close = reply_ends_by_close(req, reply);
    req->response = response;
    req->status = reply->status;
    req->reply = *reply;
    req->reply.fields = NULL;
    if (overlaps || is_by_hand(req))
        hand_start(req, overlaps);
    else
        req_be_answered(req);
}

size_t request_reply_room(struct request *request)
{
    const struct req *req = req_of(request);
    // What libmicrohttpd keeps of the request in the pool, and room for the lines it adds itself.
    size_t used = request->head_len + request->fields.count * 64 + 512;
    size_t limit = req->server->config.header_limit;
    return used < limit ? limit - used : 0;
}
