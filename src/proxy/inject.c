// SPDX-License-Identifier: MIT
// See inject.h. The client's fields pass in their order, case and number but for: what belongs to
// the connection; what frames the body (one field of ours takes its place); credentials meant for
// us; and what upstreams take for a proxy's word about the client or the URL. Every name that is
// dropped is dropped in its `_` spelling, too: CGI and its heirs cannot tell the two apart.
//
// Invariant: each token's field stands in the head once, and nothing of the client's by that name.
#include "proxy/inject.h"

#include <string.h>

#include "proxy/forwarded.h"
#include "proxy/inject_names.h"
#include "proxy/trailer.h"

// ---- names

static bool is_authorization(struct str name)
{
    return name.len == 13 && str_eq_nocase(name, STR("Authorization"));
}

static bool is_trace(struct str name)
{
    return (name.len == 11 && str_eq_nocase(name, STR("traceparent"))) ||
           (name.len == 10 && str_eq_nocase(name, STR("tracestate")));
}

static bool headers_have(const struct config_headers *headers, struct str name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (inject_names_are_alike(str_of(headers->items[i].name), name))
            return true;
    return false;
}

static bool strings_have(const struct config_strings *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (inject_names_are_alike(str_of(names->items[i]), name))
            return true;
    return false;
}

bool inject_removes(const struct config_upstream *upstream, const struct config_route *route,
                    struct str name)
{
    return strings_have(&upstream->remove_header, name) ||
           (route && strings_have(&route->remove_header, name));
}

// ---- may it go on?

bool inject_is_loop(const struct fields *fields, struct str pseudonym)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (!str_eq_nocase(fields->items[i].name, STR("Via")))
            continue;
        struct str item, version, name, list = fields->items[i].value;
        while (field_list_next(&list, &item))
            if (str_word(&item, &version) && str_word(&item, &name) && str_eq(name, pseudonym))
                return true;
    }
    return false;
}

// The name of a parameter, decoded, against a plain one.
static bool parameter_is(struct str name, struct str wanted)
{
    size_t at = 0;
    for (size_t i = 0; i < name.len; i++, at++) {
        char c = name.ptr[i];
        if (c == '%' && name.len - i > 2 && str_hex_digit(name.ptr[i + 1]) >= 0 &&
            str_hex_digit(name.ptr[i + 2]) >= 0) {
            c = (char)(str_hex_digit(name.ptr[i + 1]) * 16 + str_hex_digit(name.ptr[i + 2]));
            i += 2;
        }
        if (at >= wanted.len || c != wanted.ptr[at])
            return false;
    }
    return at == wanted.len;
}

// RFC 6750 2: a request must not carry a token in more than one way.
static bool query_has_token(struct str query)
{
    size_t start = 0;
    for (size_t i = 0; i <= query.len; i++) {
        if (i < query.len && query.ptr[i] != '&' && query.ptr[i] != ';')
            continue;
        struct str name = {query.ptr + start, i - start};
        size_t equals;
        if (str_find(name, '=', &equals))
            name.len = equals;
        if (parameter_is(name, STR("access_token")))
            return true;
        start = i + 1;
    }
    return false;
}

struct caller_verdict inject_check(const struct inject_input *input)
{
    const struct config_route *route = input->route;
    if (input->pseudonym.len && inject_is_loop(input->fields, input->pseudonym))
        return (struct caller_verdict){508, "loop",
                                       "the request has passed through this proxy before: an "
                                       "upstream leads back to it"};
    if (!route)
        return (struct caller_verdict){0};
    if (route->client_authorization == CLIENT_AUTH_REJECT &&
        fields_find(input->fields, STR("Authorization")))
        return (struct caller_verdict){400, "client-authorization",
                                       "the client must not send Authorization on this route "
                                       "(client_authorization = reject)"};
    if (route->slot_count && route->query_token == QUERY_TOKEN_REJECT && input->has_query &&
        query_has_token(input->query))
        return (struct caller_verdict){400, "token-in-query",
                                       "the query holds an access_token, and this route adds one "
                                       "of its own"};
    return (struct caller_verdict){0};
}

