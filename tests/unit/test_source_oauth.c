// SPDX-License-Identifier: MIT
// The client-credentials source as a whole, over real sockets: secret, request, answer, failure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "../support/raw_server.h"
#include "base/log.h"
#include "http/fetch.h"
#include "http/multi.h"
#include "token/client.h"
#include "token/source.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static struct loop *loop;
static struct fetcher *fetcher;
static struct source_context context;
static char url_text[128], authority[64];
static struct config_credential credential;
static struct config_slot slot;

struct outcome {
    unsigned calls;
    char value[64], scope[64], text[512], error[64];
    enum token_failure_kind kind;
    int status;
    uint64_t lifetime_ms, retry_after_ms, sent_ms;
};

static void on_result(void *arg, const struct source_result *result)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->lifetime_ms = result->lifetime_ms;
    outcome->retry_after_ms = result->retry_after_ms;
    outcome->sent_ms = result->sent_ms;
    snprintf(outcome->value, sizeof outcome->value, "%.*s", STR_ARG(result->value));
    if (result->granted_scope)
        snprintf(outcome->scope, sizeof outcome->scope, "%s", result->granted_scope);
    if (!result->failure)
        return;
    outcome->kind = result->failure->kind;
    outcome->status = result->failure->status;
    snprintf(outcome->text, sizeof outcome->text, "%s", result->failure->text);
    snprintf(outcome->error, sizeof outcome->error, "%s", result->failure->error);
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    loop = loop_new(&err);
    fetcher = fetcher_new(loop, &err);
    context = (struct source_context){
        .loop = loop, .fetcher = fetcher, .clients = clients_new(loop, fetcher)};
    credential = (struct config_credential){.name = TEXT("main"),
                                            .client_id = TEXT("client one"),
                                            .client_secret = secret_new("the+secret", &err),
                                            .auth_method = AUTH_CLIENT_SECRET_BASIC,
                                            .connect_timeout_ms = 2000,
                                            .timeout_ms = 2000};
    slot = (struct config_slot){.credential = &credential, .scope = TEXT("a b")};
    return credential.client_secret ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    secret_free(credential.client_secret);
    clients_free(context.clients);
    fetcher_free(fetcher);
    loop_free(loop);
    return 0;
}

static void point_to(unsigned port)
{
    snprintf(authority, sizeof authority, "127.0.0.1:%u", port);
    snprintf(url_text, sizeof url_text, "http://%s/token?tenant=hidden", authority);
    credential.token_url = (struct config_url){.authority = authority,
                                               .path = TEXT("/token"),
                                               .query = TEXT("tenant=hidden"),
                                               .text = url_text};
}

static void fetch(struct source *source, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    source->ops->fetch(source, on_result, outcome);
    assert_int_equal(outcome->calls, 0); // never from inside fetch
    for (int i = 0; i < 500 && !outcome->calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
    assert_null(strstr(outcome->text, "the+secret"));
    assert_null(strstr(outcome->text, "hidden"));
}

#define GOOD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"                                    \
    "{\"access_token\":\"tok\",\"token_type\":\"bearer\",\"expires_in\":60,\"scope\":\"a\"}"

static void test_success(void **state) // OA-1 OA-2 OA-3 OA-4 OA-18
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(GOOD), RAW_CLOSE);
    point_to(server.port);
    struct source *source = source_oauth_new(&context, &slot);
    uint64_t before_ms = clock_boottime_us() / 1000;
    fetch(source, &outcome);
    source->ops->free(source);
    raw_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_string_equal(outcome.scope, "a");
    assert_string_equal(outcome.text, "");
    assert_int_equal(outcome.lifetime_ms, 60000);
    assert_in_range(outcome.sent_ms, before_ms, clock_boottime_us() / 1000);
    assert_memory_equal(server.request, "POST /token?tenant=hidden HTTP/1.1\r\n", 36);
    assert_non_null(strstr(server.request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nUser-Agent: bearerd/"));
    // base64 of client+one:the%2Bsecret
    assert_non_null(
        strstr(server.request, "\r\nAuthorization: Basic Y2xpZW50K29uZTp0aGUlMkJzZWNyZXQ=\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\ngrant_type=client_credentials&scope=a+b"));
    assert_null(strstr(server.request, "client_id"));
    assert_null(strstr(server.request, "client_secret"));
}

static void test_post_method(void **state) // OA-4 T14
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(GOOD), RAW_CLOSE);
    point_to(server.port);
    credential.auth_method = AUTH_CLIENT_SECRET_POST;
    struct source *source = source_oauth_new(&context, &slot);
    fetch(source, &outcome);
    source->ops->free(source);
    raw_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_null(strcasestr(server.request, "Authorization"));
    assert_non_null(strstr(server.request, "&client_id=client+one&client_secret=the%2Bsecret"));
}

struct failure_row {
    const char *name;
    struct str answer;
    enum raw_end end;
    enum token_failure_kind kind;
    int status;
    const char *error, *text;
    uint64_t retry_after_ms;
};

