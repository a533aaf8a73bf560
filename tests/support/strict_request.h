// SPDX-License-Identifier: MIT
// Requests by the letter of RFC 9112, read in the plainest way from bytes that are all there: what
// the guard and the server are held against. Nothing is tolerated but empty lines before a request
// (2.2), with or without their CR.
#ifndef SUPPORT_STRICT_REQUEST_H
#define SUPPORT_STRICT_REQUEST_H

#include "base/buf.h"
#include "http/headers.h"
#include "http/server.h"

enum strict_result {
    STRICT_MORE, // the bytes end before it does
    STRICT_DONE,
    STRICT_BAD,
};

struct strict_request {
    struct str method, target;
    int minor;
    struct fields fields;
    enum request_body framing;
    uint64_t content_length;
    bool is_last; // no other request may follow on its connection
    size_t head_len;
    struct buf body; // as far as it could be read
    enum strict_result body_result;
    struct fields trailers;
    bool has_bad_trailers; // the chunks before them are fine
    // From where the reading began, empty lines included: to the end of the head, and of the body
    // as far as it could be read.
    size_t head_end, len;
};

// A line that ends with CRLF and has no LF or NUL inside. (A CR in a value is a control character;
// in the target it is target.h's to refuse, with all the others.)
static inline enum strict_result strict_line(struct str *rest, struct str *out_line)
{
    size_t at;
    if (!str_find(*rest, '\n', &at))
        return STRICT_MORE;
    if (at == 0 || rest->ptr[at - 1] != '\r')
        return STRICT_BAD;
    *out_line = (struct str){rest->ptr, at - 1};
    *rest = str_from(*rest, at + 1);
    return str_has(*out_line, '\0') ? STRICT_BAD : STRICT_DONE;
}

static inline bool strict_request_line(struct str line, struct strict_request *out)
{
    bool is_fine = str_split(&line, ' ', &out->method) && str_is_token(out->method) &&
                   str_split(&line, ' ', &out->target) && out->target.len > 0;
    out->minor = str_eq(line, STR("HTTP/1.1"));
    return is_fine && (out->minor || str_eq(line, STR("HTTP/1.0")));
}

static inline bool strict_field(struct str line, struct fields *out)
{
    struct str name;
    return str_has(line, ':') && str_split(&line, ':', &name) && str_is_token(name) &&
           field_value_is_valid(line) && fields_add(out, name, str_trim(line));
}

// The head at the start of raw.
static inline enum strict_result strict_head(struct str raw, struct strict_request *out)
{
    struct str rest = raw, line;
    out->fields.count = 0;
    enum strict_result result = strict_line(&rest, &line);
    if (result == STRICT_DONE && !strict_request_line(line, out))
        return STRICT_BAD;
    while (result == STRICT_DONE && (result = strict_line(&rest, &line)) == STRICT_DONE) {
        out->head_len = raw.len - rest.len;
        if (!line.len)
            return STRICT_DONE;
        if (!strict_field(line, &out->fields))
            return STRICT_BAD;
    }
    return result;
}

// RFC 9112 6.3.
static inline bool strict_framing(struct strict_request *out)
{
    const struct field *length = fields_find(&out->fields, STR("Content-Length"));
    const struct field *coding = fields_find(&out->fields, STR("Transfer-Encoding"));
    bool has_close = fields_list_has(&out->fields, STR("Connection"), STR("close"));
    out->is_last = has_close || (!out->minor && !fields_list_has(&out->fields, STR("Connection"),
                                                                 STR("keep-alive")));
    out->framing = coding ? BODY_CHUNKED : length ? BODY_LENGTH : BODY_NONE;
    out->content_length = 0;
    if (fields_count(&out->fields, STR("Content-Length")) > 1 ||
        fields_count(&out->fields, STR("Transfer-Encoding")) > 1 || (length && coding))
        return false;
    if (coding && (!out->minor || !str_eq_nocase(coding->value, STR("chunked"))))
        return false;
    return !length || str_to_u64(length->value, &out->content_length);
}

