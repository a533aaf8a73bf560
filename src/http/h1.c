// SPDX-License-Identifier: MIT
// See h1.h. The head parser makes one pass, line by line, and starts over when more bytes have
// come: it keeps no state, so that there is none to get wrong, and heads almost always come whole.
// The chunk decoder is a state machine, for its input comes in any pieces. Neither reads a byte
// outside its input.
#include "http/h1.h"

#include <string.h>

// -- head --------------------------------------------------------------------------------------

// What the fields parsed so far say about framing.
struct head_facts {
    bool is_chunked, has_close, has_keep_alive;
};

static enum h1_result refuse(const char **out_why, const char *why)
{
    *out_why = why;
    return H1_ERROR;
}

enum h1_result h1_take_line(struct str bytes, size_t *at, struct str *out_line,
                            const char **out_why)
{
    const char *start = bytes.ptr + *at;
    const char *lf = *at < bytes.len ? memchr(start, '\n', bytes.len - *at) : NULL;
    if (!lf)
        return H1_MORE;
    if (lf == start || lf[-1] != '\r')
        return refuse(out_why, "a line ends with LF without CR");
    *out_line = (struct str){start, (size_t)(lf - start) - 1};
    *at += out_line->len + 2;
    return H1_DONE;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// "HTTP/1.1 200 Reason". The reason phrase may be empty, and many servers then leave out the space,
// too.
static const char *parse_status_line(struct str line, struct h1_response *out)
{
    if (!str_starts(line, STR("HTTP/1.")) || line.len < 8)
        return "the status line does not start with HTTP/1.x";
    if (line.ptr[7] != '0' && line.ptr[7] != '1')
        return "the version is neither HTTP/1.0 nor HTTP/1.1";
    if (line.len < 12 || line.ptr[8] != ' ' || (line.len > 12 && line.ptr[12] != ' '))
        return "malformed status line";
    const char *code = line.ptr + 9;
    if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]))
        return "the status code is not three digits";
    if (code[0] < '1' || code[0] > '5')
        return "the status code is not between 100 and 599";
    out->minor = line.ptr[7] - '0';
    out->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    out->reason = str_from(line, 13);
    return field_value_is_valid(out->reason) ? NULL : "control character in the reason phrase";
}

// Somebody who does not speak HTTP/1.x may never send a line feed: tell as soon as it shows.
static bool may_become_http(struct str bytes)
{
    const struct str want = STR("HTTP/1.");
    size_t len = bytes.len < want.len ? bytes.len : want.len;
    return !len || !memcmp(bytes.ptr, want.ptr, len);
}

static const char *why_bad_name(struct str line, size_t name_len, bool is_first)
{
    bool is_blank =
        name_len < line.len && (line.ptr[name_len] == ' ' || line.ptr[name_len] == '\t');
    if (name_len == 0 && is_blank)
        return is_first ? "white space before the first field" : "folded field line";
    if (is_blank)
        return "white space in or after a field name";
    if (name_len == line.len)
        return "field line without a colon";
    return name_len == 0 ? "empty or malformed field name" : "malformed field name";
}

static const char *note_length(struct str value, struct h1_response *out)
{
    if (out->has_length)
        return "more than one Content-Length";
    out->has_length = true;
    if (!str_to_u64(value, &out->content_length) || out->content_length > H1_LENGTH_MAX)
        return "malformed Content-Length";
    return NULL;
}

static const char *note_coding(struct str value, struct head_facts *facts)
{
    if (facts->is_chunked)
        return "more than one Transfer-Encoding";
    facts->is_chunked = true;
    return str_eq_nocase(value, STR("chunked")) ? NULL : "Transfer-Encoding other than chunked";
}

static void note_connection(struct str value, struct head_facts *facts)
{
    struct str item;
    while (field_list_next(&value, &item)) {
        facts->has_close |= str_eq_nocase(item, STR("close"));
        facts->has_keep_alive |= str_eq_nocase(item, STR("keep-alive"));
    }
}

static const char *note_field(struct str name, struct str value, struct h1_response *out,
                              struct head_facts *facts)
{
    if (name.len == 14 && str_eq_nocase(name, STR("Content-Length")))
        return note_length(value, out);
    if (name.len == 17 && str_eq_nocase(name, STR("Transfer-Encoding")))
        return note_coding(value, facts);
    if (name.len == 10 && str_eq_nocase(name, STR("Connection")))
        note_connection(value, facts);
    return NULL;
}

