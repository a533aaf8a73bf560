// SPDX-License-Identifier: MIT
// What `bearerd status` draws of a document: cells, bars, charts, and that nothing of what peers
// said gets through as control.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/status_screen.h"

#define HEAD                                                                                       \
    "{\"schema\":1,\"now\":2000.5,\"process\":{\"version\":\"1.2\",\"pid\":7,\"phase\":"           \
    "\"running\","                                                                                 \
    "\"ready\":%s,\"started_at\":1000,\"workers\":2,\"listen\":[\"127.0.0.1:1\",\"unix:/x\"]},"    \
    "\"config\":{\"path\":\"/b.ini\",\"loaded_at\":1990,\"reloads\":{\"last_failed\":%s,"          \
    "\"last_error\":\"b.ini:3: no\"}}"

static char *draw(const char *text, struct screen style)
{
    struct buf out;
    struct err err;
    struct json_t *document = json_in_parse(str_of(text), &err);
    assert_non_null(document);
    buf_init(&out, 1 << 20);
    style.out = &out;
    status_screen_write(&style, document);
    assert_false(style.has_failed);
    json_in_free(document);
    return buf_take(&out);
}

static char *draw_with(const char *ready, const char *last_failed, const char *more,
                       struct screen style)
{
    char text[8192];
    snprintf(text, sizeof text, HEAD "%s}", ready, last_failed, more);
    return draw(text, style);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" in:\n%s", part, text);
}

static void assert_fits(const char *text, size_t width)
{
    struct str rest = str_of(text), line;
    while (str_split(&rest, '\n', &line)) {
        assert_true(line.len <= width);
        assert_false(line.len && line.ptr[line.len - 1] == ' ');
    }
}

static void test_head(void **state)
{
    (void)state;
    char *text = draw_with("true", "false", "", (struct screen){.width = 100});
    assert_has(text, "bearerd 1.2  ready  process 7, up 16 min, 2 workers\n");
    assert_has(text, "listens on     127.0.0.1:1, unix:/x\n");
    assert_has(text, "configuration  /b.ini, in force for 10 s\n");
    assert_has(text, "TOKENS  none\n");
    assert_lacks(text, "refused");
    assert_lacks(text, "store");
    mem_free(text);
    text = draw_with("false", "true", ",\"store\":{\"up\":false}", (struct screen){.width = 100});
    assert_has(text, "not ready");
    assert_has(text, "the last reload was refused");
    assert_has(text, "b.ini:3: no\n");
    assert_has(text, "store          away");
    mem_free(text);
}

#define TOKEN                                                                                      \
    "{\"credential\":\"main\",\"scope\":\"a b\",\"state\":\"%s\",\"token\":{\"fetched_at\":%d,"    \
    "\"renew_at\":%d,\"unusable_at\":%d},\"failure\":%s,\"routes\":[\"r1\",\"r2\"]}"

static char *draw_token(const char *token_state, int fetched, int renew, int unusable,
                        const char *failure, struct screen style)
{
    char more[2048];
    snprintf(more, sizeof more, ",\"tokens\":[" TOKEN "]", token_state, fetched, renew, unusable,
             failure);
    return draw_with("true", "false", more, style);
}

static void test_bar(void **state)
{
    (void)state;
    const struct screen style = {.width = 100};
    // 18 columns for 1800 s: half of it is over at 2000, due after three quarters
    char *text = draw_token("valid", 1100, 2450, 2900, "null", style);
    assert_has(text, "valid     .........####|####      14 min  r1 r2\n");
    mem_free(text);
    text = draw_token("due", 1100, 1500, 2001, "null", style);
    assert_has(text, "due       .......|.........#         0 s");
    mem_free(text);
    text = draw_token("valid", 1100, 1500, 1900, "null", style); // over, and not yet looked at
    assert_has(text, "valid     .........|........         0 s");
    mem_free(text);
    text = draw_token("valid", 1990, 2000000000, 2000000000, "null", style);
    assert_has(text, "##################      no end");
    mem_free(text);
    text = draw_token("failing", 1100, 1500, 2900,
                      "{\"cause\":\"503 Busy\",\"in_a_row\":3,\"retry_at\":2062}", style);
    assert_has(text, "\n    503 Busy\n    3 in a row; may be tried again in 1 min\n");
    mem_free(text);
    text = draw_token("valid", 1100, 2450, 2900,
                      "{\"cause\":\"503 Busy\",\"in_a_row\":1,\"retry_at\":1900}", style);
    assert_has(text, "\n    1 in a row; may be tried again now\n");
    mem_free(text);
}

static void test_colours_and_blocks(void **state)
{
    (void)state;
    const struct screen style = {.width = 80, .has_colour = true, .has_blocks = true};
    char *text = draw_token("failed", 1100, 2450, 2900, "null", style);
    assert_has(text, "\033[31mfailed\033[0m");
    assert_has(text, "\033[32mready\033[0m");
    assert_has(text, "░█");
    assert_has(text, "┃");
    assert_lacks(text, "r1"); // no room for who uses it
    mem_free(text);
}

#define ROUTE                                                                                      \
    ",\"routes\":[{\"name\":\"read\",\"upstream\":\"api\",\"requests\":{\"2xx\":90,\"5xx\":10},"   \
    "\"failed\":10,\"in_flight\":3,\"duration\":{\"p50_ms\":1.5,\"p99_ms\":20.25},\"recent\":%s}]"

