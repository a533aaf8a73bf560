// SPDX-License-Identifier: MIT
// What libmicrohttpd made of a request's bytes, taken from it and looked at again: target, fields,
// framing, trailers. Its own readings of them (query, cookies) are kept from happening.
#include <microhttpd.h>
#include <string.h>

#include "http/server.h"
#include "http/server_handler.h"
#include "http/server_private.h"

// See handler_on_target(); known by their addresses.
static const char decoy_name[] = "Cookie";
static const char decoy_value[] = "-";

void *handler_on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
    struct server *server = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *conn = info ? info->socket_context : NULL;
    if (!conn)
        return NULL;
    struct req *req = req_new(server, conn);
    if (server->open_head)
        server_owe_runs(server, HEAD_READS);
    server->open_head = req;
    size_t len = strlen(target);
    if (!buf_append(&req->target, (struct str){target, len}))
        req->is_gone = true;
    req->pub.target = (struct str){target, len};
    // libmicrohttpd parses the query into the connection's pool, and 0.9.75 hangs when that is
    // exhausted: an empty query is all it sees. The bytes are its own buffer's, which it is about
    // to modify anyway.
    char *query = strchr(mem_unconst(target), '?');
    if (query && query[1])
        query[1] = '\0';
    // Cookies it copies into the pool to parse them, but only the first Cookie field: this one.
    MHD_set_connection_value_n(mhd, MHD_HEADER_KIND, decoy_name, sizeof decoy_name - 1, decoy_value,
                               sizeof decoy_value - 1);
    if (conn->has_asked) // the first head's time runs since the connection was made
        conn_set_deadline(conn, server->config.header_timeout_ms);
    return req;
}

struct field_collector {
    struct req *req;
    bool overflow;
};

static enum MHD_Result on_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct field_collector *collector = arg;
    if (name == decoy_name)
        return MHD_YES;
    if (fields_add(&collector->req->pub.fields, (struct str){name, name_len},
                   (struct str){value, value_len}))
        return MHD_YES;
    collector->overflow = true;
    return MHD_NO;
}

struct guard_verdict req_check_head(struct req *req, const char *method, const char *version)
{
    struct field_collector collector = {.req = req};
    MHD_get_connection_values_n(req->mhd, MHD_HEADER_KIND, on_field, &collector);
    if (collector.overflow)
        return (struct guard_verdict){431, "too many header fields"};
    if (str_has(buf_str(&req->target), ' ')) // RFC 9112 3: never repaired by guessing
        return (struct guard_verdict){400, "malformed request line"};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    req->pub.head_len = info ? info->header_size : 0;
    struct guard_input input = {
        .method = method,
        .target = req->pub.target.ptr, // still the library's bytes; buf_append copied them
        .target_len = req->pub.target.len,
        .version = version,
        .head_len = req->pub.head_len,
        .in_place = req->server->parses_in_place,
        .fields = &req->pub.fields,
    };
    return guard_check(&input);
}

void req_read_framing(struct req *req)
{
    struct request *pub = &req->pub;
    for (size_t i = 0; i < pub->fields.count; i++)
        pub->fields.items[i].value = str_trim(pub->fields.items[i].value);
    const struct field *length = fields_find(&pub->fields, STR("Content-Length"));
    if (fields_find(&pub->fields, STR("Transfer-Encoding")))
        pub->body = BODY_CHUNKED;
    else if (length && str_to_u64(length->value, &pub->content_length))
        pub->body = BODY_LENGTH;
    else
        pub->body = BODY_NONE;
    pub->expects_continue =
        fields_list_has(&pub->fields, STR("Expect"), STR("100-continue")) && pub->minor == 1;
}

// -- trailers ----------------------------------------------------------------------------------

struct trailer_collector {
    const struct req *req;
    struct fields *out;
    const char *next; // where the next line lies if libmicrohttpd read those before right
    bool in_place, is_refused;
};

static bool trailer_is_sound(const struct trailer_collector *collector, struct str name,
                             struct str value)
{
    if (!field_name_is_valid(name) || !field_value_is_valid(value))
        return false;
    if (!collector->in_place)
        return true;
    // NAME 0 OWS VALUE 0 0, line after line: see guard.c. A folded line or a bare LF leaves
    // something else.
    const char *after = name.ptr + name.len + 1;
    return (!collector->next || name.ptr == collector->next) && value.ptr >= after &&
           strspn(after, " \t") == (size_t)(value.ptr - after) && !value.ptr[value.len] &&
           !value.ptr[value.len + 1];
}

static bool lies_in_head(const struct req *req, const char *ptr)
{
    uintptr_t start = (uintptr_t)req->pub.method.ptr;
    return (uintptr_t)ptr >= start && (uintptr_t)ptr < start + req->pub.head_len;
}

static enum MHD_Result on_trailer(void *arg, enum MHD_ValueKind kind, const char *name,
                                  size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct trailer_collector *collector = arg;
    struct str key = {name, name_len}, text = {value, value_len};
    // When the first line comes in pieces, libmicrohttpd before 1.0 takes the head's last field for
    // a trailer, once more.
    if (collector->in_place && lies_in_head(collector->req, name))
        return MHD_YES;
    if (!trailer_is_sound(collector, key, text) ||
        !fields_add(collector->out, key, str_trim(text))) {
        collector->is_refused = true;
        return MHD_NO;
    }
    collector->next = value + value_len + 2;
    return MHD_YES;
}

bool request_trailers(struct request *request, struct fields *out)
{
    const struct req *req = req_of(request);
    struct trailer_collector collector = {
        .req = req, .out = out, .in_place = req->server->parses_in_place};
    out->count = 0;
    MHD_get_connection_values_n(req->mhd, MHD_FOOTER_KIND, on_trailer, &collector);
    return !collector.is_refused;
}
