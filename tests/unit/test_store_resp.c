// SPDX-License-Identifier: MIT
// The Redis protocol and its URLs: nothing but a whole, exact reply counts, however it is cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "token/store_redis_url.h"
#include "token/store_resp.h"

static const struct {
    struct str bytes;
    enum resp_result result;
    enum resp_kind kind;
    struct str text;
    int64_t number;
} replies[] = {
    {STR("+OK\r\n"), RESP_DONE, RESP_STATUS, STR("OK"), 0},
    {STR("+\r\n"), RESP_DONE, RESP_STATUS, STR(""), 0},
    {STR("-ERR no\r\n"), RESP_DONE, RESP_ERROR, STR("ERR no"), 0},
    {STR(":1\r\n"), RESP_DONE, RESP_NUMBER, STR("1"), 1},
    {STR(":-2\r\n"), RESP_DONE, RESP_NUMBER, STR("-2"), -2},
    {STR("$3\r\nabc\r\n"), RESP_DONE, RESP_BULK, STR("abc"), 0},
    {STR("$4\r\n\r\n\0x\r\n"), RESP_DONE, RESP_BULK, STR("\r\n\0x"), 0},
    {STR("$0\r\n\r\n"), RESP_DONE, RESP_BULK, STR(""), 0},
    {STR("$-1\r\n"), RESP_DONE, RESP_NIL, STR(""), 0},
    {STR("$16\r\n0123456789abcdef\r\n"), RESP_DONE, RESP_BULK, STR("0123456789abcdef"), 0},
    {STR("$17\r\n"), RESP_BROKEN, 0, STR_NONE, 0}, // above the test's ceiling
    {STR("$99999999999999999999\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$-2\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$ 3\r\nabc\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$3\r\nabcd\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$3\r\nabc\rx"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$3\r\nabc\r\n+"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("$-1\r\n+OK\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("+OK\r\n+OK\r\n"), RESP_BROKEN, 0, STR_NONE, 0}, // a second one that nobody asked for
    {STR("+OK\rx"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR(":x\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR(":\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR(":9223372036854775808\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("*1000000000\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("%1\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("\0"), RESP_BROKEN, 0, STR_NONE, 0},
    {STR("HTTP/1.1 400 Bad Request\r\n"), RESP_BROKEN, 0, STR_NONE, 0},
};

// Each prefix in memory of its own size: reading behind its end is noticed.
static enum resp_result parse_prefix(struct str bytes, size_t len, struct resp *out, char **copy)
{
    *copy = mem_alloc(len);
    memcpy(*copy, bytes.ptr, len);
    return resp_parse((struct str){*copy, len}, 16, out);
}

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct resp reply;
        char *copy;
        for (size_t len = 0; len < replies[i].bytes.len; len++) {
            enum resp_result result = parse_prefix(replies[i].bytes, len, &reply, &copy);
            mem_free(copy);
            if (replies[i].result == RESP_DONE)
                assert_int_equal(result, RESP_MORE);
        }
        enum resp_result result =
            parse_prefix(replies[i].bytes, replies[i].bytes.len, &reply, &copy);
        if (result != replies[i].result)
            fail_msg("row %zu: %d", i, result);
        if (result == RESP_DONE) {
            assert_int_equal(reply.kind, replies[i].kind);
            assert_true(str_eq(reply.text, replies[i].text));
            assert_int_equal(reply.number, replies[i].number);
        }
        mem_free(copy);
    }
}

static void test_endless_line(void **state)
{
    (void)state;
    char line[RESP_LINE_MAX + 2];
    struct resp reply;
    memset(line, 'x', sizeof line);
    line[0] = '+';
    assert_int_equal(resp_parse((struct str){line, RESP_LINE_MAX}, 16, &reply), RESP_MORE);
    assert_int_equal(resp_parse((struct str){line, RESP_LINE_MAX + 1}, 16, &reply), RESP_BROKEN);
}

static void test_commands(void **state)
{
    (void)state;
    const struct str words[] = {STR("SET"), STR("k\r\n"), STR("a\0b"), STR("")};
    struct buf out;
    buf_init(&out, 64);
    assert_true(resp_command(&out, words, 4));
    assert_true(
        str_eq(buf_str(&out), STR("*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$3\r\na\0b\r\n$0\r\n\r\n")));
    assert_false(resp_command(&out, words, 4));
    buf_fini(&out);
}

static const struct {
    const char *text;
    bool is_tls;
    const char *path, *host, *port, *user, *password;
    unsigned db;
} urls[] = {
    {"redis://localhost", false, NULL, "localhost", "6379", NULL, NULL, 0},
    {"redis://localhost/", false, NULL, "localhost", "6379", NULL, NULL, 0},
    {"redis://10.0.0.1:7000/3", false, NULL, "10.0.0.1", "7000", NULL, NULL, 3},
    {"rediss://[::1]:7000", true, NULL, "::1", "7000", NULL, NULL, 0},
    {"rediss://[::1]/1", true, NULL, "::1", "6379", NULL, NULL, 1},
    {"redis://:p%40ss%2Fw%3A@h", false, NULL, "h", "6379", NULL, "p@ss/w:", 0},
    {"redis://u:p:q@h:1", false, NULL, "h", "1", "u", "p:q", 0},
    {"redis://u:@h", false, NULL, "h", "6379", "u", "", 0},
    {"redis+unix:///run/redis/redis.sock", false, "/run/redis/redis.sock", NULL, NULL, NULL, NULL,
     0},
    {"redis+unix://:pw@/run/r", false, "/run/r", NULL, NULL, NULL, "pw", 0},
};

static void assert_text(const char *found, const char *expected)
{
    if (expected)
        assert_string_equal(found, expected);
    else
        assert_null(found);
}

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct redis_url url;
        struct err err;
        if (!redis_url_parse(str_of(urls[i].text), &url, &err))
            fail_msg("%s: %s", urls[i].text, err.text);
        assert_int_equal(url.is_tls, urls[i].is_tls);
        assert_text(url.unix_path, urls[i].path);
        assert_text(url.host, urls[i].host);
        assert_text(url.port, urls[i].port);
        assert_text(url.user, urls[i].user);
        assert_text(url.password, urls[i].password);
        assert_int_equal(url.db, urls[i].db);
        redis_url_fini(&url);
    }
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "redis:",
        "http://canary@host",
        "REDIS://host",
        "redis://",
        "redis://:canary@",
        "redis://u:canary@h:0",
        "redis://u:canary@h:65536",
        "redis://u:canary@h:x",
        "redis://u:canary@h:",
        "redis://u:canary@h/x",
        "redis://u:canary@h/1/2",
        "redis://u:canary@h?db=1",
        "redis://u:canary@h#1",
        "redis://u:canary@[::1",
        "redis://u:canary@[::1]x",
        "redis://u:canary@::1",
        "redis://u:canary%@h",
        "redis://u:canary%4@h",
        "redis://u:canary%zz@h",
        "redis://u:canary%00@h",
        "redis://canary@h",
        "redis://u:can@ary@h",
        "redis://u:can/ary@h",
        "redis://u:canary@h\nx",
        "redis+unix://host/path",
        "redis+unix://",
        "redis+unix:///",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct redis_url url;
        struct err err;
        if (redis_url_parse(str_of(bad[i]), &url, &err))
            fail_msg("%s is taken", bad[i]);
        assert_true(strncmp(err.text, "[store] url: ", 13) == 0);
        if (strstr(err.text, "can"))
            assert_null(strstr(err.text, "canary"));
        assert_null(url.password);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"T-19 replies, cut everywhere", test_replies, NULL, NULL, NULL},
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_urls),
        {"bad URLs are refused, and not shown", test_bad_urls, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