// "1a;extensions": the size, or false.
static inline bool strict_chunk_size(struct str line, uint64_t *out_size)
{
    size_t digits = 0;
    *out_size = 0;
    while (digits < line.len && str_hex_digit(line.ptr[digits]) >= 0 && digits < 16)
        *out_size = *out_size << 4 | (uint64_t)str_hex_digit(line.ptr[digits++]);
    struct str extension = str_trim(str_from(line, digits));
    return digits > 0 && field_value_is_valid(line) &&
           (digits == line.len || (extension.len && extension.ptr[0] == ';'));
}

// The bytes of a body or a part of it, as many as are there.
static inline enum strict_result strict_take(struct str *rest, uint64_t len, struct buf *out)
{
    struct str part = {rest->ptr, rest->len < len ? rest->len : (size_t)len};
    if (!buf_append(out, part))
        return STRICT_BAD;
    *rest = str_from(*rest, part.len);
    return part.len == len ? STRICT_DONE : STRICT_MORE;
}

static inline enum strict_result strict_chunk(struct str *rest, struct buf *out, bool *out_last)
{
    struct str line = STR_NONE;
    uint64_t size;
    enum strict_result result = strict_line(rest, &line);
    if (result != STRICT_DONE)
        return result;
    if (!strict_chunk_size(line, &size))
        return STRICT_BAD;
    *out_last = size == 0;
    if (!size)
        return STRICT_DONE;
    result = strict_take(rest, size, out);
    if (result == STRICT_DONE)
        result = strict_line(rest, &line);
    return result == STRICT_DONE && line.len ? STRICT_BAD : result;
}

static inline enum strict_result strict_trailers(struct str *rest, struct strict_request *out)
{
    struct str line = STR_NONE;
    enum strict_result result;
    while ((result = strict_line(rest, &line)) == STRICT_DONE) {
        if (!line.len)
            return STRICT_DONE;
        if (!strict_field(line, &out->trailers))
            break;
    }
    out->has_bad_trailers = result != STRICT_MORE;
    return out->has_bad_trailers ? STRICT_BAD : STRICT_MORE;
}

static inline enum strict_result strict_chunked(struct str *rest, struct strict_request *out)
{
    bool is_last = false;
    enum strict_result result = STRICT_DONE;
    while (result == STRICT_DONE && !is_last)
        result = strict_chunk(rest, &out->body, &is_last);
    return result == STRICT_DONE ? strict_trailers(rest, out) : result;
}

// Before a request libmicrohttpd 0.9 takes a line that starts with NUL for an empty one, too. What
// is skipped is part of no message, so nobody else can take it for one.
static inline struct str strict_skip_empty(struct str rest)
{
    size_t at;
    while (str_find(rest, '\n', &at) &&
           (at == 0 || rest.ptr[0] == '\0' || (at == 1 && rest.ptr[0] == '\r')))
        rest = str_from(rest, at + 1);
    return rest;
}

// A whole request at the start of raw, behind any number of empty lines. Its body is to be released
// with buf_fini().
static inline enum strict_result strict_read(struct str raw, struct strict_request *out)
{
    struct str rest = strict_skip_empty(raw);
    buf_init(&out->body, (size_t)4 << 20);
    out->trailers.count = 0;
    out->has_bad_trailers = false;
    enum strict_result result = strict_head(rest, out);
    if (result != STRICT_DONE)
        return result;
    if (!strict_framing(out))
        return STRICT_BAD;
    rest = str_from(rest, out->head_len);
    out->head_end = raw.len - rest.len;
    out->body_result = STRICT_DONE;
    if (out->framing == BODY_LENGTH)
        out->body_result = strict_take(&rest, out->content_length, &out->body);
    else if (out->framing == BODY_CHUNKED)
        out->body_result = strict_chunked(&rest, out);
    out->len = raw.len - rest.len;
    return STRICT_DONE;
}

#endif
