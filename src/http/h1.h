// SPDX-License-Identifier: MIT
// HTTP/1.1 as the upstream speaks it (RFC 9112): response head, body framing, chunks. Pure and
// strict: what two readers could understand differently is an error, never repaired.
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/headers.h"

enum h1_result {
    H1_MORE,  // needs more bytes
    H1_DONE,  // complete
    H1_ERROR, // not HTTP/1.x as RFC 9112 wants it
};

enum h1_framing {
    H1_NO_BODY, // HEAD, 1xx, 204, 304
    H1_LENGTH,  // content_length bytes
    H1_CHUNKED,
    H1_UNTIL_CLOSE,
};

// Lengths beyond are refused, here and by the guard: sums of lengths cannot overflow then, and
// UINT64_MAX is free to mean "unknown".
#define H1_LENGTH_MAX ((uint64_t)INT64_MAX)

struct h1_response {
    int status; // 100-599
    int minor;  // HTTP/1.minor: 0 or 1
    struct str reason;
    struct fields fields; // views of the bytes parsed
    size_t head_len;      // bytes of the head, its last CRLF included
    enum h1_framing framing;
    bool has_length;         // a Content-Length was there, also for H1_NO_BODY
    uint64_t content_length; // valid when has_length
    bool keep_alive;         // the connection may be used again once the body is over
};

// Parses a response head at the start of `bytes`. `is_head`: the request's method was HEAD.
// H1_ERROR sets *out_why to a static text for problem bodies and logs; *out is meaningful with
// H1_DONE only. Refused among others: obs-fold, bare CR or LF, NUL, space before the colon, empty
// or non-token names, control characters, malformed Content-Length or more than one (equal ones,
// too), Content-Length with Transfer-Encoding, any Transfer-Encoding but one line `chunked`,
// Transfer-Encoding on HTTP/1.0 or on an interim response, more than FIELDS_MAX fields, versions
// other than 1.0 and 1.1. A reason phrase may be missing, with or without the space before it.
// Views stay valid while `bytes` does. The caller bounds bytes.len; a head that does not fit is its
// error to report. Errors are told as early as they are seen: the answer to a longer run of the
// same bytes never goes from H1_ERROR or H1_DONE to something else.
enum h1_result h1_parse_response(struct str bytes, bool is_head, struct h1_response *out,
                                 const char **out_why);

struct h1_request {
    struct str method, target, version; // as written; version: 8 bytes that start with HTTP/
    size_t head_len;
};

// The same for a request head. Refused is what makes its lines ambiguous; what they say is for
// guard_check() to judge.
enum h1_result h1_parse_request(struct str bytes, struct h1_request *out, struct fields *fields,
                                const char **out_why);

// What both parsers are made of. Cuts the line at *at off, without its CRLF, and moves *at behind
// it.
enum h1_result h1_take_line(struct str bytes, size_t *at, struct str *out_line,
                            const char **out_why);
// "Name: value". NULL, or why it is none.
const char *h1_cut_field(struct str line, bool is_first, struct field *out);

// Chunked decoder (RFC 9112 7.1): CRLF only; extensions ignored, trailer fields checked, both
// bounded for the whole message.
#define H1_EXTENSIONS_MAX 4096
#define H1_TRAILERS_MAX   16384

struct h1_chunks {
    int state;
    uint64_t left;     // bytes of the current chunk still to come; its size while that is read
    unsigned digits;   // of the current chunk's size
    size_t extras_len; // bytes of extensions so far; after the last chunk, of trailer lines
    // Of the bytes used by the last call, so many at their end belong to the trailer section.
    size_t trailer_len;
};

void h1_chunks_init(struct h1_chunks *chunks);
// Eats from `in`. *out_used: bytes of `in` consumed. *out_data: the next run of body bytes, a view
// of `in` (may be empty; always empty with H1_DONE and H1_ERROR). Call again with the rest until it
// used everything or says H1_DONE (the last CRLF was consumed) or H1_ERROR, which stay.
enum h1_result h1_chunks_decode(struct h1_chunks *chunks, struct str in, size_t *out_used,
                                struct str *out_data);

// The fields of a whole trailer section as the decoder let it through, its empty line included;
// those beyond FIELDS_MAX are left out. Views of `section`.
void h1_parse_trailers(struct str section, struct fields *out);

// Writes the line that opens a chunk of len bytes ("1a\r\n") and returns its length.
#define H1_CHUNK_HEAD_MAX 20
size_t h1_chunk_head(char out[H1_CHUNK_HEAD_MAX], size_t len);

#endif
