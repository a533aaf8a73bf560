// SPDX-License-Identifier: MIT
// From request to route: which upstream, which rule, what is refused. T22 (the path judged is the
// path sent) and T23 (whole segments) above all; and that ten thousand routes cost no more than a
// handful.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../support/fixture.h"
#include "base/buf.h"
#include "config/pattern.h"
#include "proxy/route.h"
#include "proxy/trie.h"

// ---- asking

struct answer {
    struct route_choice choice;
    char text[256]; // "upstream route rest", "403 upstream", "404", "400"
};

static void answer_print(struct answer *answer)
{
    const struct route_choice *choice = &answer->choice;
    const char *upstream = choice->upstream ? choice->upstream->name : "";
    switch (choice->verdict) {
    case ROUTE_FOUND:
        snprintf(answer->text, sizeof answer->text, "%s %s %.*s", upstream, choice->route->name,
                 STR_ARG(choice->rest));
        break;
    case ROUTE_PASS:
        snprintf(answer->text, sizeof answer->text, "%s - %.*s", upstream, STR_ARG(choice->rest));
        break;
    case ROUTE_UNMATCHED:
    case ROUTE_NO_UPSTREAM:
    case ROUTE_AMBIGUOUS:
        snprintf(answer->text, sizeof answer->text, "%d", route_refusal(choice->verdict).status);
        break;
    }
}

static struct answer ask(const struct route_table *table, const char *method, const char *raw,
                         const char *host_field)
{
    struct answer answer = {.text = "refused"};
    struct target target;
    const char *why;
    char host[128];
    size_t len;
    if (!target_parse(str_of(raw), str_of(method), &target, &why))
        return answer;
    assert_true(target_normal_host(&target, str_of(host_field), host, &len));
    answer.choice = route_find(table, str_of(method), &target, (struct str){host, len});
    answer_print(&answer);
    return answer;
}

static void expect(const struct route_table *table, const char *method, const char *raw,
                   const char *host, const char *wanted)
{
    struct answer answer = ask(table, method, raw, host);
    if (strcmp(answer.text, wanted) != 0)
        fail_msg("%s %s (Host: %s): got `%s`, wanted `%s`", method, raw, host, answer.text, wanted);
}

struct row {
    const char *method, *raw, *host, *wanted;
};

static struct route_table *table_of(const struct fixture *fixture)
{
    struct config_faults faults = {0};
    struct route_table *table = route_table_new(&fixture->config, &faults);
    if (!table)
        fail_msg("%s", faults.items[0].message);
    config_faults_fini(&faults);
    return table;
}

static void expect_rows(struct fixture *fixture, const struct row *rows, size_t count)
{
    struct route_table *table = table_of(fixture);
    for (size_t i = 0; i < count; i++)
        expect(table, rows[i].method, rows[i].raw, rows[i].host, rows[i].wanted);
    route_table_free(table);
    fixture_fini(fixture);
}

#define LOCAL "localhost:8080"

// ---- patterns

