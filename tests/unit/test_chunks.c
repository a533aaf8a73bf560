// SPDX-License-Identifier: MIT
// The chunk decoder against what a hostile or broken upstream may send, fed in pieces of several
// sizes. Each piece lies in memory of its own size, so that AddressSanitizer sees a read past the
// end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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

struct decoded {
    enum h1_result result;
    size_t used, data_len;
    char data[64 * 1024];
    size_t trailers_len;
    char trailers[64 * 1024];
};

// Feeds `step` bytes at a time, each piece in memory of its own size.
static void decode(struct str in, size_t step, struct decoded *out)
{
    struct h1_chunks chunks;
    h1_chunks_init(&chunks);
    out->result = H1_MORE;
    out->used = out->data_len = out->trailers_len = 0;
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
            assert_true(chunks.trailer_len <= used &&
                        out->trailers_len + used < sizeof out->trailers);
            memcpy(out->trailers + out->trailers_len, rest.ptr + used - chunks.trailer_len,
                   chunks.trailer_len);
            out->trailers_len += chunks.trailer_len;
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

// The section is cut out whole, however it comes; its fields are read from it.
static void test_trailers(void **state)
{
    (void)state;
    static const char section[] = "X-One: 1\r\nx-two:\t two \t\r\nX-Empty:\r\n\r\n";
    char text[256];
    int len = snprintf(text, sizeof text, "3;x\r\nabc\r\n00;y=z\r\n%sHTTP/1.1 200", section);
    static struct decoded got;
    for (size_t step = 1; step < 70; step++) {
        decode((struct str){text, (size_t)len}, step, &got);
        assert_int_equal(got.result, H1_DONE);
        assert_int_equal(got.trailers_len, strlen(section));
        assert_memory_equal(got.trailers, section, strlen(section));
    }
    struct fields fields;
    h1_parse_trailers((struct str){got.trailers, got.trailers_len}, &fields);
    assert_int_equal(fields.count, 3);
    assert_true(str_eq(fields.items[0].name, STR("X-One")));
    assert_true(str_eq(fields.items[0].value, STR("1")));
    assert_true(str_eq(fields.items[1].name, STR("x-two")));
    assert_true(str_eq(fields.items[1].value, STR("two")));
    assert_int_equal(fields.items[2].value.len, 0);
    h1_parse_trailers(STR("\r\n"), &fields);
    assert_int_equal(fields.count, 0);
    h1_parse_trailers(STR_NONE, &fields);
    assert_int_equal(fields.count, 0);
}

// More than fit are left out.
static void test_trailers_beyond_the_bound(void **state)
{
    (void)state;
    struct buf section;
    buf_init(&section, H1_TRAILERS_MAX);
    for (int i = 0; i < FIELDS_MAX + 10; i++)
        assert_true(buf_printf(&section, "X-%d: y\r\n", i));
    assert_true(buf_append(&section, STR("\r\n")));
    struct fields fields;
    h1_parse_trailers(buf_str(&section), &fields);
    assert_int_equal(fields.count, FIELDS_MAX);
    buf_fini(&section);
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
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunk_bounds),
        cmocka_unit_test(test_chunks_stay_finished),
        cmocka_unit_test(test_chunk_head),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_trailers_beyond_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