const char *h1_cut_field(struct str line, bool is_first, struct field *out)
{
    size_t name_len = 0;
    while (name_len < line.len && str_is_tchar(line.ptr[name_len]))
        name_len++;
    if (name_len == 0 || name_len == line.len || line.ptr[name_len] != ':')
        return why_bad_name(line, name_len, is_first);
    out->name = (struct str){line.ptr, name_len};
    out->value = str_trim(str_from(line, name_len + 1));
    return field_value_is_valid(out->value) ? NULL : "control character in a field value";
}

static const char *parse_field(struct str line, struct h1_response *out, struct head_facts *facts)
{
    struct field field;
    const char *why = h1_cut_field(line, out->fields.count == 0, &field);
    if (why)
        return why;
    if (!fields_add(&out->fields, field.name, field.value))
        return "too many fields";
    return note_field(field.name, field.value, out, facts);
}

static bool has_no_body(int status, bool is_head)
{
    return is_head || status < 200 || status == 204 || status == 304;
}

// What RFC 9112 6.1 and RFC 9110 8.6 forbid and readers would understand in two ways.
static const char *check_framing(const struct head_facts *facts, const struct h1_response *out)
{
    if (facts->is_chunked && out->has_length)
        return "both Content-Length and Transfer-Encoding";
    if (facts->is_chunked && out->minor == 0)
        return "Transfer-Encoding in an HTTP/1.0 response";
    if (out->status < 200 && (facts->is_chunked || out->content_length > 0))
        return "an interim response that announces content";
    return NULL;
}

// RFC 9112 6.3, and 9.3 for the connection.
static void decide_framing(const struct head_facts *facts, bool is_head, struct h1_response *out)
{
    out->keep_alive = !facts->has_close && (out->minor == 1 || facts->has_keep_alive);
    if (has_no_body(out->status, is_head)) {
        out->framing = H1_NO_BODY;
        // Content that a 204 announces must not exist; whether this server knows that is not worth
        // a bet.
        if (out->status == 204 && (facts->is_chunked || out->content_length > 0))
            out->keep_alive = false;
    } else if (facts->is_chunked) {
        out->framing = H1_CHUNKED;
    } else if (out->has_length) {
        out->framing = H1_LENGTH;
    } else {
        out->framing = H1_UNTIL_CLOSE;
        out->keep_alive = false;
    }
}

enum h1_result h1_parse_response(struct str bytes, bool is_head, struct h1_response *out,
                                 const char **out_why)
{
    struct head_facts facts = {false, false, false};
    struct str line;
    size_t at = 0;
    out->fields.count =
        0; // the rest of the array stays as it is: clearing 4 KiB each time would cost
    out->has_length = false;
    out->content_length = 0;
    *out_why = NULL;
    if (!may_become_http(bytes))
        return refuse(out_why, "the status line does not start with HTTP/1.x");
    enum h1_result result = h1_take_line(bytes, &at, &line, out_why);
    if (result != H1_DONE)
        return result;
    const char *why = parse_status_line(line, out);
    while (!why) {
        result = h1_take_line(bytes, &at, &line, out_why);
        if (result != H1_DONE)
            return result;
        if (!line.len) {
            out->head_len = at;
            decide_framing(&facts, is_head, out);
            why = check_framing(&facts, out);
            return why ? refuse(out_why, why) : H1_DONE;
        }
        why = parse_field(line, out, &facts);
    }
    return refuse(out_why, why);
}

// -- chunks ------------------------------------------------------------------------------------

#define CHUNK_DIGITS_MAX 16

enum chunk_state {
    SIZE,         // in the hexadecimal digits
    BEFORE_EXT,   // white space after them, which must lead to a ";"
    EXTENSION,    // behind the ";"
    SIZE_LF,      // after the CR of the size line
    DATA,         // the chunk's bytes
    DATA_CR,      // after them
    DATA_LF,      //
    TRAILER_LINE, // at the start of a trailer line, or of the last one, which is empty
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF, // after the CR of the empty line
    FINISHED,
    BROKEN,
};

void h1_chunks_init(struct h1_chunks *chunks)
{
    *chunks = (struct h1_chunks){.state = SIZE};
}

static enum chunk_state expect(char c, char wanted, enum chunk_state next)
{
    return c == wanted ? next : BROKEN;
}