// ---- the head

struct writer {
    const struct inject_input *input;
    struct buf *out;
    struct connection_names connection;
    bool keeps_authorization; // the client's, in place of a token's
    // Seldom anything: asked for once, not for each field.
    bool has_lists; // of fields to set or remove
    bool has_names; // of ours, for the request or its trace
};

static bool put(struct buf *out, struct str bytes)
{
    return buf_append(out, bytes);
}

static bool ends_line(struct str text)
{
    if (field_text_is_plain(text))
        return false;
    for (size_t at = 0; at < text.len; at++)
        if (!text.ptr[at] || text.ptr[at] == '\r' || text.ptr[at] == '\n')
            return true;
    return false;
}

static bool put_field(struct buf *out, struct str name, struct str value)
{
    if (ends_line(name) || ends_line(value) || !buf_reserve(out, name.len + value.len + 4))
        return false;
    char *at = out->ptr + out->len;
    memcpy(at, name.ptr, name.len);
    at += name.len;
    *at++ = ':';
    *at++ = ' ';
    if (value.len)
        memcpy(at, value.ptr, value.len);
    at += value.len;
    *at++ = '\r';
    *at++ = '\n';
    out->len += name.len + value.len + 4;
    return true;
}

static struct str host_of(const struct config_upstream *upstream)
{
    return str_of(upstream->host_header ? upstream->host_header : upstream->url.authority);
}

static bool put_target(const struct inject_input *input, struct buf *out)
{
    struct str base = str_of(input->upstream->url.path);
    if (str_eq(input->rest, STR("*")))
        return put(out, input->rest);
    bool is_ok = true;
    if (base.len > 1 || !input->rest.len)
        is_ok = put(out, base);
    is_ok = is_ok && put(out, input->rest);
    if (input->has_query)
        is_ok = is_ok && put(out, STR("?")) && put(out, input->query);
    return is_ok;
}

static bool is_token_name(const struct writer *writer, struct str name)
{
    const struct inject_input *input = writer->input;
    for (size_t i = 0; input->route && i < input->route->slot_count; i++)
        if (inject_names_are_alike(input->tokens[i]->header_name, name))
            return !(writer->keeps_authorization && is_authorization(name));
    return false;
}

static bool is_set(const struct inject_input *input, struct str name)
{
    return headers_have(&input->upstream->set_header, name) ||
           (input->route && headers_have(&input->route->set_header, name));
}

static bool is_configured(const struct writer *writer, struct str name)
{
    const struct inject_input *input = writer->input;
    return writer->has_lists &&
           (is_set(input, name) || inject_removes(input->upstream, input->route, name));
}

static bool lists_are_there(const struct inject_input *input)
{
    const struct config_upstream *upstream = input->upstream;
    const struct config_route *route = input->route;
    return upstream->set_header.count || upstream->remove_header.count ||
           (route && (route->set_header.count || route->remove_header.count));
}

// In place of which the upstream gets ours.
static bool is_ours(const struct inject_input *input, struct str name)
{
    if (input->request_id.len && inject_names_are_alike(name, STR("X-Request-Id")))
        return true;
    if (input->has_hops && str_eq_nocase(name, STR("Max-Forwards")))
        return true;
    return is_trace(name) &&
           (name.len == 11 ? input->traceparent.len > 0 : input->drops_tracestate);
}

static bool is_kept(const struct writer *writer, struct str name)
{
    const struct inject_input *input = writer->input;
    if ((inject_drops(name) && !forwarded_keeps(input->upstream, name)) ||
        connection_names_has(&writer->connection, name) || is_configured(writer, name) ||
        is_token_name(writer, name) || (writer->has_names && is_ours(input, name)))
        return false;
    const struct config_route *route = input->route;
    if (route && route->slot_count && !writer->keeps_authorization &&
        str_eq_nocase(name, STR("DPoP")))
        return false; // a proof for a token that does not go on either
    return !route || writer->keeps_authorization || !is_authorization(name);
}

