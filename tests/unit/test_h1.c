// SPDX-License-Identifier: MIT
// The response parser and the chunk decoder against what a hostile or broken upstream may send.
// Inputs are copied to the heap at their exact size, so that AddressSanitizer sees a read past the
// end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/h1.h"

static struct str exact(struct str bytes)
{
    char *copy = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(copy);
    if (bytes.len)
        memcpy(copy, bytes.ptr, bytes.len);
    return (struct str){copy, bytes.len};
}

static void drop(struct str bytes)
{
    free((void *)(uintptr_t)bytes.ptr);
}

// -- heads -------------------------------------------------------------------------------------

enum { CLOSE = 0, KEEP = 1, HEAD = 2 };

struct good_row {
    const char *name;
    struct str bytes;
    int flags; // HEAD: the request's method; KEEP: the connection may be used again
    int status;
    enum h1_framing framing;
    uint64_t length;
};

#define OK "HTTP/1.1 200 OK\r\n"

static const struct good_row good_rows[] = {
    {"length", STR(OK "Content-Length: 5\r\n\r\n"), KEEP, 200, H1_LENGTH, 5},
    {"length, case and space", STR(OK "cONTENT-lENGTH:\t 007 \r\n\r\n"), KEEP, 200, H1_LENGTH, 7},
    {"largest length", STR(OK "Content-Length: 9223372036854775807\r\n\r\n"), KEEP, 200, H1_LENGTH,
     INT64_MAX},
    {"chunked", STR(OK "Transfer-Encoding: Chunked \r\n\r\n"), KEEP, 200, H1_CHUNKED, 0},
    {"until close", STR(OK "\r\n"), CLOSE, 200, H1_UNTIL_CLOSE, 0},
    {"until close beats keep-alive", STR(OK "Connection: keep-alive\r\n\r\n"), CLOSE, 200,
     H1_UNTIL_CLOSE, 0},
    {"no reason", STR("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), KEEP, 200, H1_LENGTH, 0},
    {"empty reason", STR("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), KEEP, 200, H1_LENGTH, 0},
    {"obs-text reason", STR("HTTP/1.1 404 Nicht gef\xc3\xbcndet\r\n\r\n"), CLOSE, 404,
     H1_UNTIL_CLOSE, 0},
    {"lowest status", STR("HTTP/1.1 100 \r\n\r\n"), KEEP, 100, H1_NO_BODY, 0},
    {"highest status", STR("HTTP/1.1 599 \r\n\r\n"), CLOSE, 599, H1_UNTIL_CLOSE, 0},
    {"HM-17 1.0", STR("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), CLOSE, 200, H1_LENGTH, 1},
    {"HM-17 1.0 keep-alive",
     STR("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: x, Keep-Alive\r\n\r\n"), KEEP, 200,
     H1_LENGTH, 1},
    {"1.0 keep-alive and close",
     STR("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 1\r\nConnection: "
         "keep-alive\r\n\r\n"),
     CLOSE, 200, H1_LENGTH, 1},
    {"HM-17 close", STR(OK "Connection: foo , CLOSE\r\nContent-Length: 1\r\n\r\n"), CLOSE, 200,
     H1_LENGTH, 1},
    {"closed is not close", STR(OK "Connection: closed\r\nContent-Length: 1\r\n\r\n"), KEEP, 200,
     H1_LENGTH, 1},
    {"close elsewhere", STR(OK "X-Connectio: close\r\nContent-Length: 1\r\n\r\n"), KEEP, 200,
     H1_LENGTH, 1},
    {"HEAD with length", STR(OK "Content-Length: 5\r\n\r\n"), HEAD | KEEP, 200, H1_NO_BODY, 5},
    {"HEAD chunked", STR(OK "Transfer-Encoding: chunked\r\n\r\n"), HEAD | KEEP, 200, H1_NO_BODY, 0},
    {"HEAD with neither", STR(OK "\r\n"), HEAD | KEEP, 200, H1_NO_BODY, 0},
    {"204", STR("HTTP/1.1 204 No Content\r\n\r\n"), KEEP, 204, H1_NO_BODY, 0},
    {"204 length 0", STR("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), KEEP, 204,
     H1_NO_BODY, 0},
    {"HM-16 204 length 5", STR("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), CLOSE, 204,
     H1_NO_BODY, 5},
    {"HM-16 204 chunked", STR("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
     CLOSE, 204, H1_NO_BODY, 0},
    {"205 is framed as others", STR("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"), KEEP, 205,
     H1_LENGTH, 0},
    {"304 with length", STR("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), KEEP, 304,
     H1_NO_BODY, 5},
    {"304 chunked", STR("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"), KEEP,
     304, H1_NO_BODY, 0},
    {"304 with neither", STR("HTTP/1.1 304 Not Modified\r\n\r\n"), KEEP, 304, H1_NO_BODY, 0},
    {"100", STR("HTTP/1.1 100 Continue\r\n\r\n"), KEEP, 100, H1_NO_BODY, 0},
    {"101", STR("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
     KEEP, 101, H1_NO_BODY, 0},
    {"103 with length 0", STR("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n"), KEEP, 103,
     H1_NO_BODY, 0},
    {"obs-text, tab, empty value",
     STR(OK "X: a\tb\xff\r\nY:\r\nZ: \t \r\nContent-Length:0\r\n\r\n"), KEEP, 200, H1_LENGTH, 0},
    {"bytes behind the head", STR(OK "Content-Length: 2\r\n\r\nHTTP/1.1 500 \r\n\r\n"), KEEP, 200,
     H1_LENGTH, 2},
};

static void check_good(const struct good_row *row)
{
    struct h1_response response;
    const char *why = NULL;
    struct str bytes = exact(row->bytes);
    enum h1_result result = h1_parse_response(bytes, row->flags & HEAD, &response, &why);
    if (result != H1_DONE)
        fail_msg("%s: result %d, %s", row->name, result, why ? why : "-");
    if (response.status != row->status || response.framing != row->framing ||
        response.content_length != row->length || response.keep_alive != (row->flags & KEEP))
        fail_msg("%s: status %d framing %d length %llu keep_alive %d", row->name, response.status,
                 response.framing, (unsigned long long)response.content_length,
                 response.keep_alive);
    assert_int_equal(response.has_length,
                     fields_find(&response.fields, STR("Content-Length")) != NULL);
    assert_int_equal(response.minor, bytes.ptr[7] - '0');
    const char *end = strstr(row->bytes.ptr, "\r\n\r\n");
    assert_int_equal(response.head_len, end - row->bytes.ptr + 4);
    drop(bytes);
}

static void test_good_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good_rows); i++)
        check_good(&good_rows[i]);
}

static void test_head_views(void **state)
{
    (void)state;
    struct h1_response response;
    const char *why;
    struct str bytes = STR(OK "Set-Cookie: a=1; b\r\nset-cookie:  c \t\r\nEmpty:\r\n\r\nBODY");
    assert_int_equal(h1_parse_response(bytes, false, &response, &why), H1_DONE);
    assert_true(str_eq(response.reason, STR("OK")));
    assert_int_equal(response.fields.count, 3);
    assert_true(str_eq(response.fields.items[0].name, STR("Set-Cookie")));
    assert_true(str_eq(response.fields.items[0].value, STR("a=1; b")));
    assert_true(str_eq(response.fields.items[1].name, STR("set-cookie")));
    assert_true(str_eq(response.fields.items[1].value, STR("c")));
    assert_true(str_eq(response.fields.items[2].value, STR("")));
    assert_true(str_eq(str_from(bytes, response.head_len), STR("BODY")));
    // The same struct again: nothing is left of the response before.
    assert_int_equal(h1_parse_response(STR("HTTP/1.0 201\r\n\r\n"), false, &response, &why),
                     H1_DONE);
    assert_int_equal(response.fields.count, 0);
    assert_int_equal(response.reason.len, 0);
    assert_int_equal(response.minor, 0);
    assert_false(response.has_length);
}

struct bad_row {
    const char *name;
    struct str bytes;
    const char *why; // part of the text
};

static const struct bad_row bad_rows[] = {
    {"HM-12 two lengths", STR(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
     "more than one"},
    {"HM-12 equal lengths", STR(OK "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"),
     "more than one"},
    {"HM-12 list", STR(OK "Content-Length: 5, 5\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 plus", STR(OK "Content-Length: +5\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 minus", STR(OK "Content-Length: -5\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 hexadecimal", STR(OK "Content-Length: 0x5\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 empty", STR(OK "Content-Length:\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 inner space", STR(OK "Content-Length: 5 5\r\n\r\n"), "malformed Content-Length"},
    {"HM-12 2^63", STR(OK "Content-Length: 9223372036854775808\r\n\r\n"),
     "malformed Content-Length"},
    {"HM-12 2^64 + 5", STR(OK "Content-Length: 18446744073709551621\r\n\r\n"),
     "malformed Content-Length"},
    {"HM-11 both", STR(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "both"},
    {"HM-11 both, other order", STR(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
     "both"},
    {"HM-10 1.0", STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "HTTP/1.0"},
    {"HM-10 gzip, chunked", STR(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), "other than"},
    {"HM-10 xchunked", STR(OK "Transfer-Encoding: xchunked\r\n\r\n"), "other than"},
    {"HM-10 identity", STR(OK "Transfer-Encoding: identity\r\n\r\n"), "other than"},
    {"HM-10 empty", STR(OK "Transfer-Encoding:\r\n\r\n"), "other than"},
    {"HM-10 chunked, chunked", STR(OK "Transfer-Encoding: chunked, chunked\r\n\r\n"), "other than"},
    {"HM-10 chunked with parameter", STR(OK "Transfer-Encoding: chunked;a\r\n\r\n"), "other than"},
    {"HM-10 quoted", STR(OK "Transfer-Encoding: \"chunked\"\r\n\r\n"), "other than"},
    {"HM-10 two lines", STR(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     "more than one"},
    {"HM-9 fold", STR(OK "X: a\r\n b\r\n\r\n"), "folded"},
    {"HM-9 fold by tab", STR(OK "X: a\r\n\tb\r\n\r\n"), "folded"},
    {"HM-9 fold makes framing", STR(OK "Transfer-Encoding:\r\n chunked\r\n\r\n"), "other than"},
    {"HM-2 space before first", STR(OK " X: a\r\n\r\n"), "before the first"},
    {"HM-1 bare LF", STR("HTTP/1.1 200 OK\nX: a\n\n"), "LF without CR"},
    {"HM-1 bare LF after field", STR(OK "X: a\n\r\n"), "LF without CR"},
    {"HM-1 bare LF ends head", STR(OK "X: a\r\n\n"), "LF without CR"},
    {"HM-1 bare CR", STR(OK "X: a\rb\r\n\r\n"), "control character"},
    {"HM-1 bare CR hides a field", STR(OK "X: a\rContent-Length: 5\r\n\r\n"), "control character"},
    {"HM-1 CR CR LF", STR(OK "X: a\r\r\n\r\n"), "control character"},
    {"HM-1 bare CR in reason", STR("HTTP/1.1 200 O\rK\r\n\r\n"), "reason"},
    {"HM-1 bare CR in name", STR(OK "X\rY: a\r\n\r\n"), "malformed field name"},
    {"HM-1 bare CR as line", STR(OK "\r\r\n\r\n"), "malformed field name"},
    {"HM-19 NUL in value", STR(OK "X: a\0b\r\n\r\n"), "control character"},
    {"HM-19 NUL in name", STR(OK "X\0: a\r\n\r\n"), "malformed field name"},
    {"HM-19 NUL in reason", STR("HTTP/1.1 200 O\0K\r\n\r\n"), "reason"},
    {"HM-19 escape in value", STR(OK "X: \x1b[2J\r\n\r\n"), "control character"},
    {"HM-19 DEL in value", STR(OK "X: a\x7f\r\n\r\n"), "control character"},
    {"HM-8 space before colon", STR(OK "Content-Length : 5\r\n\r\n"), "white space"},
    {"HM-8 tab before colon", STR(OK "Content-Length\t: 5\r\n\r\n"), "white space"},
    {"HM-8 space in name", STR(OK "Content Length: 5\r\n\r\n"), "white space"},
    {"empty name", STR(OK ": 5\r\n\r\n"), "empty or malformed"},
    {"no colon", STR(OK "Content-Length\r\n\r\n"), "without a colon"},
    {"name with obs-text", STR(OK "X\xe9: 1\r\n\r\n"), "malformed field name"},
    {"name with parenthesis", STR(OK "X(: 1\r\n\r\n"), "malformed field name"},
    {"status 099", STR("HTTP/1.1 099 Low\r\n\r\n"), "between"},
    {"status 600", STR("HTTP/1.1 600 High\r\n\r\n"), "between"},
    {"status abc", STR("HTTP/1.1 abc \r\n\r\n"), "three digits"},
    {"status 20", STR("HTTP/1.1 20 OK\r\n\r\n"), "malformed status line"},
    {"status 2000", STR("HTTP/1.1 2000 OK\r\n\r\n"), "malformed status line"},
    {"status +20", STR("HTTP/1.1 +20 OK\r\n\r\n"), "three digits"},
    {"no status", STR("HTTP/1.1\r\n\r\n"), "malformed status line"},
    {"no status with space", STR("HTTP/1.1 \r\n\r\n"), "malformed status line"},
    {"two spaces", STR("HTTP/1.1  200 OK\r\n\r\n"), "malformed status line"},
    {"tab", STR("HTTP/1.1\t200 OK\r\n\r\n"), "malformed status line"},
    {"tab behind status", STR("HTTP/1.1 200\tOK\r\n\r\n"), "malformed status line"},
    {"HM-3 HTTP/2.0", STR("HTTP/2.0 200 OK\r\n\r\n"), "HTTP/1.x"},
    {"HM-3 HTTP/1.2", STR("HTTP/1.2 200 OK\r\n\r\n"), "neither"},
    {"HM-3 HTTP/1.10", STR("HTTP/1.10 200 OK\r\n\r\n"), "malformed status line"},
    {"HM-3 HTTP/0.9", STR("HTTP/0.9 200 OK\r\n\r\n"), "HTTP/1.x"},
    {"lower case", STR("http/1.1 200 OK\r\n\r\n"), "HTTP/1.x"},
    {"other protocol", STR("ICY 200 OK\r\n\r\n"), "HTTP/1.x"},
    {"TLS alert, no line end yet", STR("\x15\x03\x03\x00\x02"), "HTTP/1.x"},
    {"empty line first", STR("\r\n" OK "\r\n"), "HTTP/1.x"},
    {"space first", STR(" " OK "\r\n"), "HTTP/1.x"},
    {"103 with content", STR("HTTP/1.1 103 \r\nContent-Length: 5\r\n\r\n"), "interim"},
    {"100 chunked", STR("HTTP/1.1 100 \r\nTransfer-Encoding: chunked\r\n\r\n"), "interim"},
};

static void test_bad_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const struct bad_row *row = &bad_rows[i];
        struct h1_response response;
        for (int is_head = 0; is_head < 2; is_head++) {
            const char *why = NULL;
            struct str bytes = exact(row->bytes);
            enum h1_result result = h1_parse_response(bytes, is_head, &response, &why);
            if (result != H1_ERROR || !why || !strstr(why, row->why))
                fail_msg("%s: result %d, %s", row->name, result, why ? why : "-");
            drop(bytes);
        }
    }
}

// A head in pieces: more is asked for until the last byte, and never anything else.
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good_rows); i++) {
        struct str whole = good_rows[i].bytes;
        size_t head_len = (size_t)(strstr(whole.ptr, "\r\n\r\n") + 4 - whole.ptr);
        for (size_t len = 0; len < head_len; len++) {
            struct h1_response response;
            const char *why = NULL;
            struct str bytes = exact((struct str){whole.ptr, len});
            if (h1_parse_response(bytes, false, &response, &why) != H1_MORE || why)
                fail_msg("%s: first %zu bytes", good_rows[i].name, len);
            drop(bytes);
        }
    }
}

static enum h1_result parse_many(unsigned count)
{
    static struct h1_response response;
    static char head[FIELDS_MAX * 16];
    const char *why;
    size_t len = (size_t)snprintf(head, sizeof head, "%s", OK);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(head + len, sizeof head - len, "X-%u: y\r\n", i);
    len += (size_t)snprintf(head + len, sizeof head - len, "\r\n");
    return h1_parse_response((struct str){head, len}, false, &response, &why);
}

static void test_field_count(void **state)
{
    (void)state;
    assert_int_equal(parse_many(FIELDS_MAX), H1_DONE);
    assert_int_equal(parse_many(FIELDS_MAX + 1), H1_ERROR); // T-15 header flood
}

// -- chunks ------------------------------------------------------------------------------------

struct decoded {
    enum h1_result result;
    size_t used, data_len;
    char data[64 * 1024];
};

// Feeds `step` bytes at a time, each piece in memory of its own size.
static void decode(struct str in, size_t step, struct decoded *out)
{
    struct h1_chunks chunks;
    h1_chunks_init(&chunks);
    out->result = H1_MORE;
    out->used = out->data_len = 0;
    while (out->used < in.len && out->result == H1_MORE) {
        size_t len = in.len - out->used < step ? in.len - out->used : step;
        struct str piece = exact((struct str){in.ptr + out->used, len});
        struct str rest = piece;
        while (rest.len && out->result == H1_MORE) {
            size_t used;
            struct str data;
            out->result = h1_chunks_decode(&chunks, rest, &used, &data);
            assert_true(used <= rest.len);
            assert_true(used > 0 || out->result != H1_MORE);
            assert_true(out->data_len + data.len <= sizeof out->data);
            if (data.len) {
                assert_true(data.ptr >= rest.ptr && data.ptr + data.len <= rest.ptr + used);
                memcpy(out->data + out->data_len, data.ptr, data.len);
            }
            out->data_len += data.len;
            out->used += used;
            rest = str_from(rest, used);
        }
        drop(piece);
    }
}

struct chunk_row {
    const char *name;
    struct str in;
    enum h1_result want;
    const char *data;
    size_t left; // bytes of `in` behind the end
};

static const struct chunk_row chunk_rows[] = {
    {"empty body", STR("0\r\n\r\n"), H1_DONE, "", 0},
    {"two chunks", STR("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), H1_DONE, "abcde", 0},
    {"hexadecimal, case", STR("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), H1_DONE,
     "01234567890123456789", 0},
    {"leading zeros", STR("0000000000000003\r\nabc\r\n000\r\n\r\n"), H1_DONE, "abc", 0},
    {"data that looks like framing", STR("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), H1_DONE,
     "\r\n0\r\n\r\n", 0},
    {"extension", STR("3;a=b\r\nabc\r\n0;c\r\n\r\n"), H1_DONE, "abc", 0},
    {"space before extension", STR("3 \t;a=\"x y\"\r\nabc\r\n0\r\n\r\n"), H1_DONE, "abc", 0},
    {"trailers", STR("1\r\na\r\n0\r\nX: y\r\nEmpty:\r\nZ:\t\xff\r\n\r\n"), H1_DONE, "a", 0},
    {"HM-16 next message", STR("1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK"), H1_DONE, "a", 15},
    {"HM-13 cut in data", STR("3\r\nab"), H1_MORE, "ab", 0},
    {"HM-13 cut before last chunk", STR("3\r\nabc\r\n"), H1_MORE, "abc", 0},
    {"HM-13 cut before last CRLF", STR("3\r\nabc\r\n0\r\n"), H1_MORE, "abc", 0},
    {"HM-13 cut before last LF", STR("3\r\nabc\r\n0\r\n\r"), H1_MORE, "abc", 0},
    {"largest size", STR("7fffffffffffffff\r\nx"), H1_MORE, "x", 0},
    {"HM-15 2^63", STR("8000000000000000\r\n"), H1_ERROR, "", 0},
    {"HM-15 2^64", STR("10000000000000000\r\n"), H1_ERROR, "", 0},
    {"HM-15 2^64 + 3", STR("10000000000000003\r\nabc"), H1_ERROR, "", 0},
    {"HM-15 endless zeros", STR("00000000000000000\r\n"), H1_ERROR, "", 0},
    {"0x", STR("0x3\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"plus", STR("+3\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"minus", STR("-3\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"space before", STR(" 3\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"space behind", STR("3 \r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"space within", STR("1 0\r\n"), H1_ERROR, "", 0},
    {"underscore", STR("1_0\r\n"), H1_ERROR, "", 0},
    {"quoted size", STR("\"3\"\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"no size", STR("\r\nabc"), H1_ERROR, "", 0},
    {"no size, extension", STR(";a\r\n"), H1_ERROR, "", 0},
    {"not hexadecimal", STR("g\r\n"), H1_ERROR, "", 0},
    {"HM-15 bare LF behind size", STR("3\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"HM-15 bare LF behind extension", STR("3;a\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"bare CR behind size", STR("3\rabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"CR in extension", STR("3;a\rb\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"NUL in extension", STR("3;\0\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"no CRLF behind data", STR("3\r\nabc0\r\n\r\n"), H1_ERROR, "abc", 0},
    {"other byte for the CR", STR("3\r\nabcX\n0\r\n\r\n"), H1_ERROR, "abc", 0},
    {"other byte for the last CR", STR("0\r\nX\n"), H1_ERROR, "", 0},
    {"space, tab, then the end", STR("3 \t\r\nabc\r\n0\r\n\r\n"), H1_ERROR, "", 0},
    {"bare LF behind data", STR("3\r\nabc\n0\r\n\r\n"), H1_ERROR, "abc", 0},
    {"bare CR behind data", STR("3\r\nabc\r0\r\n\r\n"), H1_ERROR, "abc", 0},
    {"more data than announced", STR("3\r\nabcd\r\n0\r\n\r\n"), H1_ERROR, "abc", 0},
    {"bare LF at the end", STR("0\r\n\n"), H1_ERROR, "", 0},
    {"bare CR at the end", STR("0\r\n\rX"), H1_ERROR, "", 0},
    {"trailer fold", STR("0\r\nX: y\r\n z\r\n\r\n"), H1_ERROR, "", 0},
    {"trailer without colon", STR("0\r\nXy\r\n\r\n"), H1_ERROR, "", 0},
    {"trailer with space before colon", STR("0\r\nX : y\r\n\r\n"), H1_ERROR, "", 0},
    {"trailer with empty name", STR("0\r\n: y\r\n\r\n"), H1_ERROR, "", 0},
    {"trailer with NUL", STR("0\r\nX: \0\r\n\r\n"), H1_ERROR, "", 0},
    {"trailer with bare LF", STR("0\r\nX: y\n\r\n"), H1_ERROR, "", 0},
    {"trailer with bare CR", STR("0\r\nX: y\rz\r\n\r\n"), H1_ERROR, "", 0},
};

static void check_chunks(const struct chunk_row *row, size_t step)
{
    static struct decoded got;
    decode(row->in, step, &got);
    if (got.result != row->want)
        fail_msg("%s, %zu at a time: result %d", row->name, step, got.result);
    if (got.data_len != strlen(row->data) || memcmp(got.data, row->data, got.data_len))
        fail_msg("%s, %zu at a time: %zu bytes of data", row->name, step, got.data_len);
    if (row->want != H1_ERROR && row->in.len - got.used != row->left)
        fail_msg("%s, %zu at a time: %zu bytes used", row->name, step, got.used);
}

static void test_chunks(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 3, 5, 7, 1024};
    for (size_t i = 0; i < ARRAY_LEN(chunk_rows); i++)
        for (size_t j = 0; j < ARRAY_LEN(steps); j++)
            check_chunks(&chunk_rows[i], steps[j]);
}

static void test_chunks_stay_finished(void **state)
{
    (void)state;
    struct h1_chunks chunks;
    size_t used;
    struct str data;
    h1_chunks_init(&chunks);
    assert_int_equal(h1_chunks_decode(&chunks, STR("0\r\n\r\n"), &used, &data), H1_DONE);
    assert_int_equal(h1_chunks_decode(&chunks, STR("1\r\n"), &used, &data), H1_DONE);
    assert_int_equal(used, 0);
    h1_chunks_init(&chunks);
    assert_int_equal(h1_chunks_decode(&chunks, STR("x"), &used, &data), H1_ERROR);
    assert_int_equal(h1_chunks_decode(&chunks, STR("0\r\n\r\n"), &used, &data), H1_ERROR);
    h1_chunks_init(&chunks);
    assert_int_equal(h1_chunks_decode(&chunks, STR_NONE, &used, &data), H1_MORE);
}

static struct str repeat(const char *head, char c, size_t count, const char *tail)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    char *text = malloc(head_len + count + tail_len + 1);
    assert_non_null(text);
    memcpy(text, head, head_len);
    memset(text + head_len, c, count);
    memcpy(text + head_len + count, tail, tail_len + 1);
    return (struct str){text, head_len + count + tail_len};
}

static enum h1_result decode_repeated(const char *head, char c, size_t count, const char *tail)
{
    static struct decoded got;
    struct str in = repeat(head, c, count, tail);
    decode(in, 4096, &got);
    drop(in);
    return got.result;
}

// HM-15, T-15: neither one long extension nor many short ones, nor trailers without end.
static void test_chunk_bounds(void **state)
{
    (void)state;
    assert_int_equal(decode_repeated("1;", 'a', H1_EXTENSIONS_MAX - 1, "\r\nx\r\n0\r\n\r\n"),
                     H1_DONE);
    assert_int_equal(decode_repeated("1;", 'a', H1_EXTENSIONS_MAX, "\r\nx\r\n0\r\n\r\n"), H1_ERROR);
    assert_int_equal(decode_repeated("1", ' ', H1_EXTENSIONS_MAX + 1, ";\r\nx\r\n0\r\n\r\n"),
                     H1_ERROR);
    assert_int_equal(decode_repeated("0\r\nX:", 'a', H1_TRAILERS_MAX - 4, "\r\n\r\n"), H1_DONE);
    assert_int_equal(decode_repeated("0\r\nX:", 'a', H1_TRAILERS_MAX - 3, "\r\n\r\n"), H1_ERROR);
    struct str long_extension = repeat("0;", 'a', H1_EXTENSIONS_MAX - 1, "\r\nX:");
    assert_int_equal(decode_repeated(long_extension.ptr, 'a', H1_TRAILERS_MAX - 4, "\r\n\r\n"),
                     H1_DONE); // two bounds, not one
    drop(long_extension);
    static const char chunk[] = "1;aaaaaaaa\r\nx\r\n";
    struct h1_chunks chunks;
    h1_chunks_init(&chunks);
    size_t done = 0;
    enum h1_result result = H1_MORE;
    for (; result == H1_MORE && done < 10000; done++) {
        struct str rest = STR(chunk);
        while (rest.len && result == H1_MORE) {
            size_t used;
            struct str data;
            result = h1_chunks_decode(&chunks, rest, &used, &data);
            rest = str_from(rest, used);
        }
    }
    assert_int_equal(result, H1_ERROR);
    assert_in_range(done, H1_EXTENSIONS_MAX / 10, H1_EXTENSIONS_MAX / 8);
}

static void test_chunk_head(void **state)
{
    (void)state;
    static const size_t lens[] = {0,       1, 15, 16, 255, 256, 4096, 65535, 65536, SIZE_MAX / 16,
                                  SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        char got[H1_CHUNK_HEAD_MAX], want[32];
        size_t len = h1_chunk_head(got, lens[i]);
        int want_len = snprintf(want, sizeof want, "%zx\r\n", lens[i]);
        assert_int_equal(len, want_len);
        assert_memory_equal(got, want, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_heads),   cmocka_unit_test(test_head_views),
        cmocka_unit_test(test_bad_heads),    cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_field_count),  cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunk_bounds), cmocka_unit_test(test_chunks_stay_finished),
        cmocka_unit_test(test_chunk_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
