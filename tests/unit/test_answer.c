// SPDX-License-Identifier: MIT
// The response head that goes to the client: hop-by-hop fields, configuration, T-11 (tokens that
// come back), HC-2 (shared caches), and what browsers are told of pages.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/answer.h"
#include "proxy/page.h"

#define TOKEN "eyHEAD.payload.0123456789abcdefghijklmnopqrstuvwxyz"

struct make {
    const char *fields[8][2];
    struct config_header upstream_set[2], route_set[2];
    const char *upstream_remove[2], *route_remove[2];
    const char *tokens[2], *origin;
    bool is_pass, was_injected, drops_cors, drops_nonce, adds_via, passes_caching;
};

struct made {
    bool fits;
    char text[2048];
    size_t len;
    struct str scrubbed;
};

static struct config_headers headers_of(const struct config_header *items)
{
    struct config_headers headers = {(struct config_header *)(uintptr_t)items, 0};
    while (headers.count < 2 && items[headers.count].name)
        headers.count++;
    return headers;
}

static struct config_strings strings_of(const char *const *items)
{
    struct config_strings strings = {(char **)(uintptr_t)items, 0};
    while (strings.count < 2 && items[strings.count])
        strings.count++;
    return strings;
}

static void write_out(const struct fields *fields, struct made *made)
{
    size_t at = 0;
    for (size_t i = 0; i < fields->count; i++)
        at += (size_t)snprintf(made->text + at, sizeof made->text - at, "%.*s: %.*s\r\n",
                               STR_ARG(fields->items[i].name), STR_ARG(fields->items[i].value));
    assert_true(!made->fits || made->len == at);
}

static struct made make_one(const struct make *make)
{
    static struct fields in, out;
    struct config_upstream upstream = {
        .response_set_header = headers_of(make->upstream_set),
        .response_remove_header = strings_of(make->upstream_remove),
    };
    struct config_route route = {
        .response_set_header = headers_of(make->route_set),
        .response_remove_header = strings_of(make->route_remove),
        .caching = make->passes_caching ? CACHING_PASS : CACHING_PRIVATE,
    };
    struct answer_marks marks = {.count = 0};
    for (size_t i = 0; i < 2 && make->tokens[i]; i++)
        answer_marks_add(&marks, str_of(make->tokens[i]));
    in.count = out.count = 0;
    for (size_t i = 0; i < 8 && make->fields[i][0]; i++)
        assert_true(fields_add(&in, str_of(make->fields[i][0]), str_of(make->fields[i][1])));
    const struct answer_input input = {
        .fields = &in,
        .upstream = &upstream,
        .route = make->is_pass ? NULL : &route,
        .marks = make->tokens[0] ? &marks : NULL,
        .origin = str_of(make->origin),
        .drops_cors = make->drops_cors,
        .drops_nonce = make->drops_nonce,
        .adds_via = make->adds_via,
        .was_injected = make->was_injected,
    };
    struct answer_made answer;
    struct made made = {.text = ""};
    made.fits = answer_fields(&input, &out, &answer);
    made.len = answer.len;
    made.scrubbed = answer.scrubbed;
    write_out(&out, &made);
    return made;
}

struct row {
    const char *name;
    struct make make;
    const char *wanted;
};

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct made made = make_one(&rows[i].make);
        if (!made.fits || strcmp(made.text, rows[i].wanted) != 0)
            fail_msg("%s:\n%s", rows[i].name, made.text);
    }
}

// ---- what passes and what does not

