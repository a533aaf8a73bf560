// SPDX-License-Identifier: MIT
// Fields: finding, lists, hop-by-hop, what Connection may name away, and which bytes may pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "http/headers.h"

struct pair {
    const char *name, *value;
};

static void fill(struct fields *fields, const struct pair *pairs)
{
    fields->count = 0;
    for (; pairs->name; pairs++)
        assert_true(fields_add(fields, str_of(pairs->name), str_of(pairs->value)));
}

#define FILL(fields, ...) fill((fields), (const struct pair[]){__VA_ARGS__, {NULL, NULL}})

static void test_find(void **state)
{
    (void)state;
    struct fields fields;
    FILL(&fields, {"Accept", "a"}, {"set-cookie", "1"}, {"Set-Cookie", "2"}, {"X", ""});
    assert_string_equal(fields_find(&fields, STR("SET-COOKIE"))->value.ptr, "1");
    assert_string_equal(fields_find(&fields, STR("accept"))->value.ptr, "a");
    assert_null(fields_find(&fields, STR("Accepts")));
    assert_null(fields_find(&fields, STR("Accepu")));
    assert_null(fields_find(&fields, STR("")));
    assert_int_equal(fields_count(&fields, STR("Set-cookie")), 2);
    assert_int_equal(fields_count(&fields, STR("x")), 1);
    assert_int_equal(fields_count(&fields, STR("y")), 0);
    // The quick test on the first letter folds more than letters do: '@' is not '`', '[' is not
    // '{'.
    FILL(&fields, {"^a", "1"}, {"!a", "2"});
    assert_null(fields_find(&fields, STR("~a")));
    assert_null(fields_find(&fields, STR("\x01"
                                         "a")));
}

static void test_add_stops_at_the_ceiling(void **state)
{
    (void)state;
    struct fields fields;
    fields.count = 0;
    for (int i = 0; i < FIELDS_MAX; i++)
        assert_true(fields_add(&fields, STR("a"), STR("b")));
    assert_false(fields_add(&fields, STR("a"), STR("b")));
    assert_int_equal(fields.count, FIELDS_MAX);
}

