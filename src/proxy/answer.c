// SPDX-License-Identifier: MIT
// See answer.h. The upstream's fields pass in their order, case and number but for: what belongs to
// the connection or frames the body; what the configuration removes or sets; a token of ours in a
// value; and what it says of web pages, which it does not know.
#include "proxy/answer.h"

#include <string.h>

#include "proxy/page.h"
#include "proxy/trailer.h"

// ---- tokens

void answer_marks_add(struct answer_marks *marks, struct str token)
{
    if (token.len < ANSWER_MARK_MIN || marks->count == ANSWER_MARKS_MAX)
        return;
    struct answer_mark *mark = &marks->items[marks->count++];
    mark->token_len = token.len;
    mark->end_len = token.len < ANSWER_MARK_MAX ? token.len : ANSWER_MARK_MAX;
    memcpy(mark->end, token.ptr + token.len - mark->end_len, mark->end_len);
}

void answer_marks_clear(struct answer_marks *marks)
{
    for (size_t i = 0; i < marks->count; i++)
        mem_wipe(marks->items[i].end, marks->items[i].end_len);
    marks->count = 0;
}

// Most values are shorter than any token, so that this costs next to nothing.
bool answer_marks_find(const struct answer_marks *marks, struct str text)
{
    for (size_t i = 0; i < marks->count; i++) {
        const struct answer_mark *mark = &marks->items[i];
        if (text.len >= mark->token_len && memmem(text.ptr, text.len, mark->end, mark->end_len))
            return true;
    }
    return false;
}

// ---- Cache-Control

static bool starts_nocase(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_eq_nocase((struct str){text.ptr, prefix.len}, prefix);
}

// Does it settle whether shared caches may keep the response? They are told of no Authorization in
// the request (RFC 9111 3.5), so what the upstream did not permit they might permit themselves.
static bool settles_caching(struct str value)
{
    struct str item;
    while (field_list_next(&value, &item))
        if (str_eq_nocase(item, STR("public")) || str_eq_nocase(item, STR("private")) ||
            str_eq_nocase(item, STR("no-store")) || str_eq_nocase(item, STR("must-revalidate")) ||
            starts_nocase(item, STR("s-maxage=")))
            return true;
    return false;
}

// ---- the fields

static bool headers_have(const struct config_headers *headers, struct str name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (str_eq_nocase(str_of(headers->items[i].name), name))
            return true;
    return false;
}

static bool strings_have(const struct config_strings *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (str_eq_nocase(str_of(names->items[i]), name))
            return true;
    return false;
}

static bool is_replaced(const struct answer_input *input, struct str name)
{
    const struct config_upstream *upstream = input->upstream;
    const struct config_route *route = input->route;
    return headers_have(&upstream->response_set_header, name) ||
           strings_have(&upstream->response_remove_header, name) ||
           (route && (headers_have(&route->response_set_header, name) ||
                      strings_have(&route->response_remove_header, name)));
}

// Hop-by-hop, but where trailers go on, so do their names.
static bool is_trailer_list(const struct answer_input *input, const struct field *field)
{
    return input->tells_trailers && field->name.len == 7 &&
           str_eq_nocase(field->name, STR("Trailer")) && trailer_names_may_pass(field->value);
}

static bool lists_are_there(const struct answer_input *input)
{
    const struct config_upstream *upstream = input->upstream;
    const struct config_route *route = input->route;
    return upstream->response_set_header.count || upstream->response_remove_header.count ||
           (route && (route->response_set_header.count || route->response_remove_header.count));
}

struct writer {
    const struct answer_input *input;
    struct fields *out;
    struct answer_made *made;
    bool has_lists; // of fields to set or remove: seldom, so asked for once
    bool settles_caching;
};

static bool is_kept(const struct writer *writer, struct str name)
{
    const struct answer_input *input = writer->input;
    if (name.len == 14 && str_eq_nocase(name, STR("Content-Length")))
        return false; // framing is the server's
    if (input->drops_nonce && str_eq_nocase(name, STR("DPoP-Nonce")))
        return false;
    if (input->drops_cors && page_is_cors_field(name))
        return false;
    return !writer->has_lists || !is_replaced(input, name);
}

static bool put(struct writer *writer, struct str name, struct str value)
{
    writer->made->len += name.len + value.len + 4;
    return fields_add(writer->out, name, value);
}

static bool put_upstreams(struct writer *writer)
{
    const struct answer_input *input = writer->input;
    struct connection_names names;
    connection_names_init(&names, input->fields);
    writer->made->connection_names = names.count;
    for (size_t i = 0; i < input->fields->count; i++) {
        const struct field *field = &input->fields->items[i];
        if (connection_names_has(&names, field->name) && !is_trailer_list(input, field))
            continue;
        if (!is_kept(writer, field->name))
            continue;
        if (input->marks && answer_marks_find(input->marks, field->value)) {
            writer->made->scrubbed = field->name;
            continue;
        }
        if (field->name.len == 13 && str_eq_nocase(field->name, STR("Cache-Control")))
            writer->settles_caching |= settles_caching(field->value);
        if (!put(writer, field->name, field->value))
            return false;
    }
    return true;
}

// Those that `over` sets, too, are left to it.
static bool put_set(struct writer *writer, const struct config_headers *headers,
                    const struct config_headers *over)
{
    for (size_t i = 0; i < headers->count; i++) {
        struct str name = str_of(headers->items[i].name);
        if (over && headers_have(over, name))
            continue;
        if (!put(writer, name, str_of(headers->items[i].value)))
            return false;
    }
    return true;
}

static bool put_ours(struct writer *writer)
{
    const struct answer_input *input = writer->input;
    const struct config_route *route = input->route;
    static const struct str caching = {"Cache-Control", 13};
    if (input->was_injected && !writer->settles_caching && route->caching == CACHING_PRIVATE &&
        !headers_have(&route->response_set_header, caching) &&
        !headers_have(&input->upstream->response_set_header, caching) &&
        !put(writer, caching, STR("private")))
        return false;
    const struct config_headers *own = route ? &route->response_set_header : NULL;
    if (!put_set(writer, &input->upstream->response_set_header, own) ||
        (own && !put_set(writer, own, NULL)))
        return false;
    return !input->adds_via || put(writer, STR("Via"), STR("1.1 bearerd"));
}

static bool put_page(struct writer *writer)
{
    struct fields *out = writer->out;
    size_t at = out->count;
    if (!writer->input->origin.len)
        return true;
    if (!page_add(out, writer->input->origin))
        return false;
    for (; at < out->count; at++)
        writer->made->len += out->items[at].name.len + out->items[at].value.len + 4;
    return true;
}

bool answer_trailer_may_pass(const struct answer_input *input, const struct field *field)
{
    if (!trailer_may_pass(field->name) || is_replaced(input, field->name))
        return false;
    return !input->marks || !answer_marks_find(input->marks, field->value);
}

bool answer_fields(const struct answer_input *input, struct fields *out, struct answer_made *made)
{
    struct writer writer = {
        .input = input, .out = out, .made = made, .has_lists = lists_are_there(input)};
    *made = (struct answer_made){0};
    return put_upstreams(&writer) && put_ours(&writer) && put_page(&writer);
}
