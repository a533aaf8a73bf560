// SPDX-License-Identifier: MIT
// The head that goes upstream, byte for byte. T20 (one Authorization), T21 (nobody's credential
// leaks), T28 (hop-by-hop fields, also those that Connection names), T30 (a client's placeholder is
// replaced).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/inject.h"

static const struct token main_token = {
    .header_name = {"Authorization", 13},
    .header_value = {"Bearer T0KEN", 12},
    .value = {"T0KEN", 5},
};
static const struct token session_token = {
    .header_name = {"VZ-M2M-Token", 12},
    .header_value = {"S3SSION", 7},
    .value = {"S3SSION", 7},
};

// ---- building one

struct make { // what differs from a plain GET /x with one token
    const char *method, *rest, *query, *base;
    const char *fields[12][2];
    int client_authorization;
    bool is_pass, has_session, has_no_token, is_http10, is_chunked, has_length;
    uint64_t length;
    struct config_header upstream_set[3], route_set[3];
    const char *upstream_remove[3], *route_remove[3];
    const char *pseudonym;
};

struct made {
    struct caller_verdict verdict;
    bool is_built;
    char text[4096];
};

static void make_lists(const struct make *make, struct config_upstream *upstream,
                       struct config_route *route)
{
    upstream->set_header.items = (struct config_header *)(uintptr_t)make->upstream_set;
    route->set_header.items = (struct config_header *)(uintptr_t)make->route_set;
    upstream->remove_header.items = (char **)(uintptr_t)make->upstream_remove;
    route->remove_header.items = (char **)(uintptr_t)make->route_remove;
    for (size_t i = 0; i < 3; i++) {
        upstream->set_header.count += make->upstream_set[i].name != NULL;
        route->set_header.count += make->route_set[i].name != NULL;
        upstream->remove_header.count += make->upstream_remove[i] != NULL;
        route->remove_header.count += make->route_remove[i] != NULL;
    }
}

static struct made make_with(const struct make *make, size_t max)
{
    struct made made = {.text = ""};
    char url[64];
    snprintf(url, sizeof url, "https://api.example.com%s", make->base ? make->base : "");
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *upstream = fixture_upstream(&fixture, "api", url, "/", NULL);
    struct config_route *route = fixture_route(&fixture, upstream, "r", "/**");
    make_lists(make, upstream, route);
    route->client_authorization = make->client_authorization;
    const struct config_slot *slots[2] = {&fixture.slot, &fixture.slot};
    const struct config_slot **kept = route->slots;
    route->slots = slots;
    route->slot_count = make->has_no_token ? 0 : make->has_session ? 2 : 1;
    const struct token *tokens[2] = {&main_token, &session_token};
    struct fields fields = {.count = 0};
    for (size_t i = 0; i < 12 && make->fields[i][0]; i++)
        assert_true(fields_add(&fields, str_of(make->fields[i][0]), str_of(make->fields[i][1])));
    const struct inject_input input = {
        .method = str_of(make->method ? make->method : "GET"),
        .rest = str_of(make->rest ? make->rest : "/x"),
        .query = str_of(make->query),
        .has_query = make->query != NULL,
        .fields = &fields,
        .upstream = upstream,
        .route = make->is_pass ? NULL : route,
        .tokens = tokens,
        .pseudonym = str_of(make->pseudonym),
        .has_length = make->has_length,
        .content_length = make->length,
        .is_chunked = make->is_chunked,
        .client_is_http10 = make->is_http10,
    };
    made.verdict = inject_check(&input);
    struct buf out;
    buf_init(&out, max);
    made.is_built = inject_head(&input, &out);
    assert_true(!made.is_built || out.len < sizeof made.text);
    if (made.is_built)
        memcpy(made.text, out.ptr, out.len);
    buf_fini(&out);
    route->slots = kept;
    fixture_fini(&fixture);
    return made;
}

static struct made make_one(const struct make *make)
{
    return make_with(make, 4096);
}

#define HEAD(line) line "\r\nHost: api.example.com\r\n"
#define PLAIN      HEAD("GET /x HTTP/1.1")
#define VIA        "Via: 1.1 bearerd\r\n"
#define AUTH       "Authorization: Bearer T0KEN\r\n"
#define SESSION    "VZ-M2M-Token: S3SSION\r\n"
#define END        "\r\n"

struct row {
    const char *name;
    struct make make;
    const char *wanted;
};

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct made made = make_one(&rows[i].make);
        if (made.verdict.status || !made.is_built || strcmp(made.text, rows[i].wanted) != 0)
            fail_msg("%s: %d %s\n%s", rows[i].name, made.verdict.status,
                     made.is_built ? "built" : "not built", made.text);
    }
}