static void test_specificity(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "all", "/**");
    fixture_route(&fixture, api, "all-get", "GET /**");
    fixture_route(&fixture, api, "root", "/");
    fixture_route(&fixture, api, "a", "/a");
    fixture_route(&fixture, api, "a-slash", "/a/");
    fixture_route(&fixture, api, "a-one", "/a/*");
    fixture_route(&fixture, api, "a-one-post", "POST /a/{id}");
    fixture_route(&fixture, api, "a-rest", "/a/**");
    fixture_route(&fixture, api, "a-b", "PUT DELETE /a/b");
    fixture_route(&fixture, api, "a-one-c", "/a/*/c");
    fixture_route(&fixture, api, "a-b-d", "/a/b/d");
    fixture_route(&fixture, api, "one-x", "/*/x");
    fixture_route(&fixture, api, "deep-rest", "/a/b/e/**");
    fixture_route(&fixture, api, "star-star", "/s/*/*/t");
    static const struct row rows[] = {
        {"GET", "/", LOCAL, "api root /"},
        {"GET", "/a", LOCAL, "api a /a"},
        {"GET", "/a/", LOCAL, "api a-slash /a/"},
        {"GET", "/a?x=/b", LOCAL, "api a /a"},
        {"GET", "/a/1", LOCAL, "api a-one /a/1"},
        {"POST", "/a/1", LOCAL, "api a-one-post /a/1"}, // named method over any
        {"GET", "/a/b", LOCAL, "api a-one /a/b"},       // literal, but of other methods: back
        {"PUT", "/a/b", LOCAL, "api a-b /a/b"},
        {"DELETE", "/a/b", LOCAL, "api a-b /a/b"},
        {"POST", "/a/b", LOCAL, "api a-one-post /a/b"},
        {"put", "/a/b", LOCAL, "api a-one /a/b"}, // methods are case-sensitive
        {"PUTT", "/a/b", LOCAL, "api a-one /a/b"},
        {"GET", "/a/b/d", LOCAL, "api a-b-d /a/b/d"},
        {"GET", "/a/b/c", LOCAL, "api a-one-c /a/b/c"}, // into b, and back
        {"GET", "/a/b/f", LOCAL, "api a-rest /a/b/f"},
        {"GET", "/a/b/e", LOCAL, "api deep-rest /a/b/e"}, // none included
        {"GET", "/a/b/e/", LOCAL, "api deep-rest /a/b/e/"},
        {"GET", "/a/b/e/f/g", LOCAL, "api deep-rest /a/b/e/f/g"},
        {"GET", "/q/x", LOCAL, "api one-x /q/x"},
        {"GET", "/a/x", LOCAL, "api a-one /a/x"}, // from the left: literal a over one
        {"GET", "/q/y", LOCAL, "api all-get /q/y"},
        {"POST", "/q/y", LOCAL, "api all /q/y"},
        {"GET", "/s/1/2/t", LOCAL, "api star-star /s/1/2/t"},
        {"GET", "/s/1/2/u", LOCAL, "api all-get /s/1/2/u"},
        {"HEAD", "/q", LOCAL, "api all /q"}, // GET does not imply HEAD
        {"OPTIONS", "*", LOCAL, "api all *"},
        {"OPTIONS", "/*", LOCAL, "api all /*"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

// T23 prefix matched mid-segment; and what ends in a slash is another path.
static void test_whole_segments(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "one", "GET /serviceendpoints");
    fixture_route(&fixture, api, "below", "GET /serviceendpoints/{id}");
    fixture_route(&fixture, api, "rest", "GET /rest/**");
    fixture_route(&fixture, api, "slash", "GET /slash/");
    static const struct row rows[] = {
        {"GET", "/serviceendpoints", LOCAL, "api one /serviceendpoints"},
        {"GET", "/serviceendpointsall", LOCAL, "403"},
        {"GET", "/serviceendpoint", LOCAL, "403"},
        {"GET", "/serviceendpoints/", LOCAL, "403"}, // {id} is not empty
        {"GET", "/serviceendpoints/1", LOCAL, "api below /serviceendpoints/1"},
        {"GET", "/serviceendpoints/1/", LOCAL, "403"},
        {"GET", "/serviceendpoints/1/2", LOCAL, "403"},
        {"GET", "/ServiceEndpoints", LOCAL, "403"},
        {"GET", "/rest", LOCAL, "api rest /rest"},
        {"GET", "/rest/", LOCAL, "api rest /rest/"},
        {"GET", "/rest/a/b", LOCAL, "api rest /rest/a/b"},
        {"GET", "/restless", LOCAL, "403"},
        {"GET", "/res", LOCAL, "403"},
        {"GET", "/slash/", LOCAL, "api slash /slash/"},
        {"GET", "/slash", LOCAL, "403"},
        {"GET", "/", LOCAL, "403"},
        {"OPTIONS", "*", LOCAL, "403"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

static void test_pattern_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } rows[] = {
        {"/", true},
        {"/**", true},
        {"/*", true},
        {"GET /a", true},
        {"  GET\tHEAD   /a/{id}/b/*/**  ", true},
        {"M-SEARCH /a", true},
        {"/a/", true},
        {"/.well-known/x", true},
        {"/a.b/c..d/@me/~u/a:b/a,b/(x)/[y]/a=b", true},
        {"/{user-id}/{a_b}", true},
        {"", false},
        {"GET", false},
        {"GET a", false},
        {"a/b", false},
        {"/a GET", false},
        {"http://h/a", false},
        {"GET GET /a", false},
        {"get /a", false},
        {"Get /a", false},
        {"* /a", false},
        {"G(T /a", false},
        {"GET,POST /a", false},
        {"/**/a", false},
        {"/**/", false},
        {"/a*", false},
        {"/*a", false},
        {"/a**", false},
        {"/***", false},
        {"/{id}.json", false},
        {"/{}", false},
        {"/{a", false},
        {"/a}", false},
        {"/{a/b}", false},
        {"/{{a}}", false},
        {"/a//b", false},
        {"//", false},
        {"/a/./b", false},
        {"/a/..", false},
        {"/a.", false},
        {"/%41", false},
        {"/a;b", false},
        {"/a\\b", false},
        {"/a?b", false},
        {"/a#b", false},
        {"/\xc3\xa9", false},
        {"/a|b", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pattern pattern;
        struct err err = {.text = ""};
        if (pattern_parse(str_of(rows[i].text), &pattern, &err) != rows[i].is_valid)
            fail_msg("`%s`: %s", rows[i].text, rows[i].is_valid ? err.text : "taken");
    }
    char deep[2 * (PATTERN_SEGMENTS_MAX + 1) + 1] = "";
    for (size_t i = 0; i < PATTERN_SEGMENTS_MAX; i++)
        memcpy(deep + 2 * i, "/a", 3);
    struct pattern pattern;
    assert_true(pattern_parse(str_of(deep), &pattern, NULL));
    memcpy(deep + 2 * (size_t)PATTERN_SEGMENTS_MAX, "/a", 3);
    assert_false(pattern_parse(str_of(deep), &pattern, NULL));
}

// ---- faults of the table

static void expect_fault(struct fixture *fixture, unsigned line, const char *part, const char *and)
{
    struct config_faults faults = {0};
    assert_null(route_table_new(&fixture->config, &faults));
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].file, "test.ini");
    assert_int_equal(faults.items[0].line, line);
    if (!strstr(faults.items[0].message, part) || !strstr(faults.items[0].message, and))
        fail_msg("`%s` says neither `%s` nor `%s`", faults.items[0].message, part, and);
    config_faults_fini(&faults);
    fixture_fini(fixture);
}

static void test_equal_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *one, *two;
        bool is_equal;
    } rows[] = {
        {"/a", "/a", true},
        {"GET /a", "GET /a", true},
        {"GET POST /a", "PUT POST /a", true},
        {"/a/{id}", "/a/*", true},
        {"/a/{id}/b", "/a/{name}/b", true},
        {"/**", "/**", true},
        {"GET /a", "/a", false},
        {"GET /a", "POST /a", false},
        {"/a", "/a/", false},
        {"/a", "/a/**", false},
        {"/a/*", "/a/**", false},
        {"/a/b", "/a/*", false},
        {"/", "/**", false},
        {"/a", "/A", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
        fixture_route(&fixture, api, "one", rows[i].one); // lines 2 and 3
        fixture_route(&fixture, api, "two", rows[i].two); // lines 4 and 5
        if (rows[i].is_equal)
            expect_fault(&fixture, 5, rows[i].one, "[route one] (test.ini:3)");
        else
            expect_rows(&fixture, NULL, 0);
    }
}

