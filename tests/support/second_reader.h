// SPDX-License-Identifier: MIT
// A second opinion on HTTP/1.1 messages: llhttp, the parser of node.js, at its strictest. It reads
// one message at a time, in pieces of any size, and keeps what it understood.
#ifndef SUPPORT_SECOND_READER_H
#define SUPPORT_SECOND_READER_H

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/h1.h"

#define SECOND_FIELDS_MAX 512
#define SECOND_BYTES_MAX  ((size_t)4 << 20)

struct second_span {
    size_t at, len;
};

struct second_reader {
    llhttp_t parser;
    struct buf text; // names and values, one behind the other
    struct second_span names[SECOND_FIELDS_MAX], values[SECOND_FIELDS_MAX];
    size_t field_count;
    bool in_value;
    struct buf method, target, body;
    bool is_answer_to_head;
    bool has_head, is_whole, has_failed;
    bool is_other_protocol; // behind the head there is something that is not HTTP
};

static inline struct second_reader *second_of(llhttp_t *parser)
{
    return parser->data;
}

static inline int second_keep(struct buf *buf, const char *at, size_t len)
{
    if (!buf_append(buf, (struct str){at, len}))
        abort();
    return 0;
}

static inline int second_on_method(llhttp_t *parser, const char *at, size_t len)
{
    return second_keep(&second_of(parser)->method, at, len);
}

static inline int second_on_target(llhttp_t *parser, const char *at, size_t len)
{
    return second_keep(&second_of(parser)->target, at, len);
}

static inline int second_on_body(llhttp_t *parser, const char *at, size_t len)
{
    return second_keep(&second_of(parser)->body, at, len);
}

static inline int second_on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct second_reader *reader = second_of(parser);
    if (reader->has_head)
        return 0; // a trailer
    if (reader->in_value || !reader->field_count) {
        if (reader->field_count == SECOND_FIELDS_MAX)
            abort();
        reader->in_value = false;
        reader->names[reader->field_count] = (struct second_span){reader->text.len, 0};
        reader->values[reader->field_count++] = (struct second_span){reader->text.len, 0};
    }
    reader->names[reader->field_count - 1].len += len;
    return second_keep(&reader->text, at, len);
}

static inline int second_on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct second_reader *reader = second_of(parser);
    if (reader->has_head)
        return 0;
    struct second_span *value = &reader->values[reader->field_count - 1];
    if (!reader->in_value)
        value->at = reader->text.len;
    reader->in_value = true;
    value->len += len;
    return second_keep(&reader->text, at, len);
}

static inline int second_on_value_end(llhttp_t *parser)
{
    second_of(parser)->in_value = true; // also when it was empty
    return 0;
}

static inline int second_on_head(llhttp_t *parser)
{
    struct second_reader *reader = second_of(parser);
    reader->has_head = true;
    if (parser->type != HTTP_RESPONSE)
        return 0;
    // llhttp leaves this to its caller (RFC 9112 6.3).
    return reader->is_answer_to_head || parser->status_code == 204 || parser->status_code == 304;
}

static inline int second_on_end(llhttp_t *parser)
{
    second_of(parser)->is_whole = true;
    return HPE_PAUSED; // what follows is another message
}

static const llhttp_settings_t second_settings = {
    .on_method = second_on_method,
    .on_url = second_on_target,
    .on_header_field = second_on_name,
    .on_header_value = second_on_value,
    .on_header_value_complete = second_on_value_end,
    .on_headers_complete = second_on_head,
    .on_body = second_on_body,
    .on_message_complete = second_on_end,
};

static inline void second_init(struct second_reader *reader, llhttp_type_t type)
{
    memset(reader, 0, sizeof *reader);
    llhttp_init(&reader->parser, type, &second_settings);
    reader->parser.data = reader;
    buf_init(&reader->text, SECOND_BYTES_MAX);
    buf_init(&reader->method, SECOND_BYTES_MAX);
    buf_init(&reader->target, SECOND_BYTES_MAX);
    buf_init(&reader->body, SECOND_BYTES_MAX);
}