// ---- request line and Host

static void test_request_line(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"plain", {.method = NULL}, PLAIN VIA AUTH END},
        {"query", {.query = "a=b&c"}, HEAD("GET /x?a=b&c HTTP/1.1") VIA AUTH END},
        {"empty query", {.query = ""}, HEAD("GET /x? HTTP/1.1") VIA AUTH END},
        {"raw path",
         {.rest = "/a%2Fb/../c;d//"},
         HEAD("GET /a%2Fb/../c;d// HTTP/1.1") VIA AUTH END},
        {"base", {.base = "/v1"}, HEAD("GET /v1/x HTTP/1.1") VIA AUTH END},
        {"base alone", {.base = "/v1", .rest = ""}, HEAD("GET /v1 HTTP/1.1") VIA AUTH END},
        {"base and slash", {.base = "/v1", .rest = "/"}, HEAD("GET /v1/ HTTP/1.1") VIA AUTH END},
        {"root alone", {.rest = ""}, HEAD("GET / HTTP/1.1") VIA AUTH END},
        {"root", {.rest = "/"}, HEAD("GET / HTTP/1.1") VIA AUTH END},
        {"asterisk", {.method = "OPTIONS", .rest = "*"}, HEAD("OPTIONS * HTTP/1.1") VIA AUTH END},
        {"odd method", {.method = "M-SEARCH"}, HEAD("M-SEARCH /x HTTP/1.1") VIA AUTH END},
        {"client's Host",
         {.fields = {{"Host", "localhost:8080"}, {"hOST", "x"}}},
         PLAIN VIA AUTH END},
        {"HTTP/1.0 client", {.is_http10 = true}, PLAIN "Via: 1.0 bearerd\r\n" AUTH END},
        {"instance",
         {.pseudonym = "bearerd-0a1b2c3d"},
         PLAIN "Via: 1.1 bearerd-0a1b2c3d\r\n" AUTH END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- framing

static void test_framing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"none", {.fields = {{"Content-Length", "5"}}}, PLAIN VIA AUTH END},
        {"zero", {.has_length = true}, PLAIN VIA AUTH "Content-Length: 0\r\n" END},
        {"length",
         {.has_length = true, .length = 1234567890, .fields = {{"content-length", "7"}}},
         PLAIN VIA AUTH "Content-Length: 1234567890\r\n" END},
        {"largest",
         {.has_length = true, .length = UINT64_MAX},
         PLAIN VIA AUTH "Content-Length: 18446744073709551615\r\n" END},
        {"chunked",
         {.is_chunked = true,
          .fields = {{"Transfer-Encoding", "gzip, chunked"}, {"Trailer", "X"}, {"TE", "gzip"}}},
         PLAIN VIA AUTH "Trailer: X\r\nTransfer-Encoding: chunked\r\n" END},
        {"trailers are wanted",
         {.is_chunked = true,
          .fields = {{"TE", "deflate;q=0.5, Trailers"},
                     {"Trailer", "X, Content-Length"},
                     {"Trailer", "Y,Content-Digest"}}},
         PLAIN VIA AUTH "TE: trailers\r\nConnection: TE\r\nTrailer: Y,Content-Digest\r\n"
                        "Transfer-Encoding: chunked\r\n" END},
        {"trailers are wanted, none are sent",
         {.fields = {{"te", "trailers"}, {"Trailer", "X"}}},
         PLAIN VIA AUTH "TE: trailers\r\nConnection: TE\r\n" END},
        {"trailers and HTTP/1.0",
         {.is_http10 = true, .fields = {{"TE", "trailers"}, {"Trailer", "X"}}},
         PLAIN "Via: 1.0 bearerd\r\n" AUTH END},
        {"underscores",
         {.fields = {{"Content_Length", "5"}, {"Transfer_Encoding", "chunked"}}},
         PLAIN VIA AUTH END},
        {"expectation",
         {.has_length = true, .length = 5, .fields = {{"Expect", "100-continue"}}},
         PLAIN VIA AUTH "Content-Length: 5\r\n" END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- what passes

static void test_order_case_and_duplicates_stay(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"all of them",
         {.fields = {{"accept", "*/*"},
                     {"X-A", "1"},
                     {"COOKIE", "a=b"},
                     {"x-a", "2"},
                     {"Cookie", "c=d"},
                     {"X-Empty", ""},
                     {"User-Agent", "legacy/1"},
                     {"traceparent", "00-1-2-01"},
                     {"Max-Forwards", "3"},
                     {"X_Custom_Name", "u"}}},
         PLAIN "accept: */*\r\nX-A: 1\r\nCOOKIE: a=b\r\nx-a: 2\r\nCookie: c=d\r\nX-Empty: \r\n"
               "User-Agent: legacy/1\r\ntraceparent: 00-1-2-01\r\nMax-Forwards: 3\r\n"
               "X_Custom_Name: u\r\n" VIA AUTH END},
        {"Via before ours",
         {.fields = {{"Via", "1.0 a, 1.1 b"}}},
         PLAIN "Via: 1.0 a, 1.1 b\r\n" VIA AUTH END},
        {"names that only begin alike",
         {.fields = {{"Hosts", "a"},
                     {"TEA", "b"},
                     {"Authorizations", "c"},
                     {"Proxies", "d"},
                     {"X-Forward", "e"},
                     {"Client-Id", "f"},
                     {"X-SSLX", "g"},
                     {"Upgrade-Insecure-Requests", "1"},
                     {"Connections", "h"},
                     {"X-Real-IPs", "i"}}},
         PLAIN "Hosts: a\r\nTEA: b\r\nAuthorizations: c\r\nProxies: d\r\nX-Forward: e\r\n"
               "Client-Id: f\r\nX-SSLX: g\r\nUpgrade-Insecure-Requests: 1\r\nConnections: h\r\n"
               "X-Real-IPs: i\r\n" VIA AUTH END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- what is dropped

static const char *const dropped_names[] = {
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Authentication-Info",
    "Host",
    "Content-Length",
    "Expect",
    "Proxy",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Prefix",
    "X-Forwarded",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-SSL-Client-Cert",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Bearerd-Key",
    "HTTP2-Settings",
    "Authorization",
};

static void respell(const char *name, unsigned spelling, char *out)
{
    size_t i = 0;
    for (; name[i]; i++) {
        out[i] = spelling & 1 ? str_lower(name[i]) : name[i];
        if ((spelling & 2) && out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 32);
        if ((spelling & 4) && out[i] == '-')
            out[i] = '_';
    }
    out[i] = 0;
}

// T28, T21, BC-6: in any case, and with `_` for `-`.
static void test_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dropped_names); i++)
        for (unsigned spelling = 0; spelling < 8; spelling++) {
            char name[64];
            respell(dropped_names[i], spelling, name);
            struct make make = {.fields = {{"A", "1"}, {name, "x"}, {"B", "2"}}};
            struct made made = make_one(&make);
            if (!made.is_built || strcmp(made.text, PLAIN "A: 1\r\nB: 2\r\n" VIA AUTH END) != 0)
                fail_msg("%s:\n%s", name, made.text);
        }
}