static void test_equal_patterns_of_two_upstreams(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_route(&fixture, fixture_upstream(&fixture, "a", "https://h", "/a", NULL), "one", "/x");
    fixture_route(&fixture, fixture_upstream(&fixture, "b", "https://i", "/b", NULL), "two", "/x");
    static const struct row rows[] = {
        {"GET", "/a/x", LOCAL, "a one /x"},
        {"GET", "/b/x", LOCAL, "b two /x"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

static void test_upstream_faults(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_upstream(&fixture, "a", "https://h/v1", "/x", NULL);
    fixture_upstream(&fixture, "b", "https://i", "/x", NULL);
    expect_fault(&fixture, 2, "same mount", "[upstream a] (test.ini:1)");
    fixture_init(&fixture);
    fixture_upstream(&fixture, "a", "https://h/v1", "/x", NULL);
    fixture_upstream(&fixture, "b", "http://i/v1", "/y", "i H:80");
    expect_fault(&fixture, 2, "same host and base path", "[upstream a] (test.ini:1)");
    fixture_init(&fixture);
    fixture_upstream(&fixture, "a", "https://h", "/x", "u@h");
    expect_fault(&fixture, 1, "u@h", "hosts");
    fixture_init(&fixture);
    fixture_upstream(&fixture, "a", "https://h/a%20b", "/x", NULL);
    expect_fault(&fixture, 1, "/a%20b", "url");
    fixture_init(&fixture);
    fixture_upstream(&fixture, "a", "https://h", "/x/{y}", NULL);
    expect_fault(&fixture, 1, "/x/{y}", "mount");
}

static void test_all_faults_are_told(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "one", "/a%20");
    fixture_route(&fixture, api, "two", "get /");
    fixture_route(&fixture, api, "three", "/b");
    fixture_route(&fixture, api, "four", "/b");
    struct config_faults faults = {0};
    assert_null(route_table_new(&fixture.config, &faults));
    assert_int_equal(faults.count, 3);
    config_faults_fini(&faults);
    fixture_fini(&fixture);
}

// ---- upstreams

static void test_upstreams(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *upstreams[] = {
        fixture_upstream(&fixture, "root", "https://api.example.com", "/", NULL),
        fixture_upstream(&fixture, "v1", "https://api.example.com/v1", "/one", NULL),
        fixture_upstream(&fixture, "deep", "https://api.example.com/v1/deep", "/one/two", NULL),
        fixture_upstream(&fixture, "other", "http://other.example:8443/base", NULL,
                         "other.example:8443 alias.example [::1]:9000"),
        fixture_upstream(&fixture, "pass", "https://pass.example", "/pass", "pass.example:443"),
    };
    for (size_t i = 0; i < 4; i++)
        fixture_route(&fixture, upstreams[i], "all", "/**");
    fixture_route(&fixture, upstreams[4], "all", "/known");
    fixture.upstreams[4].unmatched = UNMATCHED_PASS;
    static const struct row rows[] = {
        // origin-form: mounts, the longest wins, by whole segments, and is stripped
        {"GET", "/x", LOCAL, "root all /x"},
        {"GET", "/one", LOCAL, "v1 all "},
        {"GET", "/one/", LOCAL, "v1 all /"},
        {"GET", "/one/x", LOCAL, "v1 all /x"},
        {"GET", "/onex", LOCAL, "root all /onex"},
        {"GET", "/one/two", LOCAL, "deep all "},
        {"GET", "/one/two/three", LOCAL, "deep all /three"},
        {"GET", "/one/twox", LOCAL, "v1 all /twox"},
        {"GET", "/base/x", LOCAL, "root all /base/x"},
        // by Host, then base path
        {"GET", "/x", "api.example.com", "root all /x"},
        {"GET", "/v1", "api.example.com", "v1 all "},
        {"GET", "/v1/x", "API.example.com.:80", "v1 all /x"},
        {"GET", "/v1x", "api.example.com", "root all /v1x"},
        {"GET", "/v1/deep/x", "api.example.com", "deep all /x"},
        {"GET", "/one/x", "api.example.com", "root all /one/x"},
        {"GET", "/base/x", "alias.example", "other all /x"},
        {"GET", "/x", "alias.example", "404"}, // no way round by mounts
        {"GET", "/basement", "alias.example", "404"},
        {"GET", "/base/x", "[::1]:9000", "other all /x"},
        // absolute-form
        {"GET", "http://api.example.com/v1/x", LOCAL, "v1 all /x"},
        {"GET", "https://api.example.com/v1/x", LOCAL, "v1 all /x"},
        {"GET", "https://API.EXAMPLE.COM.:443/v1/deep", LOCAL, "deep all "},
        {"GET", "http://api.example.com:80/x", LOCAL, "root all /x"},
        {"GET", "http://api.example.com:443/x", LOCAL, "404"},
        {"GET", "http://api.example.com:8080/x", LOCAL, "404"},
        {"GET", "http://api.example.com", LOCAL, "root all /"},
        {"GET", "http://other.example:8443/base/x", LOCAL, "other all /x"},
        {"GET", "https://other.example:8443/base/x", LOCAL, "other all /x"},
        {"GET", "http://other.example/base/x", LOCAL, "404"},
        {"GET", "http://evil.example/v1/x", LOCAL, "404"},
        {"GET", "http://evil.example/v1/x", "api.example.com", "404"}, // Host is ignored
        {"GET", "http://localhost:8080/x", LOCAL, "404"},              // no mounts here
        {"GET", "http://api.example.com.evil.example/", LOCAL, "404"},
        {"GET", "http://xapi.example.com/", LOCAL, "404"},
        // unmatched
        {"GET", "/pass/known", LOCAL, "pass all /known"},
        {"GET", "/pass/x", LOCAL, "pass - /x"},
        {"GET", "http://pass.example/x", LOCAL, "pass - /x"},
        // OPTIONS * is of a whole upstream
        {"OPTIONS", "*", LOCAL, "root all *"},
        {"OPTIONS", "http://api.example.com", LOCAL, "root all *"},
        {"OPTIONS", "http://alias.example", LOCAL, "404"}, // has a base path
        {"OPTIONS", "http://pass.example", LOCAL, "pass - *"},
        // authority-form selects nothing
        {"CONNECT", "api.example.com:443", LOCAL, "404"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

static void test_pattern_root(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h/v1", "/m", NULL);
    fixture_route(&fixture, api, "root", "/");
    static const struct row rows[] = {
        {"GET", "/m", LOCAL, "api root "}, {"GET", "/m/", LOCAL, "api root /"},
        {"GET", "/v1", "h", "api root "},  {"GET", "/v1/", "h", "api root /"},
        {"GET", "/m/x", LOCAL, "403"},     {"GET", "/", LOCAL, "404"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

// ---- consensus

// T22: path matched differs from path sent.
static void test_consensus(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "public", "/public/**");
    fixture_route(&fixture, api, "item", "GET /items/{id}");
    fixture_route(&fixture, api, "admin", "/admin/**");
    fixture_route(&fixture, api, "end", "/end");
    static const struct row rows[] = {
        // all agree: the raw bytes go on
        {"GET", "/public/a%20b", LOCAL, "api public /public/a%20b"},
        {"GET", "/public/a%2Fb", LOCAL, "api public /public/a%2Fb"},
        {"GET", "/public//x", LOCAL, "api public /public//x"},
        {"GET", "/public/a/../b", LOCAL, "api public /public/a/../b"},
        {"GET", "/public/./b", LOCAL, "api public /public/./b"},
        {"GET", "/public/a;v=1/b", LOCAL, "api public /public/a;v=1/b"},
        {"GET", "/public/%E2%82%AC", LOCAL, "api public /public/%E2%82%AC"},
        {"GET", "/public/100%25", LOCAL, "api public /public/100%25"},
        {"GET", "/public/what%3F", LOCAL, "api public /public/what%3F"},
        {"GET", "/public/name.", LOCAL, "api public /public/name."},
        {"GET", "/items/a%20b", LOCAL, "api item /items/a%20b"},
        {"GET", "/items/a%2Cb", LOCAL, "api item /items/a%2Cb"},
        {"GET", "/items/1;v=2", LOCAL, "api item /items/1;v=2"},
        {"GET", "/items/1.", LOCAL, "api item /items/1."},
        // some server would go elsewhere
        {"GET", "/public/../admin", LOCAL, "400"},
        {"GET", "/public/..%2fadmin", LOCAL, "400"},
        {"GET", "/public/..%2Fadmin/x", LOCAL, "400"},
        {"GET", "/public%2f..%2fadmin", LOCAL, "400"},
        {"GET", "/public/%2e%2e/admin", LOCAL, "400"},
        {"GET", "/public/.%2e/admin", LOCAL, "400"},
        {"GET", "/public/%252e%252e/admin", LOCAL, "400"},
        {"GET", "/public/..%252fadmin", LOCAL, "400"},
        {"GET", "/public/..%5cadmin", LOCAL, "400"},
        {"GET", "/public/..%255cadmin", LOCAL, "400"},
        {"GET", "/public/..;/admin", LOCAL, "400"},
        {"GET", "/public/..;x=y/admin", LOCAL, "400"},
        {"GET", "/public/..%3b/admin", LOCAL, "400"},
        {"GET", "/public/..%20/admin", LOCAL, "400"},
        {"GET", "/public/.../admin", LOCAL, "400"},
        {"GET", "/public/x/../../admin", LOCAL, "400"},
        {"GET", "/public/../../admin", LOCAL, "400"},
        {"GET", "/public//../admin", LOCAL, "400"},
        {"GET", "/public/..", LOCAL, "400"},
        {"GET", "/public/..//", LOCAL, "400"},
        {"GET", "/admin/../public/x", LOCAL, "400"},
        {"GET", "/admin%3f/../../public", LOCAL, "400"},
        {"GET", "/public/../public/x", LOCAL, "api public /public/../public/x"},
        {"GET", "/%61dmin/x", LOCAL, "400"},
        {"GET", "/%2561dmin/x", LOCAL, "400"},
        {"GET", "//admin/x", LOCAL, "400"},
        {"GET", "/./admin/x", LOCAL, "400"},
        {"GET", "/admin;x/y", LOCAL, "400"},
        {"GET", "/;/admin/y", LOCAL, "400"},
        {"GET", "/admin./y", LOCAL, "400"},
        {"GET", "/admin%20/y", LOCAL, "400"},
        {"GET", "/x/../admin/y", LOCAL, "400"},
        {"GET", "/items/a%2Fb", LOCAL, "400"},
        {"GET", "/items/%2e", LOCAL, "400"},
        {"GET", "/items/1%2f", LOCAL, "400"},
        {"GET", "/items//1", LOCAL, "400"},
        {"GET", "/items/;1", LOCAL, "400"},
        {"GET", "/items/%20", LOCAL, "400"},
        {"GET", "/items/1%3f", LOCAL, "api item /items/1%3f"},
        {"GET", "/items/%3f1", LOCAL, "400"},
        {"GET", "/end.", LOCAL, "400"},
        {"GET", "/end%20", LOCAL, "400"},
        {"GET", "/end;x", LOCAL, "400"},
        {"GET", "/end//", LOCAL, "403"},
        {"GET", "/end/.", LOCAL, "400"},
        {"GET", "/end/x/..", LOCAL, "400"},
        {"GET", "/e%6ed", LOCAL, "400"},
        // all agree that there is none
        {"GET", "/nothing%20here", LOCAL, "403"},
        {"POST", "/items/a%20b", LOCAL, "403"},
        // the same in absolute-form
        {"GET", "http://h/public/..%2fadmin", LOCAL, "400"},
        {"GET", "http://h/public/a%20b", LOCAL, "api public /public/a%20b"},
        // the query has no say
        {"GET", "/public/x?/../admin/%2e%2e;", LOCAL, "api public /public/x"},
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

static void test_consensus_on_upstream(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *a = fixture_upstream(&fixture, "a", "https://a/base", "/a", NULL);
    struct config_upstream *b = fixture_upstream(&fixture, "b", "https://b", "/b", "b h:1");
    struct config_upstream *c = fixture_upstream(&fixture, "c", "https://c/base", "/", "c");
    fixture_route(&fixture, a, "all", "/**");
    fixture_route(&fixture, b, "all", "/**");
    fixture_route(&fixture, c, "all", "/**");
    static const struct row rows[] = {
        {"GET", "/a/x%20y", LOCAL, "a all /x%20y"},
        {"GET", "/a/../b/x", LOCAL, "400"},
        {"GET", "/a/..%2fb/x", LOCAL, "400"},
        {"GET", "/a/%2e%2e/%2e%2e/b", LOCAL, "400"},
        // the mount's bytes must stand there raw
        {"GET", "/%61/x", LOCAL, "400"},
        {"GET", "/b/../a/x", LOCAL, "400"},
        {"GET", "//a/x", LOCAL, "400"},
        {"GET", "/a;v=1/x", LOCAL, "400"},
        {"GET", "/a%2fx", LOCAL, "400"},
        // mount `/`, base path `/base`: what is sent must not climb out of it
        {"GET", "/x/../y", LOCAL, "c all /x/../y"},
        {"GET", "/../x", LOCAL, "400"},
        {"GET", "/x/../../y", LOCAL, "400"},
        {"GET", "/%2e%2e/x", LOCAL, "400"},
        {"GET", "/..%2f..%2fetc", LOCAL, "400"},
        {"GET", "/..;/x", LOCAL, "400"},
        {"GET", "/..%5cx", LOCAL, "400"},
        {"GET", "/..", LOCAL, "400"},
        {"GET", "/../basement/x", LOCAL, "400"},
        {"GET", "/../base/x", LOCAL, "c all /../base/x"}, // comes back
        {"GET", "/x%20y", LOCAL, "c all /x%20y"},
        {"GET", "//x", LOCAL, "c all //x"},
        // and the same by host, where base path and path come in one
        {"GET", "http://a/base/../x", LOCAL, "400"},
        {"GET", "http://a/base/%2e%2e/x", LOCAL, "400"},
        {"GET", "http://a/base/..;/base/x", LOCAL, "a all /..;/base/x"}, // comes back
        {"GET", "http://a/b%61se/x", LOCAL, "400"},
        {"GET", "http://a/x/../base/y", LOCAL, "400"},
        {"GET", "http://a/base/x/../y", LOCAL, "a all /x/../y"},
        {"GET", "http://b/%2e%2e/x", LOCAL, "b all /%2e%2e/x"}, // base `/`: nothing to climb out of
    };
    expect_rows(&fixture, rows, ARRAY_LEN(rows));
}

// A path with more readings than anybody needs is refused, even if all that were looked at agree.
static void test_too_many_readings(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "all", "/**");
    struct route_table *table = table_of(&fixture);
    struct buf raw;
    buf_init(&raw, 4096);
    for (int i = 0; i < 8; i++)
        assert_true(buf_append(&raw, STR("/..%252f;x=1%2e%20./%5c%255c..;%253b%3f")));
    assert_true(buf_append(&raw, STR("\0")));
    expect(table, "GET", raw.ptr, LOCAL, "400");
    buf_fini(&raw);
    route_table_free(table);
    fixture_fini(&fixture);
}

// ---- many

// A path's own lookup, with 1 and with 10,000 routes: the same choice; and memory in bounds.
static void test_ten_thousand_routes(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    char(*texts)[2][48] = mem_array(COUNT, sizeof *texts);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(texts[i][0], 48, "r%u", i);
        snprintf(texts[i][1], 48, "GET /v%u/group%u/{id}/leaf%u", i % 3, i % 97, i);
        fixture_route(&fixture, api, texts[i][0], texts[i][1]);
    }
    struct route_table *table = table_of(&fixture);
    for (unsigned i = 0; i < COUNT; i++) {
        char raw[64], wanted[128];
        snprintf(raw, sizeof raw, "/v%u/group%u/x/leaf%u", i % 3, i % 97, i);
        snprintf(wanted, sizeof wanted, "api r%u %s", i, raw);
        expect(table, "GET", raw, LOCAL, wanted);
        expect(table, "POST", raw, LOCAL, "403");
        snprintf(raw, sizeof raw, "/v%u/group%u/x/leaf%u", (i + 1) % 3, i % 97, i);
        expect(table, "GET", raw, LOCAL, "403");
    }
    assert_true(route_table_bytes(table) < 4u << 20);
    route_table_free(table);
    fixture_fini(&fixture);
    mem_free(texts);
}

// Literal and one-segment children at every depth: each node is looked at once, and the answer is
// right.
static void test_backtracking(void **state)
{
    (void)state;
    struct trie trie;
    trie_init(&trie);
    uint32_t root = trie_root(&trie);
    static const int subject[1 << 10];
    for (unsigned bits = 0; bits < 1 << 10; bits++) {
        uint32_t node = root;
        for (unsigned i = 0; i < 10; i++)
            node = bits >> i & 1 ? trie_literal(&trie, node, STR("a")) : trie_one(&trie, node);
        // Only the least specific of all ends well.
        if (!bits)
            assert_null(trie_put(&trie, node, false, (struct trie_rule){.subject = subject}));
    }
    size_t used;
    const struct trie_rule *rule =
        trie_find(&trie, root, STR("GET"), STR("/a/a/a/a/a/a/a/a/a/a"), &used);
    assert_non_null(rule);
    assert_ptr_equal(rule->subject, subject);
    assert_int_equal(used, 20);
    assert_null(trie_find(&trie, root, STR("GET"), STR("/a/a/a/a/a/a/a/a/a"), &used));
    assert_null(trie_find(&trie, root, STR("GET"), STR("/a/a/a/a/a/a/a/a/a/a/a"), &used));
    trie_fini(&trie);
}

// Far more segments than any pattern has: no deep recursion, no cost beyond the pattern's depth.
static void test_long_path(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    fixture_route(&fixture, api, "all", "/a/**");
    struct route_table *table = table_of(&fixture);
    enum { LEN = 200000 };
    char *raw = mem_alloc(LEN + 1);
    for (size_t i = 0; i < LEN; i += 2)
        memcpy(raw + i, "/a", 2);
    struct answer answer = ask(table, "GET", raw, LOCAL);
    assert_int_equal(answer.choice.verdict, ROUTE_FOUND);
    assert_int_equal(answer.choice.rest.len, LEN);
    mem_free(raw);
    route_table_free(table);
    fixture_fini(&fixture);
}

// For `explain`: the line that decided.
static void test_match_is_named(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *api = fixture_upstream(&fixture, "api", "https://h", "/", NULL);
    struct config_route *route = fixture_route(&fixture, api, "one", "GET HEAD /a/**");
    struct route_table *table = table_of(&fixture);
    struct answer answer = ask(table, "HEAD", "/a/b", LOCAL);
    assert_ptr_equal(answer.choice.route, route);
    assert_ptr_equal(answer.choice.match, route->matches);
    answer = ask(table, "POST", "/a/b", LOCAL);
    assert_null(answer.choice.match);
    route_table_free(table);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specificity),
        cmocka_unit_test(test_whole_segments),
        cmocka_unit_test(test_pattern_faults),
        cmocka_unit_test(test_equal_patterns),
        cmocka_unit_test(test_equal_patterns_of_two_upstreams),
        cmocka_unit_test(test_upstream_faults),
        cmocka_unit_test(test_all_faults_are_told),
        cmocka_unit_test(test_upstreams),
        cmocka_unit_test(test_pattern_root),
        cmocka_unit_test(test_consensus),
        cmocka_unit_test(test_consensus_on_upstream),
        cmocka_unit_test(test_too_many_readings),
        cmocka_unit_test(test_ten_thousand_routes),
        cmocka_unit_test(test_backtracking),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_match_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