#define UP_22_S(recent)                                                                            \
    "{\"schema\":1,\"now\":2000.5,\"process\":{\"started_at\":1978},\"routes\":[{\"name\":"        \
    "\"read\","                                                                                    \
    "\"upstream\":\"api\",\"requests\":{\"2xx\":40},\"recent\":" recent "}]}"

static char *draw_route(const char *recent, struct screen style)
{
    char more[4096];
    snprintf(more, sizeof more, ROUTE, recent);
    return draw_with("true", "false", more, style);
}

static void test_routes(void **state)
{
    (void)state;
    // 57 steps without, then 30, 0 and 60: 90 in the last minute, of which 9 failed
    struct buf out;
    buf_init(&out, 1024);
    assert_true(buf_append(&out, STR("{\"step_s\":5,\"requests\":[")));
    for (int i = 0; i < 57; i++)
        assert_true(buf_append(&out, STR("0,")));
    assert_true(buf_append(&out, STR("30,0,60],\"failed\":[")));
    for (int i = 0; i < 59; i++)
        assert_true(buf_append(&out, STR("0,")));
    assert_true(buf_append(&out, STR("9]}")));
    char *recent = buf_take(&out);
    char *text = draw_route(recent, (struct screen){.width = 110});
    assert_has(text, "api               1.50    10.0 %       1.5      20.2      3  "
                     "                   @\n");
    mem_free(text);
    text = draw(UP_22_S("{\"step_s\":5,\"requests\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,30,0,0,10],"
                        "\"failed\":[0]}"),
                (struct screen){.width = 110}); // four whole steps since the start
    assert_has(text, "api               2.00     0.0 %");
    mem_free(text);
    text = draw_route("{\"step_s\":5,\"requests\":[5000],\"failed\":[1]}",
                      (struct screen){.width = 110});
    assert_has(text, "< 0.1 %");
    mem_free(text);
    mem_free(recent);
    text = draw_route("null", (struct screen){.width = 110}); // then all since the start
    assert_has(text, "api                  -    10.0 %       1.5      20.2      3\n");
    mem_free(text);
}

static void test_many(void **state)
{
    (void)state;
    struct buf more;
    buf_init(&more, 8000);
    assert_true(buf_append(&more, STR(",\"routes\":[")));
    for (int i = 0; i < 25; i++)
        assert_true(buf_printf(&more, "%s{\"name\":\"r%d\",\"requests\":{\"2xx\":%d}}",
                               i ? "," : "", i, i == 7));
    assert_true(buf_append(&more, STR("],\"tokens\":[")));
    for (int i = 0; i < 25; i++)
        assert_true(buf_printf(&more, "%s{\"credential\":\"c%d\",\"state\":\"%s\"}", i ? "," : "",
                               i, i == 9 ? "fetching" : "none"));
    assert_true(buf_append(&more, STR("]")));
    char *rows = buf_take(&more);
    char *text = draw_with("true", "false", rows, (struct screen){.width = 100});
    assert_has(text, "\nr7 ");
    assert_lacks(text, "\nr8 ");
    assert_has(text, "and 24 without a request so far\n");
    assert_has(text, "\nc9 ");
    assert_lacks(text, "\nc8 ");
    assert_has(text, "and 24 that nobody has asked for\n");
    mem_free(text);
    mem_free(rows);
}

static void test_hostile(void **state)
{
    (void)state;
    static const char more[] =
        ",\"tokens\":[{\"credential\":\"\\u001b[2J\\u202e\\u0007\\u009bx\",\"scope\":7,"
        "\"state\":\"valid\",\"token\":{\"fetched_at\":-1e300,\"unusable_at\":1e300},"
        "\"failure\":{\"cause\":\"\\u001b]0;t\\u0007 \\u2066\\n\\r\\t \\u007f\xc3\xbc nder "
        "a-word-that-is-longer-than-any-line-can-be-and-must-be-cut-somewhere-in-its-middle\"}}],"
        "\"failures\":[{\"of\":\"upstream\",\"upstream\":\"a\\u0000b\",\"kind\":[],\"count\":1e99,"
        "\"at\":\"x\"}],\"upstreams\":7,\"routes\":[null,3]";
    for (unsigned width = 60; width <= 200; width += 20) {
        char *text = draw_with("true", "false", more, (struct screen){.width = width});
        for (const char *c = text; *c; c++)
            assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
        assert_has(text, "?[2J???x"); // a '?' for each character
        assert_has(text, "? nder");
        assert_fits(text, width);
        mem_free(text);
    }
}

static void test_of_something_else(void **state)
{
    (void)state;
    char *text = draw("{}", (struct screen){.width = 60});
    assert_has(text, "TOKENS  none");
    mem_free(text);
    text = draw("[1]", (struct screen){.width = 60});
    assert_has(text, "ROUTES  none");
    mem_free(text);
    struct err err;
    assert_null(json_in_parse(STR("{\"a\":"), &err));
    assert_null(json_in_parse(STR_NONE, &err));
}

static void test_spans(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0 s"},    {59.9, "59 s"},      {60, "1 min"},   {3599, "59 min"},
                 {3600, "1 h"}, {3720, "1 h 2 min"}, {86400, "1 d"},  {90000, "1 d 1 h"},
                 {-5, "0 s"},   {1e300, "0 s"},      {864e4, "100 d"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(span_of(cases[i].seconds).text, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),   cmocka_unit_test(test_bar),
        cmocka_unit_test(test_routes), cmocka_unit_test(test_colours_and_blocks),
        cmocka_unit_test(test_many),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_spans),  cmocka_unit_test(test_of_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