// T28: what Connection names goes, but what is ours cannot be named away.
static void test_connection(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"named",
         {.fields = {{"Connection", "close, X-Hop"}, {"x-hop", "1"}, {"X-Hop2", "2"}}},
         PLAIN "X-Hop2: 2\r\n" VIA AUTH END},
        {"two lines",
         {.fields =
              {{"Connection", "a"}, {"A", "1"}, {"connection", " B ,, c"}, {"B", "2"}, {"C", "3"}}},
         PLAIN VIA AUTH END},
        {"ours", // HS-1
         {.has_length = true,
          .length = 1,
          .fields = {{"Connection", "Authorization, Host, Content-Length, Via"},
                     {"Authorization", "Basic eA=="}}},
         PLAIN VIA AUTH "Content-Length: 1\r\n" END},
        {"upgrade",
         {.fields = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}},
         PLAIN VIA AUTH END},
        {"a kept Authorization",
         {.client_authorization = CLIENT_AUTH_KEEP,
          .fields = {{"Connection", "authorization"}, {"Authorization", "Basic eA=="}}},
         PLAIN "Authorization: Basic eA==\r\n" VIA END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- credentials

static void test_credentials(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"T30 placeholder replaced",
         {.fields = {{"Authorization", "Bearer placeholder"}}},
         PLAIN VIA AUTH END},
        {"T20 all of the client's",
         {.fields = {{"AUTHORIZATION", "a"}, {"X", "1"}, {"authorization", "b"}}},
         PLAIN "X: 1\r\n" VIA AUTH END},
        {"keep",
         {.client_authorization = CLIENT_AUTH_KEEP, .fields = {{"authorization", "Basic eA=="}}},
         PLAIN "authorization: Basic eA==\r\n" VIA END},
        {"keep, but there is none", {.client_authorization = CLIENT_AUTH_KEEP}, PLAIN VIA AUTH END},
        {"keep does not keep other tokens",
         {.client_authorization = CLIENT_AUTH_KEEP,
          .has_session = true,
          .fields = {{"Authorization", "Basic eA=="}, {"VZ-M2M-Token", "client's"}}},
         PLAIN "Authorization: Basic eA==\r\n" VIA SESSION END},
        {"two tokens",
         {.has_session = true,
          .fields = {{"vz-m2m-token", "a"}, {"VZ_M2M_TOKEN", "b"}, {"Authorization", "c"}}},
         PLAIN VIA AUTH SESSION END},
        {"T21 no token, still not the client's",
         {.has_no_token = true, .fields = {{"Authorization", "Basic eA=="}}},
         PLAIN VIA END},
        {"no token, kept",
         {.has_no_token = true,
          .client_authorization = CLIENT_AUTH_KEEP,
          .fields = {{"Authorization", "Basic eA=="}}},
         PLAIN "Authorization: Basic eA==\r\n" VIA END},
        {"unmatched = pass",
         {.is_pass = true,
          .fields = {{"Authorization", "Basic eA=="},
                     {"Proxy-Authorization", "Basic eA=="},
                     {"X-Bearerd-Key", "k"},
                     {"VZ-M2M-Token", "own"},
                     {"X-Forwarded-For", "1"}}},
         PLAIN "Authorization: Basic eA==\r\nVZ-M2M-Token: own\r\n" VIA END},
        {"T21 the key and the proxy's password",
         {.fields = {{"Proxy-Authorization", "Basic eA=="}, {"X-Bearerd-Key", "k"}}},
         PLAIN VIA AUTH END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

static char name_fixed[] = "X-Fixed", name_forwarded[] = "X-Forwarded-Proto";
static char name_authorization[] = "Authorization", yes[] = "yes", no[] = "no", https[] = "https";

static void test_set_and_remove(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"set by the upstream",
         {.upstream_set = {{name_fixed, yes}},
          .fields = {{"x-fixed", "client's"}, {"X_Fixed", "u"}}},
         PLAIN VIA AUTH "X-Fixed: yes\r\n" END},
        {"the route's counts",
         {.upstream_set = {{name_fixed, no}}, .route_set = {{name_fixed, yes}}},
         PLAIN VIA AUTH "X-Fixed: yes\r\n" END},
        {"two of a name",
         {.route_set = {{name_fixed, no}, {name_fixed, yes}}},
         PLAIN VIA AUTH "X-Fixed: no\r\nX-Fixed: yes\r\n" END},
        {"one of those dropped",
         {.upstream_set = {{name_forwarded, https}}, .fields = {{"X-Forwarded-Proto", "http"}}},
         PLAIN VIA AUTH "X-Forwarded-Proto: https\r\n" END},
        {"T20 never beside a token",
         {.upstream_set = {{name_authorization, yes}}},
         PLAIN VIA AUTH END},
        {"a fixed Authorization",
         {.has_no_token = true,
          .route_set = {{name_authorization, yes}},
          .fields = {{"Authorization", "client's"}}},
         PLAIN VIA "Authorization: yes\r\n" END},
        {"removed",
         {.upstream_remove = {"Cookie"},
          .route_remove = {"User-Agent", "X-A"},
          .fields = {{"cookie", "a"}, {"USER-AGENT", "b"}, {"X_A", "c"}, {"X-B", "d"}}},
         PLAIN "X-B: d\r\n" VIA AUTH END},
        {"the upstream's also for unmatched requests",
         {.is_pass = true,
          .upstream_set = {{name_fixed, yes}},
          .upstream_remove = {"Cookie"},
          .fields = {{"Cookie", "a"}}},
         PLAIN VIA "X-Fixed: yes\r\n" END},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

// ---- refusals

static void test_check(void **state)
{
    (void)state;
    static const struct {
        struct make make;
        int status;
    } rows[] = {
        {{.fields = {{"Authorization", "x"}}}, 0},
        {{.client_authorization = CLIENT_AUTH_REJECT}, 0},
        {{.client_authorization = CLIENT_AUTH_REJECT, .fields = {{"authorization", "x"}}}, 400},
        {{.client_authorization = CLIENT_AUTH_REJECT,
          .is_pass = true,
          .fields = {{"Authorization", "x"}}},
         0},
        // BT-2
        {{.query = "access_token=x"}, 400},
        {{.query = "a=b&access_token=x"}, 400},
        {{.query = "a;access_token=x"}, 400},
        {{.query = "access_token"}, 400},
        {{.query = "access_token="}, 400},
        {{.query = "%61ccess_token=x"}, 400},
        {{.query = "access%5Ftoken=x"}, 400},
        {{.query = "a&%61%63%63%65%73%73%5f%74%6F%6b%65%6e=x"}, 400},
        {{.query = "access_tokens=x"}, 0},
        {{.query = "xaccess_token=x"}, 0},
        {{.query = "a=access_token"}, 0},
        {{.query = "a=access_token=x"}, 0},
        {{.query = "Access_Token=x"}, 0},
        {{.query = "access_toke%"}, 0},
        {{.query = "access_token%"}, 0},
        {{.query = "access_token%2"}, 0},
        {{.query = ""}, 0},
        {{.query = "&&;="}, 0},
        {{.query = "access_token=x", .has_no_token = true}, 0},
        {{.query = "access_token=x", .is_pass = true}, 0},
        // HS-3: this process, not others of its kind
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "1.1 bearerd-1"}}}, 508},
        {{.pseudonym = "bearerd-1", .fields = {{"via", "1.0 a, 1.1  bearerd-1 (x)"}}}, 508},
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "1.1 a"}, {"Via", "HTTP/1.1 bearerd-1"}}},
         508},
        {{.pseudonym = "bearerd-1", .is_pass = true, .fields = {{"Via", "1.1 bearerd-1"}}}, 508},
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "1.1 bearerd-2"}}}, 0},
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "1.1 bearerd-11"}}}, 0},
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "1.1 a (1.1 bearerd-1)"}}}, 0},
        {{.pseudonym = "bearerd-1", .fields = {{"Via", "bearerd-1"}}}, 0},
        {{.fields = {{"Via", "1.1 bearerd"}}}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct made made = make_one(&rows[i].make);
        if (made.verdict.status != rows[i].status)
            fail_msg("row %zu (%s): %d", i, rows[i].make.query ? rows[i].make.query : "",
                     made.verdict.status);
        assert_true(!made.verdict.type == !rows[i].status && !made.verdict.why == !rows[i].status);
    }
}