static enum chunk_state step_size(struct h1_chunks *chunks, char c)
{
    int digit = str_hex_digit(c);
    if (digit >= 0) {
        if (chunks->digits == CHUNK_DIGITS_MAX || chunks->left > H1_LENGTH_MAX >> 4)
            return BROKEN;
        chunks->digits++;
        chunks->left = chunks->left << 4 | (unsigned)digit;
        return SIZE;
    }
    if (!chunks->digits)
        return BROKEN;
    if (c == '\r')
        return SIZE_LF;
    if (c == ';')
        return EXTENSION;
    return c == ' ' || c == '\t' ? BEFORE_EXT : BROKEN;
}

static enum chunk_state step_extension(struct h1_chunks *chunks, char c)
{
    if (++chunks->extras_len > H1_EXTENSIONS_MAX)
        return BROKEN;
    if (chunks->state == BEFORE_EXT) {
        if (c == ';')
            return EXTENSION;
        return c == ' ' || c == '\t' ? BEFORE_EXT : BROKEN;
    }
    if (c == '\r')
        return SIZE_LF;
    return field_value_allows(c) ? EXTENSION : BROKEN;
}

static enum chunk_state end_size_line(struct h1_chunks *chunks, char c)
{
    chunks->digits = 0;
    if (c != '\n')
        return BROKEN;
    if (chunks->left)
        return DATA;
    chunks->extras_len = 0; // from here on it counts the trailer section
    return TRAILER_LINE;
}

static enum chunk_state step_trailer(struct h1_chunks *chunks, char c)
{
    if (++chunks->extras_len > H1_TRAILERS_MAX)
        return BROKEN;
    if (chunks->state == TRAILER_VALUE) {
        if (c == '\r')
            return TRAILER_LF;
        return field_value_allows(c) ? TRAILER_VALUE : BROKEN;
    }
    if (str_is_tchar(c))
        return TRAILER_NAME;
    if (chunks->state == TRAILER_NAME)
        return expect(c, ':', TRAILER_VALUE);
    return expect(c, '\r', LAST_LF);
}

static enum chunk_state step(struct h1_chunks *chunks, char c)
{
    switch ((enum chunk_state)chunks->state) {
    case SIZE:
        return step_size(chunks, c);
    case BEFORE_EXT:
    case EXTENSION:
        return step_extension(chunks, c);
    case SIZE_LF:
        return end_size_line(chunks, c);
    case DATA_CR:
        return expect(c, '\r', DATA_LF);
    case DATA_LF:
        return expect(c, '\n', SIZE);
    case TRAILER_LINE:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return step_trailer(chunks, c);
    case TRAILER_LF:
        return expect(c, '\n', TRAILER_LINE);
    case LAST_LF:
        return expect(c, '\n', FINISHED);
    case DATA:
    case FINISHED:
    case BROKEN:
        break;
    }
    return BROKEN;
}

enum h1_result h1_chunks_decode(struct h1_chunks *chunks, struct str in, size_t *out_used,
                                struct str *out_data)
{
    size_t at = 0;
    *out_data = STR_NONE;
    chunks->trailer_len = 0;
    while (at < in.len && chunks->state != DATA && chunks->state < FINISHED) {
        chunks->trailer_len += chunks->state >= TRAILER_LINE;
        chunks->state = step(chunks, in.ptr[at++]);
    }
    if (chunks->state == DATA && at < in.len) {
        size_t len = in.len - at;
        if (len > chunks->left)
            len = (size_t)chunks->left;
        *out_data = (struct str){in.ptr + at, len};
        chunks->left -= len;
        if (!chunks->left)
            chunks->state = DATA_CR;
        at += len;
    }
    *out_used = at;
    if (chunks->state == BROKEN)
        return H1_ERROR;
    return chunks->state == FINISHED ? H1_DONE : H1_MORE;
}

void h1_parse_trailers(struct str section, struct fields *out)
{
    const char *why = NULL;
    struct str line;
    size_t at = 0, colon;
    out->count = 0;
    while (h1_take_line(section, &at, &line, &why) == H1_DONE && str_find(line, ':', &colon))
        if (!fields_add(out, (struct str){line.ptr, colon}, str_trim(str_from(line, colon + 1))))
            return;
}

size_t h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], size_t len)
{
    unsigned shift = 0;
    size_t at = 0;
    while (shift + 4 < sizeof len * 8 && len >> (shift + 4))
        shift += 4;
    for (;; shift -= 4) {
        out[at++] = "0123456789abcdef"[len >> shift & 15];
        if (!shift)
            break;
    }
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}
