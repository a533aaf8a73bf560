// SPDX-License-Identifier: MIT
// What upstreams are told of where a request came from: Forwarded and X-Forwarded-… (FW-1, FW-2),
// X-Request-Id, traceparent and tracestate; in the head as it is sent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/inject.h"

struct make {
    int forwarded, x_forwarded;
    const char *peer, *host, *request_id, *traceparent;
    bool drops_tracestate;
    const char *fields[8][2];
    struct config_header set[2];
    const char *remove[2];
    const char *token_field; // of a route that bears a token; NULL: no route
};

// All but the request line, Host and Via.
static void make_one(const struct make *make, char *out, size_t out_max)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct config_upstream *upstream = fixture_upstream(&fixture, "a", "http://a.test", "/", NULL);
    upstream->forwarded = make->forwarded;
    upstream->x_forwarded = make->x_forwarded;
    upstream->set_header.items = (struct config_header *)(uintptr_t)make->set;
    upstream->remove_header.items = (char **)(uintptr_t)make->remove;
    for (size_t i = 0; i < 2; i++) {
        upstream->set_header.count += make->set[i].name != NULL;
        upstream->remove_header.count += make->remove[i] != NULL;
    }
    const struct token token = {.header_name = str_of(make->token_field),
                                .header_value = STR("token")};
    const struct token *const tokens[] = {&token};
    struct fields fields = {.count = 0};
    for (size_t i = 0; i < 8 && make->fields[i][0]; i++)
        assert_true(fields_add(&fields, str_of(make->fields[i][0]), str_of(make->fields[i][1])));
    const struct inject_input input = {
        .method = STR("GET"),
        .rest = STR("/"),
        .fields = &fields,
        .upstream = upstream,
        .route = make->token_field ? fixture_route(&fixture, upstream, "r", "/**") : NULL,
        .tokens = tokens,
        .peer = str_of(make->peer),
        .host = str_of(make->host),
        .request_id = str_of(make->request_id),
        .traceparent = str_of(make->traceparent),
        .drops_tracestate = make->drops_tracestate,
    };
    struct buf head;
    buf_init(&head, 4096);
    assert_true(inject_head(&input, &head));
    size_t at = 0;
    struct str line, rest = buf_str(&head);
    *out = '\0';
    while (str_split(&rest, '\n', &line)) {
        if (line.len < 2 || str_starts(line, STR("GET ")) ||
            str_starts(line, STR("Host: a.test")) || str_starts(line, STR("Via: ")))
            continue;
        at += (size_t)snprintf(out + at, out_max - at, "%.*s\n", (int)line.len - 1, line.ptr);
    }
    buf_fini(&head);
    fixture_fini(&fixture);
}

struct row {
    const char *name;
    struct make make;
    const char *wanted;
};

static void expect_rows(const struct row *rows, size_t count)
{
    char text[2048];
    for (size_t i = 0; i < count; i++) {
        make_one(&rows[i].make, text, sizeof text);
        if (strcmp(text, rows[i].wanted) != 0)
            fail_msg("%s:\n%s", rows[i].name, text);
    }
}

#define V4   .peer = "127.0.0.1", .host = "localhost:8080"
#define V6   .peer = "2001:db8::7", .host = "[::1]:8080"
#define UNIX .host = "localhost"

static char name_for[] = "X-Forwarded-For", name_forwarded[] = "Forwarded", fixed[] = "fixed";
static char name_id[] = "X-Request-Id", name_trace[] = "traceparent";