static const struct failure_row failure_rows[] = {
    {"T12",
     STR("HTTP/1.1 401 No\r\nContent-Type: application/json\r\n\r\n"
         "{\"error\":\"invalid_client\",\"error_description\":\"who are you\"}"),
     RAW_CLOSE, FAILURE_REFUSED, 401, "invalid_client",
     "invalid_client: who are you (HTTP 401 from http://127.0.0.1:", 0},
    {"T12 echo",
     STR("HTTP/1.1 401 No\r\nContent-Type: application/json\r\n\r\n"
         "{\"error\":\"invalid_client\",\"error_description\":\"not the+secret\"}"),
     RAW_CLOSE, FAILURE_REFUSED, 401, "invalid_client", "withheld", 0},
    {"T12 echo of the header",
     STR("HTTP/1.1 401 No\r\nContent-Type: application/json\r\n\r\n"
         "{\"error\":\"invalid_client\",\"error_description\":\"Basic "
         "Y2xpZW50K29uZTp0aGUlMkJzZWNyZXQ=\"}"),
     RAW_CLOSE, FAILURE_REFUSED, 401, "invalid_client", "withheld", 0},
    {"OA-15", STR("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"), RAW_CLOSE,
     FAILURE_TRANSIENT, 429, "", "HTTP 429", 7000},
    {"T05", STR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"), RAW_CLOSE,
     FAILURE_MALFORMED, 200, "", "text/html", 0},
    {"cut off", STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), RAW_CLOSE,
     FAILURE_MALFORMED, 0, "", "token request to http://127.0.0.1:", 0},
    {"T-14 endless", STR("HTTP/1.1 200 OK\r\n\r\n{{{{{{{{{{{{{{{{"), RAW_FLOOD, FAILURE_MALFORMED,
     0, "", "too large", 0},
    {"silent", STR(""), RAW_HOLD, FAILURE_TIMEOUT, 0, "", "no complete answer within 300 ms", 0},
};

static void test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failure_rows); i++) {
        const struct failure_row *row = &failure_rows[i];
        struct raw_server server;
        struct outcome outcome;
        raw_start(&server, row->answer, row->end);
        point_to(server.port);
        credential.timeout_ms = row->kind == FAILURE_TIMEOUT ? 300 : 5000;
        struct source *source = source_oauth_new(&context, &slot);
        fetch(source, &outcome);
        source->ops->free(source);
        raw_stop(&server);
        if (outcome.value[0] || outcome.kind != row->kind || outcome.status != row->status ||
            strcmp(outcome.error, row->error) != 0 || !strstr(outcome.text, row->text) ||
            outcome.retry_after_ms != row->retry_after_ms)
            fail_msg("%s: kind %d, status %d, error %s, %llu ms, %s", row->name, (int)outcome.kind,
                     outcome.status, outcome.error, (unsigned long long)outcome.retry_after_ms,
                     outcome.text);
    }
}

static void test_refused_connection(void **state) // T12
{
    (void)state;
    struct outcome outcome;
    char expected[200];
    int fd = raw_bind();
    point_to(raw_port_of(fd));
    struct source *source = source_oauth_new(&context, &slot);
    fetch(source, &outcome);
    source->ops->free(source);
    snprintf(expected, sizeof expected,
             "token request to http://%s/token failed: connect to %s: Connection refused",
             authority, authority);
    close(fd);
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    assert_string_equal(outcome.text, expected);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_secret_file_comes_and_changes(void **state) // T34 T17
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    struct err err;
    char dir[] = "/tmp/test_source.XXXXXX", path[64], reference[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/secret", dir);
    snprintf(reference, sizeof reference, "file:%s", path);
    umask(0077);
    secret_free(credential.client_secret);
    credential.client_secret = secret_new(reference, &err);
    credential.auth_method = AUTH_CLIENT_SECRET_POST;
    assert_non_null(credential.client_secret);
    raw_start(&server, STR(GOOD), RAW_CLOSE);
    point_to(server.port);
    struct source *source = source_oauth_new(&context, &slot);
    fetch(source, &outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text,
                        "cannot read the client secret of credential 'main' (see the log)");
    write_file(path, "first\n");
    fetch(source, &outcome);
    assert_string_equal(outcome.value, "tok");
    assert_false(source->ops->has_changed(source));
    write_file(path, "second\n");
    assert_true(source->ops->has_changed(source));
    fetch(source, &outcome);
    assert_false(source->ops->has_changed(source));
    unlink(path);
    assert_false(source->ops->has_changed(source)); // gone for a moment is no change
    source->ops->free(source);
    raw_stop(&server);
    rmdir(dir);
    assert_non_null(strstr(server.request, "&client_secret=second"));
    assert_int_equal(server.connections, 2); // without a secret, nobody is asked
}

static void test_unusable_tls_file(void **state) // T29
{
    (void)state;
    struct outcome outcome;
    point_to(1);
    credential.tls.ca_file = TEXT("/nonexistent/ca.crt");
    struct source *source = source_oauth_new(&context, &slot);
    fetch(source, &outcome);
    source->ops->free(source);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_null(strstr(outcome.text, "nonexistent")); // that is for the log
}

static void test_cancel(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    raw_start(&server, STR(GOOD), RAW_CLOSE);
    point_to(server.port);
    struct source *source = source_oauth_new(&context, &slot);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    source->ops->cancel(source);
    credential.tls.ca_file = TEXT("/nonexistent/ca.crt"); // an answer of our own is cancelled, too
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 5);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->free(source);
    loop_turn(loop, 0);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 0);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_success),
        WITH_LOOP(test_post_method),
        WITH_LOOP(test_failures),
        WITH_LOOP(test_refused_connection),
        WITH_LOOP(test_secret_file_comes_and_changes),
        WITH_LOOP(test_unusable_tls_file),
        WITH_LOOP(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