static bool put_client_fields(const struct writer *writer)
{
    const struct fields *fields = writer->input->fields;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (is_kept(writer, field->name) && !put_field(writer->out, field->name, field->value))
            return false;
    }
    return true;
}

static bool put_via(const struct inject_input *input, struct buf *out)
{
    struct str name = input->pseudonym.len ? input->pseudonym : STR("bearerd");
    return put(out, input->client_is_http10 ? STR("Via: 1.0 ") : STR("Via: 1.1 ")) &&
           put(out, name) && put(out, STR("\r\n"));
}

static bool put_tokens(const struct writer *writer)
{
    const struct inject_input *input = writer->input;
    for (size_t i = 0; input->route && i < input->route->slot_count; i++) {
        const struct token *token = input->tokens[i];
        if (is_token_name(writer, token->header_name) &&
            !put_field(writer->out, token->header_name, token->header_value))
            return false;
    }
    return true;
}

// Those that `over` sets, too, are left to it.
static bool put_set(const struct writer *writer, const struct config_headers *headers,
                    const struct config_headers *over)
{
    for (size_t i = 0; i < headers->count; i++) {
        struct str name = str_of(headers->items[i].name);
        if (is_token_name(writer, name) || (over && headers_have(over, name)))
            continue;
        if (!put_field(writer->out, name, str_of(headers->items[i].value)))
            return false;
    }
    return true;
}

static bool put_number(struct buf *out, struct str name, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return put_field(out, name, (struct str){digits + at, sizeof digits - at});
}

static bool put_framing(const struct inject_input *input, struct buf *out)
{
    if (input->has_length)
        return put_number(out, STR("Content-Length"), input->content_length);
    return !input->is_chunked || put(out, STR("Transfer-Encoding: chunked\r\n"));
}

// What the client says of its connection that holds for ours, too: trailers are passed on, both
// ways, and other protocols where they are allowed.
static bool put_connection(const struct inject_input *input, struct buf *out)
{
    bool wants_trailers =
        !input->client_is_http10 && fields_list_has(input->fields, STR("TE"), STR("trailers"));
    if (wants_trailers && !put(out, STR("TE: trailers\r\n")))
        return false;
    if (input->offer.len)
        return put_field(out, STR("Upgrade"), input->offer) &&
               put(out, wants_trailers ? STR("Connection: TE, Upgrade\r\n")
                                       : STR("Connection: Upgrade\r\n"));
    return !wants_trailers || put(out, STR("Connection: TE\r\n"));
}

static bool put_trailer_names(const struct inject_input *input, struct buf *out)
{
    const struct fields *fields = input->fields;
    for (size_t i = 0; input->is_chunked && i < fields->count; i++)
        if (str_eq_nocase(fields->items[i].name, STR("Trailer")) &&
            trailer_names_may_pass(fields->items[i].value) &&
            !put_field(out, STR("Trailer"), fields->items[i].value))
            return false;
    return true;
}

// Most of it in one piece of memory. A guess only: what counts is the ceiling at each append.
static void reserve(const struct inject_input *input, struct buf *out)
{
    size_t size = 512 + input->rest.len + input->query.len;
    for (size_t i = 0; i < input->fields->count; i++)
        size += input->fields->items[i].name.len + input->fields->items[i].value.len + 4;
    for (size_t i = 0; input->route && i < input->route->slot_count; i++)
        size += input->tokens[i]->header_value.len + 32;
    if (!buf_reserve(out, size))
        return;
}

static bool put_request_line(const struct inject_input *input, struct buf *out)
{
    return put(out, input->method) && put(out, STR(" ")) && put_target(input, out) &&
           put(out, STR(" HTTP/1.1\r\n"));
}

