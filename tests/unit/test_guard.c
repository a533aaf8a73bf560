// SPDX-License-Identifier: MIT
// The guard on whole request heads, laid out as libmicrohttpd 0.9.75 leaves them, and its content
// checks alone as with the versions that parse otherwise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../support/mhd_in_place.h"

#define GET  "GET /x?y HTTP/1.1\r\n"
#define HOST "Host: h\r\n"

struct guard_row {
    const char *name;
    struct str raw;
    int status;      // of the whole check
    const char *why; // part of the text
};

static const struct guard_row good_rows[] = {
    {"plain", STR(GET HOST "\r\n"), 0, NULL},
    {"many fields", STR(GET "A: b\r\nHost:h\r\nC:\t d e \t\r\nEmpty:\r\nBlank: \t \r\n\r\n"), 0,
     NULL},
    {"obs-text and tab", STR(GET HOST "X: \xc3\xa9\ta\r\n\r\n"), 0, NULL},
    {"odd but valid tokens", STR("M-SEARCH * HTTP/1.1\r\n" HOST "!#$%&'*+.^`|~: 1\r\n\r\n"), 0,
     NULL},
    {"length", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 007\r\n\r\n"), 0, NULL},
    {"largest length", STR(GET HOST "Content-Length: 9223372036854775807\r\n\r\n"), 0, NULL},
    {"chunked", STR("POST / HTTP/1.1\r\n" HOST "transfer-encoding: CHUNKED\r\n\r\n"), 0, NULL},
    {"1.0 without Host", STR("GET / HTTP/1.0\r\n\r\n"), 0, NULL},
    {"1.0 with length", STR("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n"), 0, NULL},
    {"next request behind", STR(GET HOST "\r\nGET /2 HTTP/1.1\r\nContent-Length : 3\r\n\r\n"), 0,
     NULL},
    {"absolute-form", STR("GET http://h:8/a HTTP/1.1\r\n" HOST "\r\n"), 0, NULL},
    {"equal fields", STR(GET HOST "X: 1\r\nX: 1\r\nCookie: a\r\nCookie: b\r\n\r\n"), 0, NULL},
    {"host with port", STR(GET "Host: a-b_c.example:8080\r\n\r\n"), 0, NULL},
    {"host with empty port", STR(GET "Host: h:\r\n\r\n"), 0, NULL},
    {"host with white space around", STR(GET "Host: \t h \t\r\n\r\n"), 0, NULL},
    {"IPv6 host", STR(GET "Host: [::ffff:1.2.3.4]:80\r\n\r\n"), 0, NULL},
};

static const struct guard_row content_rows[] = {
    {"method with @", STR("G@T / HTTP/1.1\r\n" HOST "\r\n"), 400, "method"},
    {"method with brace", STR("GET{ / HTTP/1.1\r\n" HOST "\r\n"), 400, "method"},
    {"HM-4 empty method", STR(" / HTTP/1.1\r\n" HOST "\r\n"), 400, "method"},
    {"HM-4 empty target", STR("GET  HTTP/1.1\r\n" HOST "\r\n"), 400, "target"},
    {"HM-3 HTTP/1.2", STR("GET / HTTP/1.2\r\n" HOST "\r\n"), 505, "version"},
    {"HM-3 HTTP/2.0", STR("GET / HTTP/2.0\r\n" HOST "\r\n"), 505, "version"},
    {"HM-3 HTTP/1.10", STR("GET / HTTP/1.10\r\n" HOST "\r\n"), 505, "version"},
    {"HM-3 lower case", STR("GET / http/1.1\r\n" HOST "\r\n"), 505, "version"},
    {"HM-3 no version", STR("GET / \r\n" HOST "\r\n"), 505, "version"},
    {"HM-8 space before colon", STR(GET HOST "Content-Length : 5\r\n\r\n"), 400, "field name"},
    {"HM-8 tab before colon", STR(GET HOST "Content-Length\t: 5\r\n\r\n"), 400, "field name"},
    {"HM-2 space before first field", STR(GET " X: y\r\n" HOST "\r\n"), 400, "field name"},
    {"space in name", STR(GET HOST "X Y: z\r\n\r\n"), 400, "field name"},
    {"empty name first", STR(GET ":x\r\n" HOST "\r\n"), 400, "field name"},
    {"obs-text in name", STR(GET HOST "X\xe9: z\r\n\r\n"), 400, "field name"},
    {"HM-1 bare CR in value", STR(GET HOST "X: a\rY: b\r\n\r\n"), 400, "control"},
    {"HM-1 CR CR LF", STR(GET HOST "X: a\r\r\n\r\n"), 400, "control"},
    {"HM-19 escape in value", STR(GET HOST "X: \x1b\r\n\r\n"), 400, "control"},
    {"HM-19 DEL in value", STR(GET HOST "X: \x7f\r\n\r\n"), 400, "control"},
    {"HM-5 no Host", STR(GET "X: y\r\n\r\n"), 400, "no Host"},
    {"HM-5 two Hosts", STR(GET HOST "HOST: h\r\n\r\n"), 400, "more than one Host"},
    {"HM-5 two Hosts in 1.0", STR("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), 400,
     "more than one Host"},
    {"HM-5 empty Host", STR(GET "Host:\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 blank Host", STR(GET "Host: \t\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 list", STR(GET "Host: a, b\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 comma", STR(GET "Host: a,b\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 userinfo", STR(GET "Host: u:p@h\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 user", STR(GET "Host: u@h\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 path", STR(GET "Host: h/x\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 query", STR(GET "Host: h?x\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 scheme", STR(GET "Host: http://h\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 space", STR(GET "Host: h x\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 percent", STR(GET "Host: h%2ex\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 obs-text", STR(GET "Host: h\xe9\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 port only", STR(GET "Host: :80\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 port of letters", STR(GET "Host: h:http\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 port 65536", STR(GET "Host: h:65536\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 two ports", STR(GET "Host: h:1:2\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 bare IPv6", STR(GET "Host: ::1\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 open bracket", STR(GET "Host: [::1\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 empty brackets", STR(GET "Host: []\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 name in brackets", STR(GET "Host: [host]\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 behind brackets", STR(GET "Host: [::1]x\r\n\r\n"), 400, "malformed Host"},
    {"HM-5 zone", STR(GET "Host: [fe80::1%25lo]\r\n\r\n"), 400, "malformed Host"},
    {"HM-12 two lengths", STR(GET HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), 400,
     "more than one Content-Length"},
    {"HM-12 equal lengths", STR(GET HOST "Content-Length: 3\r\ncontent-length: 3\r\n\r\n"), 400,
     "more than one Content-Length"},
    {"HM-12 list", STR(GET HOST "Content-Length: 3, 3\r\n\r\n"), 400, "malformed Content-Length"},
    {"HM-12 plus", STR(GET HOST "Content-Length: +3\r\n\r\n"), 400, "malformed Content-Length"},
    {"HM-12 minus", STR(GET HOST "Content-Length: -3\r\n\r\n"), 400, "malformed Content-Length"},
    {"HM-12 hexadecimal", STR(GET HOST "Content-Length: 0x3\r\n\r\n"), 400,
     "malformed Content-Length"},
    {"HM-12 empty", STR(GET HOST "Content-Length:\r\n\r\n"), 400, "malformed Content-Length"},
    {"HM-12 2^63", STR(GET HOST "Content-Length: 9223372036854775808\r\n\r\n"), 400,
     "malformed Content-Length"},
    {"HM-12 2^64 + 3", STR(GET HOST "Content-Length: 18446744073709551619\r\n\r\n"), 400,
     "malformed Content-Length"},
    {"HM-11 both", STR(GET HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "both"},
    {"HM-11 both, malformed length",
     STR(GET HOST "Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n"), 400,
     "Content-Length"},
    {"HM-10 1.0", STR("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "HTTP/1.0"},
    {"HM-10 gzip, chunked", STR(GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501,
     "other than"},
    {"HM-10 chunked, gzip", STR(GET HOST "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400,
     "does not end"},
    {"HM-10 gzip", STR(GET HOST "Transfer-Encoding: gzip\r\n\r\n"), 400, "does not end"},
    {"HM-10 xchunked", STR(GET HOST "Transfer-Encoding: xchunked\r\n\r\n"), 400, "does not end"},
    {"HM-10 identity", STR(GET HOST "Transfer-Encoding: identity\r\n\r\n"), 400, "does not end"},
    {"HM-10 empty", STR(GET HOST "Transfer-Encoding:\r\n\r\n"), 400, "does not end"},
    {"HM-10 twice in one line", STR(GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400,
     "does not end"},
    {"HM-10 two lines",
     STR(GET HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"), 400,
     "more than one Transfer-Encoding"},
    {"HM-10 trailing space", STR(GET HOST "Transfer-Encoding: chunked \r\n\r\n"), 501,
     "other than"},
    {"HM-10 underscore", STR(GET HOST "Transfer_Encoding: chunked\r\n\r\n"), 400, "resembles"},
    {"T-6 underscore", STR(GET HOST "content_length: 5\r\n\r\n"), 400, "resembles"},
};

// What the library reads as something harmless: only its layout gives it away.
static const struct guard_row layout_rows[] = {
    {"HM-9 fold makes a name", STR(GET HOST "Transfer-Encod: chunked\r\n ing\r\n\r\n"), 400,
     "field line"},
    {"HM-9 fold", STR(GET HOST "X: y\r\n z\r\n\r\n"), 400, "field line"},
    {"HM-9 fold by tab, in the middle", STR(GET "X: y\r\n\tz\r\n" HOST "\r\n"), 400, "field line"},
    {"HM-9 empty fold", STR(GET HOST "X: y\r\n \r\n\r\n"), 400, "field line"},
    {"HM-9 fold of the last field", STR(GET HOST "X: y\r\n\tz\r\n\r\n"), 400, "field line"},
    {"colon line ends the head", STR(GET HOST ":x\r\nGET /2 HTTP/1.1\r\n\r\n"), 400, "end of the"},
    {"lone colon ends the head", STR(GET HOST ":\r\nGET /2 HTTP/1.1\r\n\r\n"), 400, "end of the"},
    {"NUL line ends the head", STR(GET HOST "\0\r\nGET /2 HTTP/1.1\r\n\r\n"), 400, "end of the"},
    {"NUL text line ends the head", STR(GET HOST "\0X: y\r\n\r\n"), 400, "end of the"},
    {"HM-1 bare LF behind the request line", STR("GET / HTTP/1.1\n" HOST "\r\n"), 400,
     "request line"},
    {"HM-1 bare LF behind a field", STR(GET "X: y\n" HOST "\r\n"), 400, "field line"},
    {"HM-1 bare LF behind the last field", STR(GET "Host: h\n\r\n"), 400, "end of the"},
    {"HM-1 bare LF as the blank line", STR(GET HOST "\n"), 400, "end of the"},
    {"HM-1 bare LF throughout", STR("GET / HTTP/1.1\nHost: h\n\n"), 400, "request line"},
    {"HM-1 bare LF, 1.0 without fields", STR("GET / HTTP/1.0\n\n"), 400, "end of the"},
    {"HM-1 bare LF then CRLF, 1.0", STR("GET / HTTP/1.0\n\r\n"), 400, "end of the"},
    {"HM-19 NUL in value", STR(GET HOST "X: a\0b\r\n\r\n"), 400, "field line"},
    {"HM-19 NUL behind value", STR(GET "X: a\0\r\n" HOST "\r\n"), 400, "field line"},
    {"HM-19 NUL behind the last value", STR(GET "Host: h\0\r\n\r\n"), 400, "end of the"},
    {"HM-19 NUL hides in blanks", STR(GET HOST "X: \0 b\r\n\r\n"), 400, "field line"},
    {"HM-5 NUL in Host", STR(GET "Host: h\0.evil\r\n\r\n"), 400, "field line"},
    {"HM-19 NUL in target", STR("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), 400, "request line"},
    {"HM-19 NUL behind version", STR("GET /a HTTP/1.1\0\r\n" HOST "\r\n"), 400, "field line"},
};

static struct guard_verdict check(const struct guard_row *row, bool in_place)
{
    struct mhd_head head;
    if (!mhd_head_init(&head, row->raw.ptr, row->raw.len))
        fail_msg("%s: the library would not have asked", row->name);
    head.input.in_place = in_place;
    struct guard_verdict verdict = guard_check(&head.input);
    mhd_head_fini(&head);
    return verdict;
}

static void expect(const struct guard_row *row, struct guard_verdict got, int status,
                   const char *why)
{
    if (got.status != status || !got.why != !why || (why && !strstr(got.why, why)))
        fail_msg("%s: %d %s", row->name, got.status, got.why ? got.why : "-");
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good_rows); i++) {
        expect(&good_rows[i], check(&good_rows[i], false), 0, NULL);
        expect(&good_rows[i], check(&good_rows[i], true), 0, NULL);
    }
}

static void test_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(content_rows); i++) {
        const struct guard_row *row = &content_rows[i];
        expect(row, check(row, false), row->status, row->why);
        expect(row, check(row, true), row->status, row->why);
    }
}

static void test_layout(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(layout_rows); i++) {
        const struct guard_row *row = &layout_rows[i];
        expect(row, check(row, false), 0, NULL); // or the row would show nothing about the layout
        expect(row, check(row, true), row->status, row->why);
    }
}

// A part that does not lie where it should, though the bytes there are the same: however the
// library came to move it, it is not what the layout says.
static void test_parts_elsewhere(void **state)
{
    (void)state;
    static const struct guard_row row = {"moved", STR(GET HOST "X: y\r\n\r\n"), 0, NULL};
    static const char *const why[] = {NULL, "request line", "request line", "field line",
                                      "field line"};
    for (size_t part = 0; part < ARRAY_LEN(why); part++) {
        struct mhd_head head;
        assert_true(mhd_head_init(&head, row.raw.ptr, row.raw.len));
        if (part == 1)
            head.input.target = "/x?y";
        else if (part == 2)
            head.input.version = "HTTP/1.1";
        else if (part == 3)
            head.fields.items[1].name.ptr = "X";
        else if (part == 4)
            head.fields.items[1].value.ptr = "y";
        expect(&row, guard_check(&head.input), why[part] ? 400 : 0, why[part]);
        mhd_head_fini(&head);
    }
}

// Whatever the extent is said to be, nothing behind it is read, and only the true one will do.
static void test_extent(void **state)
{
    (void)state;
    static const struct guard_row row = {"extent", STR(GET HOST "X: y\r\n\r\n"), 0, NULL};
    struct mhd_head head;
    assert_true(mhd_head_init(&head, row.raw.ptr, row.raw.len));
    size_t whole = head.input.head_len;
    assert_int_equal(whole, row.raw.len);
    for (size_t len = 0; len < whole; len++) {
        head.input.head_len = len;
        assert_int_equal(guard_check(&head.input).status, 400);
    }
    mhd_head_fini(&head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_elsewhere),
        cmocka_unit_test(test_extent),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
