// SPDX-License-Identifier: MIT
// The response head parser against what a hostile or broken upstream may send.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_heads),  cmocka_unit_test(test_head_views),
        cmocka_unit_test(test_bad_heads),   cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_field_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