// Fields that come from the configuration, or bear a token: never twice.
static bool is_taken(const void *arg, struct str name)
{
    const struct writer *writer = arg;
    return is_set(writer->input, name) || is_token_name(writer, name);
}

// Of where the request came from, and its names.
static bool put_descent(const struct writer *writer)
{
    const struct inject_input *input = writer->input;
    const struct forwarded forwarded = {input->upstream, input->fields, input->peer, input->host};
    if (!forwarded_put(&forwarded, is_taken, writer, writer->out))
        return false;
    if (!writer->has_names)
        return true;
    if (input->request_id.len && !is_taken(writer, STR("X-Request-Id")) &&
        !put_field(writer->out, STR("X-Request-Id"), input->request_id))
        return false;
    return !input->traceparent.len || is_taken(writer, STR("traceparent")) ||
           put_field(writer->out, STR("traceparent"), input->traceparent);
}

static bool put_our_fields(const struct writer *writer)
{
    const struct inject_input *input = writer->input;
    const struct config_headers *own = input->route ? &input->route->set_header : NULL;
    return put_via(input, writer->out) && put_descent(writer) && put_tokens(writer) &&
           (!input->proof.len || put_field(writer->out, STR("DPoP"), input->proof)) &&
           put_set(writer, &input->upstream->set_header, own) &&
           (!own || put_set(writer, own, NULL)) && put_connection(input, writer->out) &&
           put_trailer_names(input, writer->out) &&
           (!input->has_hops || put_number(writer->out, STR("Max-Forwards"), input->hops_left)) &&
           put_framing(input, writer->out);
}

bool inject_head(const struct inject_input *input, struct buf *out)
{
    const struct config_route *route = input->route;
    struct writer writer = {.input = input, .out = out};
    connection_names_init(&writer.connection, input->fields);
    writer.keeps_authorization = route && route->client_authorization == CLIENT_AUTH_KEEP &&
                                 fields_find(input->fields, STR("Authorization"));
    writer.has_lists = lists_are_there(input);
    writer.has_names = input->request_id.len || input->traceparent.len || input->drops_tracestate ||
                       input->has_hops;
    reserve(input, out);
    return put_request_line(input, out) &&
           // Host comes first (RFC 9110 7.2).
           put_field(out, STR("Host"), host_of(input->upstream)) && put_client_fields(&writer) &&
           put_our_fields(&writer) && put(out, STR("\r\n"));
}

static bool is_credential_field(const struct inject_input *input, struct str name)
{
    for (size_t i = 0; input->route && i < input->route->slot_count; i++)
        if (inject_names_are_alike(str_of(input->route->slots[i]->credential->header), name))
            return true;
    return false;
}

bool inject_trailers(const struct inject_input *input, const struct fields *trailers,
                     struct buf *out)
{
    struct writer writer = {.input = input, .out = out, .has_lists = lists_are_there(input)};
    connection_names_init(&writer.connection, input->fields);
    for (size_t i = 0; i < trailers->count; i++) {
        const struct field *field = &trailers->items[i];
        bool is_passed = trailer_may_pass(field->name) && !inject_drops(field->name) &&
                         !connection_names_has(&writer.connection, field->name) &&
                         !is_configured(&writer, field->name) &&
                         !is_credential_field(input, field->name);
        if (is_passed && !put_field(out, field->name, field->value))
            return false;
    }
    return true;
}

bool inject_url(const struct inject_input *input, struct buf *out)
{
    const struct config_url *url = &input->upstream->url;
    struct inject_input plain = *input;
    plain.has_query = false;
    if (str_eq(plain.rest, STR("*"))) // about the server as a whole: RFC 9112 3.2.4
        plain.rest = STR("/");
    return put(out, url->is_https ? STR("https://") : STR("http://")) &&
           put(out, host_of(input->upstream)) && put_target(&plain, out);
}
