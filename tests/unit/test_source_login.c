// SPDX-License-Identifier: MIT
// Logins: what is posted, what may come back, and whose token authorises them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>

#include "../support/script_server.h"
#include "../support/source_rig.h"
#include "token/document.h"
#include "token/pointer.h"
#include "token/quote.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

static int set_up(void **state)
{
    int failed = rig_set_up(state);
    credential.login = (struct config_login){
        .body = TEXT("{\"user\":\"u\"}"), .token = TEXT("/sessionToken"), .ttl_ms = 1200000};
    return failed;
}

// One answer to one login.
static void log_in(struct str answer, struct outcome *outcome, char request[4096])
{
    struct raw_server server;
    raw_start(&server, answer, RAW_CLOSE);
    rig_point_to(server.port);
    struct source *source = source_login_new(&context, &slot);
    rig_fetch(source, outcome);
    source->ops->free(source);
    raw_stop(&server);
    if (request)
        snprintf(request, 4096, "%s", server.request);
}

static void test_json(void **state)
{
    (void)state;
    struct outcome outcome;
    char request[4096], body[300];
    rig_write("password", "p\"w\\\x01%{env:HOME}\xc3\xa9\n", 0600);
    setenv("TEST_USER", "us\"er", 1);
    snprintf(body, sizeof body,
             "{\"username\":\"%%{env:TEST_USER}\",\"password\":\"%%{file:%s}!\"}",
             rig_path("password"));
    credential.login.body = body;
    struct config_header more[] = {{TEXT("X-Tenant"), TEXT("t1")}};
    credential.request_header = (struct config_headers){more, 1};
    log_in(STR(OK "{\"sessionToken\":\"s{e\\\"ss}\"}"), &outcome, request);
    assert_string_equal(outcome.text, "");
    assert_string_equal(outcome.value, "s{e\"ss}"); // no b64token, and need not be
    assert_int_equal(outcome.lifetime_ms, 1200000);
    assert_memory_equal(request, "POST /token?tenant=hidden HTTP/1.1\r\n", 36);
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nUser-Agent: bearerd/"));
    assert_non_null(strstr(request, "\r\nX-Tenant: t1\r\n"));
    assert_null(strcasestr(request, "Authorization"));
    // What a secret holds is data: a reference in it is not looked up.
    assert_non_null(strstr(request, "\r\n\r\n{\"username\":\"us\\\"er\",\"password\":"
                                    "\"p\\\"w\\\\\\u0001%{env:HOME}\xc3\xa9!\"}"));
}