static void test_lists(void **state)
{
    (void)state;
    struct fields fields;
    FILL(&fields, {"Connection", ", close ,\tX-One"}, {"Other", "upgrade"}, {"CONNECTION", "TWO,,"},
         {"Connection", ""});
    static const struct {
        const char *token;
        bool want;
    } rows[] = {{"close", true}, {"CLOSE", true}, {"x-one", true},    {"two", true},
                {"", false},     {"x", false},    {"upgrade", false}, {"close ,", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (fields_list_has(&fields, STR("Connection"), str_of(rows[i].token)) != rows[i].want)
            fail_msg("token '%s'", rows[i].token);
    struct str rest = STR(" a , ,b,, c\t");
    struct str item;
    char seen[16] = "";
    size_t len = 0;
    while (field_list_next(&rest, &item)) {
        memcpy(seen + len, item.ptr, item.len);
        len += item.len;
        seen[len++] = '|';
    }
    assert_string_equal(seen, "a|b|c|");
}

static void test_hop_by_hop(void **state)
{
    (void)state;
    static const char *const hop[] = {"Connection",
                                      "proxy-connection",
                                      "KEEP-ALIVE",
                                      "TE",
                                      "Trailer",
                                      "Transfer-Encoding",
                                      "Upgrade",
                                      "Proxy-Authenticate",
                                      "Proxy-Authorization",
                                      "Proxy-Authentication-Info"};
    static const char *const end_to_end[] = {"Host",
                                             "Trailers",
                                             "T",
                                             "",
                                             "Tf",
                                             "Upgrades",
                                             "Connectiom",
                                             "Authorization",
                                             "Cookie",
                                             "Via",
                                             "Proxy-Authorizatioo",
                                             "Content-Length"};
    for (size_t i = 0; i < ARRAY_LEN(hop); i++)
        if (!field_is_hop_by_hop(str_of(hop[i])))
            fail_msg("%s", hop[i]);
    for (size_t i = 0; i < ARRAY_LEN(end_to_end); i++)
        if (field_is_hop_by_hop(str_of(end_to_end[i])))
            fail_msg("%s", end_to_end[i]);
}

static bool is_bound(const struct fields *fields, const char *name)
{
    struct connection_names names;
    connection_names_init(&names, fields);
    bool by_names = connection_names_has(&names, str_of(name));
    if (by_names != fields_is_connection_bound(fields, str_of(name)))
        fail_msg("the two ways to ask differ for '%s'", name);
    return by_names;
}

static void test_connection_names(void **state)
{
    (void)state;
    struct fields fields;
    FILL(&fields, {"Host", "h"}, {"connection", "close, X-Foo"}, {"Connection", "te , X-BAR,host"},
         {"Connection", "Authorization,Content-Length"}, {"Proxy-Connection", "X-Baz"});
    static const struct {
        const char *name;
        bool want;
    } rows[] = {{"x-foo", true},   {"X-Bar", true},          {"TE", true},
                {"Upgrade", true}, {"Host", false},          {"host", false},
                {"X-Baz", false},  {"X-Fo", false},          {"Content-Length", false},
                {"", false},       {"authorization", false}, {"Proxy-Authorization", true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_bound(&fields, rows[i].name) != rows[i].want)
            fail_msg("T-6 '%s'", rows[i].name);
    FILL(&fields, {"Connection", "keep-alive"}, {"X-Foo", "1"});
    assert_false(is_bound(&fields, "X-Foo"));
}

static void test_connection_names_beyond_the_table(void **state)
{
    (void)state;
    char list[512] = "";
    size_t len = 0;
    for (int i = 0; i < 40; i++) {
        const char item[] = {'x', (char)('a' + i / 10), (char)('a' + i % 10), ','};
        memcpy(list + len, item, sizeof item);
        len += sizeof item;
    }
    struct fields fields;
    fields.count = 0;
    assert_true(fields_add(&fields, STR("Connection"), (struct str){list, len}));
    assert_true(fields_add(&fields, STR("Connection"), STR("host")));
    assert_true(is_bound(&fields, "XAA"));
    assert_true(is_bound(&fields, "XDJ")); // the fortieth
    assert_false(is_bound(&fields, "XEA"));
    assert_false(is_bound(&fields, "Host"));
}

// HM-19: each of the 256 bytes at each place of a value, so that the eight-at-a-time path and the
// rest are both compared with the rule.
static void test_value_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool want = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        assert_int_equal(field_value_allows((char)byte), want);
        for (size_t len = 1; len <= 20; len++) {
            char value[20];
            for (size_t at = 0; at < len; at++) {
                memset(value, want ? '\n' : ' ', sizeof value); // behind len: must not count
                memset(value, at % 2 ? '\xff' : ' ', len);
                value[at] = (char)byte;
                if (field_value_is_valid((struct str){value, len}) != want)
                    fail_msg("byte %#x at %zu of %zu", byte, at, len);
            }
        }
    }
    assert_true(field_value_is_valid(STR_NONE));
}

static void test_name_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char name[] = {'a', (char)byte};
        bool want = byte && (strchr("!#$%&'*+-.^_`|~", (int)byte) || (byte >= '0' && byte <= '9') ||
                             (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'));
        if (field_name_is_valid((struct str){name, 2}) != want)
            fail_msg("byte %#x", byte);
    }
    assert_false(field_name_is_valid(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_add_stops_at_the_ceiling),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_hop_by_hop),
        cmocka_unit_test(test_connection_names),
        cmocka_unit_test(test_connection_names_beyond_the_table),
        cmocka_unit_test(test_value_bytes),
        cmocka_unit_test(test_name_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