static void test_forwarded(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"FW-2 off", {V4, .fields = {{"Forwarded", "for=evil"}, {"A", "1"}}}, "A: 1\n"},
        {"replace",
         {V4, .forwarded = FORWARDED_REPLACE, .fields = {{"Forwarded", "for=evil"}}},
         "Forwarded: for=127.0.0.1;host=\"localhost:8080\";proto=http\n"},
        {"FW-1 IPv6 in brackets and quotes",
         {V6, .forwarded = FORWARDED_REPLACE},
         "Forwarded: for=\"[2001:db8::7]\";host=\"[::1]:8080\";proto=http\n"},
        {"FW-1 a unix socket",
         {UNIX, .forwarded = FORWARDED_REPLACE},
         "Forwarded: for=_unix;host=localhost;proto=http\n"},
        {"HTTP/1.0 without a Host",
         {.peer = "127.0.0.1", .forwarded = FORWARDED_REPLACE},
         "Forwarded: for=127.0.0.1;proto=http\n"},
        {"append to nothing",
         {V4, .forwarded = FORWARDED_APPEND},
         "Forwarded: for=127.0.0.1;host=\"localhost:8080\";proto=http\n"},
        {"append, in one field and in order",
         {UNIX, .forwarded = FORWARDED_APPEND,
          .fields = {{"forwarded", "for=a, for=b"},
                     {"A", "1"},
                     {"Forwarded", ""},
                     {"FORWARDED", "for=c"}}},
         "A: 1\nForwarded: for=a, for=b, for=c, for=_unix;host=localhost;proto=http\n"},
        {"append, but not behind an open quote",
         {UNIX, .forwarded = FORWARDED_APPEND,
          .fields = {{"Forwarded", "for=\"x"},
                     {"Forwarded", "for=\"\\\""},
                     {"Forwarded", "for=\"a,b\""}}},
         "Forwarded: for=\"a,b\", for=_unix;host=localhost;proto=http\n"},
        {"append takes no look-alike",
         {UNIX, .forwarded = FORWARDED_APPEND,
          .fields = {{"Forwarde_", "1"}, {"X-Forwarded-For", "1"}}},
         "Forwarde_: 1\nForwarded: for=_unix;host=localhost;proto=http\n"},
        {"the configuration's own",
         {V4, .forwarded = FORWARDED_REPLACE, .set = {{name_forwarded, fixed}}},
         "Forwarded: fixed\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

static void test_x_forwarded(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"replace",
         {V4, .x_forwarded = FORWARDED_REPLACE,
          .fields = {{"X-Forwarded-For", "6.6.6.6"},
                     {"X_Forwarded_Proto", "https"},
                     {"X-Forwarded-Prefix", "/x"},
                     {"X-Real-IP", "6.6.6.6"}}},
         "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost:8080\nX-Forwarded-Proto: http\n"},
        {"IPv6 as it is",
         {V6, .x_forwarded = FORWARDED_REPLACE},
         "X-Forwarded-For: 2001:db8::7\nX-Forwarded-Host: [::1]:8080\nX-Forwarded-Proto: http\n"},
        {"a unix socket",
         {UNIX, .x_forwarded = FORWARDED_REPLACE},
         "X-Forwarded-For: unknown\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n"},
        {"append",
         {V4, .x_forwarded = FORWARDED_APPEND,
          .fields = {{"x-forwarded-for", "10.0.0.1, 10.0.0.2"},
                     {"X-Forwarded-For", "10.0.0.3"},
                     {"X-Forwarded-Proto", "https"},
                     {"X-Forwarded-Port", "444"},
                     {"X_Forwarded_Host", "evil"}}},
         "X-Forwarded-Proto: https\nX-Forwarded-Port: 444\n"
         "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1\n"
         "X-Forwarded-Host: localhost:8080\n"},
        {"append, what Connection names is gone all the same",
         {V4, .x_forwarded = FORWARDED_APPEND,
          .fields = {{"Connection", "X-Forwarded-Port"}, {"X-Forwarded-Port", "444"}}},
         "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: localhost:8080\nX-Forwarded-Proto: http\n"},
        {"the configuration's own",
         {V4, .x_forwarded = FORWARDED_REPLACE, .set = {{name_for, fixed}}},
         "X-Forwarded-Host: localhost:8080\nX-Forwarded-Proto: http\nX-Forwarded-For: fixed\n"},
        {"both",
         {UNIX, .forwarded = FORWARDED_REPLACE, .x_forwarded = FORWARDED_REPLACE},
         "Forwarded: for=_unix;host=localhost;proto=http\n"
         "X-Forwarded-For: unknown\nX-Forwarded-Host: localhost\nX-Forwarded-Proto: http\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

static void test_names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"TC-1 all passes as it came",
         {.fields = {{"traceparent", "nonsense"},
                     {"TraceState", "a=1"},
                     {"tracestate", "b=2,c=3"},
                     {"X-Request-Id", "r 1"},
                     {"X-Request-Id", "r2"}}},
         "traceparent: nonsense\nTraceState: a=1\ntracestate: b=2,c=3\nX-Request-Id: r 1\n"
         "X-Request-Id: r2\n"},
        {"an id of ours",
         {.request_id = "ours",
          .fields = {{"x-request-id", "a b"}, {"X_Request_Id", "c"}, {"X-Request-Ids", "d"}}},
         "X-Request-Ids: d\nX-Request-Id: ours\n"},
        {"a trace of ours",
         {.traceparent = "ours",
          .drops_tracestate = true,
          .fields = {{"Traceparent", "x"}, {"tracestate", "a=1"}, {"tracestates", "b"}}},
         "tracestates: b\ntraceparent: ours\n"},
        {"a trace of a later version",
         {.traceparent = "ours", .fields = {{"traceparent", "x"}, {"tracestate", "a=1"}}},
         "tracestate: a=1\ntraceparent: ours\n"},
        {"a state with too many members",
         {.drops_tracestate = true, .fields = {{"traceparent", "x"}, {"tracestate", "a=1"}}},
         "traceparent: x\n"},
        {"the configuration's own",
         {.request_id = "ours",
          .traceparent = "ours",
          .set = {{name_id, fixed}, {name_trace, fixed}}},
         "X-Request-Id: fixed\ntraceparent: fixed\n"},
        {"a field that bears a token",
         {.request_id = "ours", .traceparent = "ours", .token_field = "X-Request-Id"},
         "traceparent: ours\nX-Request-Id: token\n"},
    };
    expect_rows(rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_x_forwarded),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