static void test_form(void **state)
{
    (void)state;
    struct outcome outcome;
    char request[4096];
    setenv("TEST_PASSWORD", "a&b=c d%+\xff", 1);
    credential.login.is_form = true;
    credential.login.body = TEXT("user=u%20x&password=%{env:TEST_PASSWORD}");
    credential.login.token = TEXT("/data/0/t~1o~0ken");
    credential.login.lifetime = TEXT("/data/1");
    log_in(STR("HTTP/1.1 201 Created\r\n\r\n{\"data\":[{\"t/o~ken\":\"tok\"},\"90\"]}"), &outcome,
           request);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(outcome.lifetime_ms, 90000);
    assert_non_null(strstr(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(request, "\r\n\r\nuser=u%20x&password=a%26b%3Dc+d%25%2B%FF"));
}

static void test_lifetimes(void **state) // T03
{
    (void)state;
    static const struct {
        const char *member;
        uint64_t lifetime_ms;
    } rows[] = {
        {"90", 90000},          {"\"90\"", 90000},
        {"1.5", 1500},          {"0", 1200000},
        {"-1", 1200000},        {"\"soon\"", 1200000},
        {"null", 1200000},      {"1e309", 0},
        {"1e300", 2592000000u}, {"99999999999999999999", 2592000000u},
        {"[90]", 1200000},
    };
    credential.login.lifetime = TEXT("/n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome;
        char answer[200];
        snprintf(answer, sizeof answer, OK "{\"sessionToken\":\"t\",\"n\":%s}", rows[i].member);
        log_in(str_of(answer), &outcome, NULL);
        if (outcome.lifetime_ms != rows[i].lifetime_ms)
            fail_msg("%s: %llu ms", rows[i].member, (unsigned long long)outcome.lifetime_ms);
    }
}

struct failure_row {
    const char *name;
    struct str answer;
    enum token_failure_kind kind;
    int status;
    const char *text;
    uint64_t retry_after_ms;
};

static const struct failure_row failure_rows[] = {
    {"T12", STR("HTTP/1.1 401 No\r\n\r\n{\"errorCode\":\"E1\",\"errorMessage\":\"bad user\"}"),
     FAILURE_REFUSED, 401,
     "the login failed: the server refused it: bad user (HTTP 401 from http:", 0},
    {"T12 echo", STR("HTTP/1.1 403 No\r\n\r\n{\"message\":\"not the+secret, no\"}"),
     FAILURE_REFUSED, 403, "(withheld: it repeats a secret)", 0},
    {"400", STR("HTTP/1.1 400 No\r\n\r\n<html>"), FAILURE_REFUSED, 400, "the server refused it (",
     0},
    {"a page to log in again", STR("HTTP/1.1 302 No\r\nLocation: /login\r\n\r\n"), FAILURE_REFUSED,
     302, "redirects are never followed", 0},
    {"a 200 that says no", STR(OK "{\"error\":\"locked\"}"), FAILURE_REFUSED, 200,
     "no token where login_token points: locked", 0},
    {"a token that is a number", STR(OK "{\"sessionToken\":5}"), FAILURE_REFUSED, 200, "no token",
     0},
    {"an empty token", STR(OK "{\"sessionToken\":\"\"}"), FAILURE_REFUSED, 200, "no token", 0},
    {"503", STR("HTTP/1.1 503 No\r\nRetry-After: 9\r\n\r\n"), FAILURE_TRANSIENT, 503,
     "cannot do it now", 9000},
    {"429", STR("HTTP/1.1 429 No\r\n\r\n"), FAILURE_TRANSIENT, 429, "cannot do it now", 0},
    {"204", STR("HTTP/1.1 204 No\r\n\r\n"), FAILURE_MALFORMED, 204, "should be 200 or 201", 0},
    {"202", STR("HTTP/1.1 202 No\r\n\r\n{\"sessionToken\":\"t\"}"), FAILURE_MALFORMED, 202,
     "should be 200 or 201", 0},
    {"T05 HTML", STR("HTTP/1.1 200 OK\r\n\r\n<html>"), FAILURE_MALFORMED, 200, "not valid JSON", 0},
    {"T-14 header injection", STR(OK "{\"sessionToken\":\"a\\r\\nX: y\"}"), FAILURE_MALFORMED, 200,
     "bytes that a header field", 0},
    {"T-14 blank", STR(OK "{\"sessionToken\":\"a b\"}"), FAILURE_MALFORMED, 200,
     "bytes that a header field", 0},
    {"T-14 UTF-8", STR(OK "{\"sessionToken\":\"\xc3\xa9\"}"), FAILURE_MALFORMED, 200,
     "bytes that a header field", 0},
    {"T-14 twice", STR(OK "{\"sessionToken\":\"a\",\"sessionToken\":\"b\"}"), FAILURE_MALFORMED,
     200, "not valid JSON", 0},
    {"cut off", STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), FAILURE_MALFORMED, 0,
     "the login at http://127.0.0.1:", 0},
};

static void test_failures(void **state) // T05 T12 T-14
{
    (void)state;
    setenv("TEST_PASSWORD", "the+secret", 1);
    credential.login.body = TEXT("{\"user\":\"u\",\"password\":\"%{env:TEST_PASSWORD}\"}");
    for (size_t i = 0; i < ARRAY_LEN(failure_rows); i++) {
        const struct failure_row *row = &failure_rows[i];
        struct outcome outcome;
        log_in(row->answer, &outcome, NULL);
        if (!outcome.is_failure || outcome.kind != row->kind || outcome.status != row->status ||
            !strstr(outcome.text, row->text) || outcome.retry_after_ms != row->retry_after_ms ||
            strstr(outcome.text, "the+secret"))
            fail_msg("%s: kind %d, status %d, %llu ms, %s", row->name, (int)outcome.kind,
                     outcome.status, (unsigned long long)outcome.retry_after_ms, outcome.text);
    }
}