static void test_fields(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"order, case, duplicates",
         {.fields = {{"Set-Cookie", "a=1"}, {"x-a", "1"}, {"SET-COOKIE", "b=2, c"}, {"X-A", ""}}},
         "Set-Cookie: a=1\r\nx-a: 1\r\nSET-COOKIE: b=2, c\r\nX-A: \r\n"},
        {"T28 hop-by-hop",
         {.fields = {{"Connection", "X-Hop, close"},
                     {"x-hop", "1"},
                     {"Keep-Alive", "1"},
                     {"Transfer-Encoding", "chunked"},
                     {"content-length", "5"},
                     {"Proxy-Authenticate", "Basic"},
                     {"Via", "1.1 a"}}},
         "Via: 1.1 a\r\n"},
        {"as a proxy",
         {.adds_via = true, .fields = {{"Via", "1.1 a"}}},
         "Via: 1.1 a\r\nVia: 1.1 bearerd\r\n"},
        {"DP-8 a nonce for us",
         {.drops_nonce = true, .fields = {{"dpop-nonce", "n"}, {"X-A", "1"}}},
         "X-A: 1\r\n"},
        {"a nonce for the client", {.fields = {{"DPoP-Nonce", "n"}}}, "DPoP-Nonce: n\r\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

static char name_a[] = "X-A", name_b[] = "X-B", one[] = "one", two[] = "two";
static char name_caching[] = "Cache-Control", forever[] = "max-age=9";

static void test_set_and_remove(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"set instead of the upstream's",
         {.upstream_set = {{name_a, one}}, .fields = {{"x-a", "u"}, {"X-C", "c"}, {"X-A", "v"}}},
         "X-C: c\r\nX-A: one\r\n"},
        {"the route's counts",
         {.upstream_set = {{name_a, one}, {name_b, one}}, .route_set = {{name_a, two}}},
         "X-B: one\r\nX-A: two\r\n"},
        {"two of a name",
         {.route_set = {{name_a, one}, {name_a, two}}},
         "X-A: one\r\nX-A: two\r\n"},
        {"removed",
         {.upstream_remove = {"server"},
          .route_remove = {"X-Powered-By"},
          .fields = {{"Server", "s"}, {"x-powered-by", "p"}, {"X-C", "c"}}},
         "X-C: c\r\n"},
        {"without a route the upstream's stand",
         {.is_pass = true,
          .upstream_set = {{name_a, one}},
          .upstream_remove = {"Server"},
          .route_set = {{name_b, one}},
          .fields = {{"Server", "s"}}},
         "X-A: one\r\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- T-11

static void test_scrub(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the field itself",
         {.tokens = {TOKEN}, .fields = {{"X-Echo", "Bearer " TOKEN}, {"X-B", "b"}}},
         "X-B: b\r\n"},
        {"alone", {.tokens = {TOKEN}, .fields = {{"Location", TOKEN}}}, ""},
        {"amidst",
         {.tokens = {TOKEN}, .fields = {{"Location", "https://a/?access_token=" TOKEN "&b"}}},
         ""},
        {"the second of two",
         {.tokens = {"another-token-of-this-request", TOKEN}, .fields = {{"X-Echo", TOKEN}}},
         ""},
        {"the first of two",
         {.tokens = {"another-token-of-this-request", TOKEN},
          .fields = {{"X-Echo", "another-token-of-this-request"}}},
         ""},
        {"short ones are not looked for",
         {.tokens = {"short"}, .fields = {{"X-Echo", "Bearer short"}}},
         "X-Echo: Bearer short\r\n"},
        {"another token",
         {.tokens = {TOKEN},
          .fields = {{"X-Echo", "Bearer x"
                                "yHEAD.payload.0123456789abcdefghijklmnopqrstuvwxyy"}}},
         "X-Echo: Bearer xyHEAD.payload.0123456789abcdefghijklmnopqrstuvwxyy\r\n"},
        {"not asked for", {.fields = {{"X-Echo", TOKEN}}}, "X-Echo: " TOKEN "\r\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
    struct make make = {.tokens = {TOKEN}, .fields = {{"A", "a"}, {"X-Echo", TOKEN}}};
    assert_true(str_eq(make_one(&make).scrubbed, STR("X-Echo")));
    make.fields[1][1] = "b";
    assert_int_equal(make_one(&make).scrubbed.len, 0);
}

static void test_marks(void **state)
{
    (void)state;
    struct answer_marks marks = {.count = 0};
    assert_false(answer_marks_find(&marks, STR(TOKEN)));
    for (size_t i = 0; i < 2 * ANSWER_MARKS_MAX; i++)
        answer_marks_add(&marks, STR("0123456789abcdef"));
    assert_int_equal(marks.count, ANSWER_MARKS_MAX);
    assert_true(answer_marks_find(&marks, STR("0123456789abcdef")));
    assert_false(answer_marks_find(&marks, STR("0123456789abcde")));
    assert_false(answer_marks_find(&marks, STR_NONE));
}

// ---- HC-2

#define CACHING "Cache-Control: private\r\n"

static void test_caching(void **state)
{
    (void)state;
    static const struct {
        const char *values[2];
        bool is_added;
    } rows[] = {
        {{NULL}, true},
        {{"max-age=60"}, true},
        {{"no-cache"}, true},
        {{""}, true},
        {{"max-age=60, public"}, false},
        {{"PUBLIC"}, false},
        {{"s-maxage=5"}, false},
        {{"S-MaxAge=5"}, false},
        {{"s-maxage"}, true},
        {{"must-revalidate"}, false},
        {{"private"}, false},
        {{"private=\"X-A\""}, true}, // that field only
        {{"no-store"}, false},
        {{"max-age=60", "public"}, false},
        {{"publicity"}, true},
        {{"proxy-revalidate"}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct make make = {.was_injected = true};
        for (size_t j = 0; j < 2 && rows[i].values[j]; j++) {
            make.fields[j][0] = j ? "cache-control" : "Cache-Control";
            make.fields[j][1] = rows[i].values[j];
        }
        struct made made = make_one(&make);
        bool is_added = str_ends(str_of(made.text), STR(CACHING)) &&
                        !str_eq(str_of(rows[i].values[0]), STR("private"));
        if (is_added != rows[i].is_added)
            fail_msg("%s:\n%s", rows[i].values[0], made.text);
    }
    static const struct row others[] = {
        {"no token went with it", {.fields = {{"A", "1"}}}, "A: 1\r\n"},
        {"told to pass", {.was_injected = true, .passes_caching = true}, ""},
        {"the configuration says another",
         {.was_injected = true, .route_set = {{name_caching, forever}}},
         "Cache-Control: max-age=9\r\n"},
        {"removed, so it says nothing",
         {.was_injected = true,
          .route_remove = {"Cache-Control"},
          .fields = {{"Cache-Control", "public"}}},
         CACHING},
    };
    expect_rows(others, ARRAY_LEN(others));
}

// ---- pages

#define PAGE                                                                                       \
    "Access-Control-Allow-Origin: https://a.test\r\nAccess-Control-Expose-Headers: *\r\n"          \
    "Vary: Origin\r\n"

static void test_pages(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"T-2 the upstream does not open it",
         {.drops_cors = true,
          .fields = {{"access-control-allow-origin", "*"},
                     {"Access-Control-Allow-Credentials", "true"},
                     {"Access-Control", "kept"}}},
         "Access-Control: kept\r\n"},
        {"cors = pass",
         {.fields = {{"Access-Control-Allow-Origin", "*"}}},
         "Access-Control-Allow-Origin: *\r\n"},
        {"a page that may",
         {.drops_cors = true,
          .origin = "https://a.test",
          .fields = {{"Access-Control-Allow-Origin", "*"}, {"Vary", "Accept"}}},
         "Vary: Accept\r\n" PAGE},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

static void test_preflight(void **state)
{
    (void)state;
    struct fields asked = {.count = 0}, out = {.count = 0};
    struct made made = {.text = ""};
    assert_true(fields_add(&asked, STR("access-control-request-method"), STR("PUT")));
    assert_true(page_add_preflight(&out, STR("https://a.test"), &asked));
    write_out(&out, &made);
    assert_string_equal(made.text, "Access-Control-Allow-Origin: https://a.test\r\n"
                                   "Access-Control-Allow-Methods: PUT\r\n"
                                   "Access-Control-Max-Age: 600\r\nVary: Origin\r\n");
    assert_true(fields_add(&asked, STR("Access-Control-Request-Headers"), STR("x-a,x-b")));
    assert_true(fields_add(&asked, STR("Access-Control-Request-Private-Network"), STR("true")));
    assert_true(fields_add(&asked, STR("Access-Control-Request-Local-Network"), STR("true")));
    out.count = 0;
    assert_true(page_add_preflight(&out, STR("https://a.test"), &asked));
    write_out(&out, &made);
    assert_string_equal(made.text, "Access-Control-Allow-Origin: https://a.test\r\n"
                                   "Access-Control-Allow-Methods: PUT\r\n"
                                   "Access-Control-Allow-Headers: x-a,x-b\r\n"
                                   "Access-Control-Allow-Private-Network: true\r\n"
                                   "Access-Control-Allow-Local-Network: true\r\n"
                                   "Access-Control-Max-Age: 600\r\nVary: Origin\r\n");
}

// ---- no room

static void test_too_many(void **state)
{
    (void)state;
    static struct fields in, out;
    const struct config_upstream upstream = {.scrub = true};
    const struct config_route route = {.caching = CACHING_PRIVATE};
    struct answer_input input = {.fields = &in, .upstream = &upstream, .route = &route};
    struct answer_made made;
    while (in.count < FIELDS_MAX)
        assert_true(fields_add(&in, STR("A"), STR("1")));
    assert_true(answer_fields(&input, &out, &made));
    input.was_injected = true;
    out.count = 0;
    assert_false(answer_fields(&input, &out, &made));
    input.was_injected = false;
    input.origin = STR("https://a.test");
    out.count = 0;
    assert_false(answer_fields(&input, &out, &made));
    input.origin = STR_NONE;
    input.adds_via = true;
    out.count = 0;
    assert_false(answer_fields(&input, &out, &made));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),    cmocka_unit_test(test_set_and_remove),
        cmocka_unit_test(test_scrub),     cmocka_unit_test(test_marks),
        cmocka_unit_test(test_caching),   cmocka_unit_test(test_pages),
        cmocka_unit_test(test_preflight), cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