static inline void second_fini(struct second_reader *reader)
{
    buf_fini(&reader->text);
    buf_fini(&reader->method);
    buf_fini(&reader->target);
    buf_fini(&reader->body);
}

// Returns how many bytes belong to the message.
static inline size_t second_feed(struct second_reader *reader, struct str bytes)
{
    if (reader->is_whole || reader->has_failed || !bytes.len)
        return 0;
    llhttp_errno_t code = llhttp_execute(&reader->parser, bytes.ptr, bytes.len);
    if (code == HPE_OK)
        return bytes.len;
    reader->is_other_protocol = code == HPE_PAUSED_UPGRADE;
    reader->has_failed = code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE;
    return (size_t)(llhttp_get_error_pos(&reader->parser) - bytes.ptr);
}

// The end of the connection.
static inline void second_finish(struct second_reader *reader)
{
    if (reader->is_whole || reader->has_failed)
        return;
    llhttp_errno_t code = llhttp_finish(&reader->parser);
    reader->has_failed = code != HPE_OK && code != HPE_PAUSED;
}

// llhttp refuses trailers that would frame the message, where we drop all of them.
static inline void second_mask_trailers(struct str trailers)
{
    struct str line;
    while (str_split(&trailers, '\n', &line)) {
        struct str name = {line.ptr, 0};
        while (name.len < line.len && line.ptr[name.len] != ':')
            name.len++;
        if (str_eq_nocase(name, STR("Content-Length")) ||
            str_eq_nocase(name, STR("Transfer-Encoding")))
            *(char *)(uintptr_t)name.ptr = 'X';
    }
}

// Chunks through our decoder, and a copy of what it took, without chunk extensions: llhttp has
// rules of its own for them (no white space, no second one with a value), and both sides throw them
// away.
static inline enum h1_result second_decode(struct str bytes, struct buf *out_data,
                                           struct buf *out_plain)
{
    struct h1_chunks chunks;
    enum h1_result result = H1_MORE;
    bool in_extension = false;
    size_t trailers_at = SIZE_MAX;
    h1_chunks_init(&chunks);
    for (size_t i = 0; i < bytes.len && result == H1_MORE; i++) {
        struct str byte = {bytes.ptr + i, 1}, run;
        size_t used;
        bool in_size_line = chunks.digits > 0;
        char c = bytes.ptr[i];
        result = h1_chunks_decode(&chunks, byte, &used, &run);
        in_extension =
            in_size_line && c != '\r' && (in_extension || c == ';' || c == ' ' || c == '\t');
        if (!buf_append(out_data, run) || (!in_extension && !buf_append_char(out_plain, c)))
            abort();
        if (in_size_line && c == '\n' && !chunks.left)
            trailers_at = out_plain->len;
    }
    if (trailers_at < out_plain->len)
        second_mask_trailers(str_from(buf_str(out_plain), trailers_at));
    return result;
}

static inline struct str second_span_of(const struct second_reader *reader, struct second_span span)
{
    return span.len ? (struct str){reader->text.ptr + span.at, span.len} : STR_NONE;
}

// llhttp takes spaces behind a Content-Length, but no tabs (RFC 9110 5.6.3 has both).
static inline bool second_minds_tab(const struct second_reader *reader, const struct fields *fields)
{
    const struct field *length = fields_find(fields, STR("Content-Length"));
    if (!length || llhttp_get_errno(&reader->parser) != HPE_INVALID_CONTENT_LENGTH)
        return false;
    const char *end = length->value.ptr + length->value.len;
    while (*end == ' ')
        end++;
    return *end == '\t';
}

static inline bool second_has_fields(const struct second_reader *reader,
                                     const struct fields *fields)
{
    if (reader->field_count != fields->count)
        return false;
    for (size_t i = 0; i < fields->count; i++)
        if (!str_eq(second_span_of(reader, reader->names[i]), fields->items[i].name) ||
            !str_eq(str_trim(second_span_of(reader, reader->values[i])),
                    str_trim(fields->items[i].value)))
            return false;
    return true;
}

#endif