static void test_secret_comes_and_changes(void **state) // T34 T17
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    char body[200];
    raw_start(&server, STR(OK "{\"sessionToken\":\"t\"}"), RAW_CLOSE);
    rig_point_to(server.port);
    snprintf(body, sizeof body, "{\"p\":\"%%{file:%s}\"}", rig_path("password"));
    credential.login.body = body;
    struct source *source = source_login_new(&context, &slot);
    rig_fetch(source, &outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text,
                        "cannot make the login_body of credential 'main' (see the log)");
    assert_false(source->ops->has_changed(source));
    rig_write("password", "\xff\n", 0600); // JSON cannot hold it
    rig_fetch(source, &outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    rig_write("password", "first\n", 0600);
    rig_fetch(source, &outcome);
    assert_string_equal(outcome.value, "t");
    assert_false(source->ops->has_changed(source));
    rig_write("password", "second\n", 0600);
    assert_true(source->ops->has_changed(source));
    rig_fetch(source, &outcome);
    assert_false(source->ops->has_changed(source));
    unlink(rig_path("password"));
    assert_false(source->ops->has_changed(source)); // gone for a moment is no change
    source->ops->free(source);
    raw_stop(&server);
    assert_non_null(strstr(server.request, "{\"p\":\"second\"}"));
    assert_int_equal(server.connections, 2); // without a secret, nobody is asked
}

// -- the authoriser ----------------------------------------------------------------------------

static struct config_credential other = {.name = TEXT("other")};
static const struct config_slot authoriser = {.credential = &other};

static struct asked {
    unsigned count;
    uint64_t newer_than;
    token_done_fn *on_done;
    void *arg;
} asked;

static void get_token(void *arg, const struct config_slot *of, uint64_t newer_than,
                      token_done_fn *on_done, void *done_arg)
{
    assert_ptr_equal(of, &authoriser);
    struct asked *to = arg;
    to->count++;
    to->newer_than = newer_than;
    to->on_done = on_done;
    to->arg = done_arg;
}

static void use_authoriser(void)
{
    asked = (struct asked){0};
    context.get_token = get_token;
    context.arg = &asked;
    slot.authoriser = &authoriser;
}

static void test_authorised(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    raw_start(&server, STR("HTTP/1.1 401 No\r\n\r\n{\"message\":\"token other-token expired\"}"),
              RAW_CLOSE);
    rig_point_to(server.port);
    use_authoriser();
    struct source *source = source_login_new(&context, &slot);
    source->ops->fetch(source, on_result, &outcome);
    loop_turn(loop, 5);
    assert_int_equal(asked.count, 1);
    assert_int_equal(server.connections, 0);
    struct token *token = token_new(STR("other-token"), "Authorization", "Bearer");
    asked.on_done(asked.arg, token, NULL);
    token_unref(token);
    for (int i = 0; i < 500 && !outcome.calls; i++)
        loop_turn(loop, 10);
    source->ops->free(source);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 1);
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer other-token\r\n"));
    assert_non_null(strstr(outcome.text, "(withheld: it repeats a secret)"));
}

static void test_authoriser_fails(void **state)
{
    (void)state;
    static const struct {
        enum token_failure_kind told, kind;
    } rows[] = {
        {FAILURE_UNREACHABLE, FAILURE_UNREACHABLE},
        {FAILURE_MALFORMED, FAILURE_MALFORMED},
        {FAILURE_LOCAL, FAILURE_LOCAL},
        {FAILURE_REFUSED, FAILURE_TRANSIENT}, // the login itself was not
    };
    use_authoriser();
    rig_point_to(1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome = {0};
        struct source *source = source_login_new(&context, &slot);
        source->ops->fetch(source, on_result, &outcome);
        struct token_failure *failure = token_failure_new(rows[i].told, "because");
        asked.on_done(asked.arg, NULL, failure);
        token_failure_unref(failure);
        source->ops->free(source);
        assert_int_equal(outcome.calls, 1);
        assert_int_equal(outcome.kind, rows[i].kind);
        assert_string_equal(outcome.text, "the login needs a token of credential 'other': because");
    }
}

static void tell_authoriser(const char *value, uint64_t generation, uint64_t age_ms)
{
    struct token *token = token_new(str_of(value), "Authorization", "Bearer");
    token->generation = generation;
    token->sent_ms = loop_now_ms(loop) - age_ms;
    asked.on_done(asked.arg, token, NULL);
    token_unref(token);
}

static const char *challenge; // fields of the 401 that logins with bearer-1 and bearer-2 get

static void refuse_bearers(struct script_server *server, unsigned number, const char *request)
{
    (void)number;
    bool is_good = strstr(request, "Bearer bearer-3") != NULL;
    script_answer(server, is_good ? 200 : 401, is_good ? "" : challenge, "{\"%s\":\"s\"}",
                  is_good ? "sessionToken" : "message");
}

static struct script_server logins;