// HM-19: CR, LF and NUL are never copied into a message, wherever in a value they stand.
static void test_no_line_break_passes(void **state)
{
    (void)state;
    static const char breaks[] = {'\r', '\n', 0};
    char text[41];
    for (size_t at = 0; at < 40; at++)
        for (size_t i = 0; i < sizeof breaks; i++)
            for (int is_name = 0; is_name < 2; is_name++) {
                memset(text, '\x81', sizeof text);
                text[at] = breaks[i];
                struct fields fields = {.count = 0};
                struct str odd = {text, 40};
                assert_true(
                    fields_add(&fields, is_name ? odd : STR("X"), is_name ? STR("x") : odd));
                struct fixture fixture;
                fixture_init(&fixture);
                const struct inject_input input = {
                    .method = STR("GET"),
                    .rest = STR("/"),
                    .fields = &fields,
                    .upstream = fixture_upstream(&fixture, "a", "https://h", "/", NULL)};
                struct buf out;
                buf_init(&out, 1024);
                assert_false(inject_head(&input, &out));
                text[at] = '\x0c'; // near misses on all sides, which are others' to refuse
                text[(at + 1) % 40] = '\x0e';
                text[(at + 2) % 40] = '\x01';
                text[(at + 3) % 40] = '\x0b';
                buf_clear(&out);
                assert_true(inject_head(&input, &out));
                buf_fini(&out);
                fixture_fini(&fixture);
            }
}

// T26: at whatever ceiling, either the whole head or a refusal.
static void test_ceiling(void **state)
{
    (void)state;
    static const struct make make = {
        .base = "/v1",
        .query = "q",
        .fields = {{"A", "1"}, {"Cookie", "abcdefghijklmnopqrstuvwxyz"}},
        .has_session = true,
        .route_set = {{name_fixed, yes}},
        .has_length = true,
        .length = 42,
    };
    struct made whole = make_one(&make);
    assert_true(whole.is_built);
    size_t len = strlen(whole.text);
    for (size_t max = 0; max < len + 20; max++) {
        struct made made = make_with(&make, max);
        assert_int_equal(made.is_built, max >= len);
        if (made.is_built)
            assert_string_equal(made.text, whole.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_line),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_order_case_and_duplicates_stay),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_set_and_remove),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_no_line_break_passes),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