// One fetch, in which the authoriser is asked `asks` times: it has bearer-FIRST, asked for age_ms
// ago, and gives bearer-NEXT when it is told that this was refused. How many logins were made.
static unsigned log_in_bearing(struct source *source, unsigned first, unsigned next,
                               uint64_t age_ms, unsigned asks, struct outcome *outcome)
{
    char value[32];
    unsigned before = script_count(&logins);
    *outcome = (struct outcome){0};
    asked.count = 0;
    source->ops->fetch(source, on_result, outcome);
    assert_int_equal(asked.newer_than, 0);
    snprintf(value, sizeof value, "bearer-%u", first);
    tell_authoriser(value, first, age_ms);
    for (int i = 0; i < 500 && !outcome->calls; i++) {
        if (asked.count == 2) {
            assert_int_equal(asked.newer_than, first);
            asked.count++;
            snprintf(value, sizeof value, "bearer-%u", next);
            tell_authoriser(value, next, 0);
        }
        loop_turn(loop, 10);
    }
    assert_int_equal(outcome->calls, 1);
    assert_int_equal(asked.count, asks == 2 ? 3 : 1);
    return script_count(&logins) - before;
}

static void test_bearer_may_be_refused(void **state)
{
    (void)state;
    struct outcome outcome;
    script_start(&logins, refuse_bearers);
    rig_point_to(logins.raw.port);
    use_authoriser();
    struct source *source = source_login_new(&context, &slot);
    // A token that was just got is not what a mere 401 is about.
    challenge = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    assert_int_equal(log_in_bearing(source, 1, 2, 9000, 1, &outcome), 1);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    // An older one may be: asked for anew once, and if there is no newer one, that is all.
    challenge = "WWW-Authenticate: Basic realm=\"x\"\r\nRetry-After: 1800\r\n";
    assert_int_equal(log_in_bearing(source, 1, 1, 11000, 2, &outcome), 1);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    assert_int_equal(outcome.retry_after_ms, 1800000);
    assert_int_equal(log_in_bearing(source, 1, 2, 11000, 2, &outcome), 2);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    assert_int_equal(outcome.status, 401);
    // A login was repeated with bearer-2 already: never again for that one, whatever is said.
    challenge = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"
                "WWW-Authenticate: Basic\r\n";
    assert_int_equal(log_in_bearing(source, 2, 3, 11000, 1, &outcome), 1);
    // Where the answer says so, also for one that was just got.
    assert_int_equal(log_in_bearing(source, 3, 3, 0, 1, &outcome), 1);
    assert_string_equal(outcome.value, "s");
    source->ops->free(source);
    source = source_login_new(&context, &slot);
    assert_int_equal(log_in_bearing(source, 2, 3, 0, 2, &outcome), 2);
    assert_string_equal(outcome.value, "s");
    source->ops->free(source);
    script_stop(&logins);
}

static void test_no_newer_bearer_to_be_had(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    challenge = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
    script_start(&logins, refuse_bearers);
    rig_point_to(logins.raw.port);
    use_authoriser();
    struct source *source = source_login_new(&context, &slot);
    struct token_failure *failure = token_failure_new(FAILURE_UNREACHABLE, "because");
    for (unsigned i = 0; i < 2; i++) { // it fails; nobody wants to know
        asked.count = 0;
        source->ops->fetch(source, on_result, &outcome);
        tell_authoriser("bearer-1", 1, 0);
        for (int turns = 0; turns < 500 && asked.count < 2; turns++)
            loop_turn(loop, 10);
        if (i == 1)
            source->ops->cancel(source);
        asked.on_done(asked.arg, NULL, failure);
    }
    token_failure_unref(failure);
    source->ops->free(source);
    script_stop(&logins);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    assert_int_equal(script_count(&logins), 2);
}

static void test_no_login_that_nobody_wants(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    raw_start(&server, STR(OK "{\"sessionToken\":\"t\"}"), RAW_CLOSE);
    rig_point_to(server.port);
    use_authoriser();
    struct source *source = source_login_new(&context, &slot);
    struct token *token = token_new(STR("t"), "Authorization", "Bearer");
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    asked.on_done(asked.arg, token, NULL); // it cannot be cancelled, so it comes late
    for (int i = 0; i < 20; i++)
        loop_turn(loop, 5);
    source->ops->free(source);
    token_unref(token);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(server.connections, 0);
}

static void test_cancel(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    raw_start(&server, STR(OK "{\"sessionToken\":\"t\"}"), RAW_CLOSE);
    rig_point_to(server.port);
    struct source *source = source_login_new(&context, &slot);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    source->ops->cancel(source);
    credential.login.body = TEXT("%{file:/nonexistent}"); // an answer of our own, too
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    credential.login.body = TEXT("{}");
    // An authoriser cannot be cancelled: its late answer goes to the next fetch, or to nobody.
    use_authoriser();
    struct token *token = token_new(STR("t"), "Authorization", "Bearer");
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    asked.on_done(asked.arg, token, NULL);
    loop_turn(loop, 5);
    assert_int_equal(outcome.calls, 0);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    source->ops->fetch(source, on_result, &outcome);
    assert_int_equal(asked.count, 2);
    asked.on_done(asked.arg, token, NULL);
    token_unref(token);
    for (int i = 0; i < 500 && !outcome.calls; i++)
        loop_turn(loop, 10);
    assert_string_equal(outcome.value, "t");
    source->ops->fetch(source, on_result, &outcome);
    source->ops->free(source);
    loop_turn(loop, 5);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 1);
}

// -- pointers and strings ----------------------------------------------------------------------

static void test_pointers(void **state) // RFC 6901 5, and what is none
{
    (void)state;
    static const char document[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":\"0\",\"a/b\":\"1\",\"c%d\":\"2\",\"e^f\":\"3\","
        "\"g|h\":\"4\",\"i\\\\j\":\"5\",\"k\\\"l\":\"6\",\" \":\"7\",\"m~n\":\"8\",\"~1\":\"9\","
        "\"o\":{\"p\":{\"q\":\"deep\"}},\"01\":\"10\"}";
    static const struct {
        const char *pointer, *value;
    } rows[] = {
        {"/foo/0", "bar"},  {"/foo/1", "baz"},
        {"/", "0"},         {"/a~1b", "1"},
        {"/c%d", "2"},      {"/e^f", "3"},
        {"/g|h", "4"},      {"/i\\j", "5"},
        {"/k\"l", "6"},     {"/ ", "7"},
        {"/m~0n", "8"},     {"/~01", "9"},
        {"/o/p/q", "deep"}, {"/01", "10"},
        {"/foo/2", NULL},   {"/foo/-", NULL},
        {"/foo/01", NULL},  {"/foo/00", NULL},
        {"/foo/+1", NULL},  {"/foo/", NULL},
        {"/foo/0/x", NULL}, {"/none", NULL},
        {"/a/b", NULL},     {"/m~n", NULL},
        {"/m~", NULL},      {"foo", NULL},
        {"/o/p/q/", NULL},  {"/foo/99999999999999999999", NULL},
    };
    json_t *root = document_parse_own(STR(document));
    assert_non_null(root);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *value = json_string_value(pointer_get(root, rows[i].pointer));
        if ((value == NULL) != (rows[i].value == NULL) ||
            (value && strcmp(value, rows[i].value) != 0))
            fail_msg("%s: %s", rows[i].pointer, value ? value : "nothing");
    }
    assert_ptr_equal(pointer_get(root, ""), root);
    json_decref(root);
}

static void test_quotes(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *quoted; // NULL: refused
    } rows[] = {
        {STR(""), ""},
        {STR("plain / text"), "plain / text"},
        {STR("\"\\\b\n\x1f\x7f"), "\\\"\\\\\\u0008\\u000a\\u001f\x7f"},
        {STR("a\0b"), "a\\u0000b"},
        {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91"},
        {STR("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf"},
        {STR("\x80"), NULL},
        {STR("\xc3"), NULL},
        {STR("\xc3("), NULL},
        {STR("\xc0\xaf"), NULL},
        {STR("\xe0\x80\xaf"), NULL},
        {STR("\xf0\x80\x80\xaf"), NULL},
        {STR("\xed\xa0\x80"), NULL},
        {STR("\xf4\x90\x80\x80"), NULL},
        {STR("\xf8\x88\x80\x80\x80"), NULL},
        {STR("\xff"), NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 100);
        bool ok = quote_json(rows[i].text, &out);
        assert_int_equal(ok, rows[i].quoted != NULL);
        if (ok)
            assert_true(str_eq(buf_str(&out), str_of(rows[i].quoted)));
        buf_fini(&out);
    }
    struct buf tight;
    buf_init(&tight, 6);
    assert_false(quote_json(STR("\x01x"), &tight));
    assert_false(quote_json_string(STR("abcde"), &tight));
    buf_fini(&tight);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_json),
        WITH_RIG(test_form),
        WITH_RIG(test_lifetimes),
        WITH_RIG(test_failures),
        WITH_RIG(test_secret_comes_and_changes),
        WITH_RIG(test_authorised),
        WITH_RIG(test_authoriser_fails),
        WITH_RIG(test_bearer_may_be_refused),
        WITH_RIG(test_no_newer_bearer_to_be_had),
        WITH_RIG(test_no_login_that_nobody_wants),
        WITH_RIG(test_cancel),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
