// SPDX-License-Identifier: MIT
// From an issuer to its token endpoint: what metadata are believed, and when they are asked for.
// Names begin with the requirement they show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/log_capture.h"
#include "../support/script_server.h"
#include "base/log.h"
#include "http/fetch.h"
#include "http/multi.h"
#include "token/discovery.h"
#include "token/metadata.h"
#include "token/pace.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

// -- where -------------------------------------------------------------------------------------

static void test_urls(void **state) // MD-1
{
    (void)state;
    static const struct {
        const char *issuer, *oauth, *openid;
    } rows[] = {
        {"https://a.example", "https://a.example/.well-known/oauth-authorization-server",
         "https://a.example/.well-known/openid-configuration"},
        {"https://a.example/", "https://a.example/.well-known/oauth-authorization-server",
         "https://a.example/.well-known/openid-configuration"},
        {"https://a.example:8443/t/1",
         "https://a.example:8443/.well-known/oauth-authorization-server/t/1",
         "https://a.example:8443/t/1/.well-known/openid-configuration"},
        {"https://a.example/t/", "https://a.example/.well-known/oauth-authorization-server/t",
         "https://a.example/t/.well-known/openid-configuration"},
        {"https://[::1]:1/t", "https://[::1]:1/.well-known/oauth-authorization-server/t",
         "https://[::1]:1/t/.well-known/openid-configuration"},
        {"a.example", NULL, NULL},
        {"urn:a", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *oauth = metadata_url(rows[i].issuer, METADATA_OAUTH);
        char *openid = metadata_url(rows[i].issuer, METADATA_OPENID);
        if ((oauth == NULL) != (rows[i].oauth == NULL) ||
            (oauth && (strcmp(oauth, rows[i].oauth) != 0 || strcmp(openid, rows[i].openid) != 0)))
            fail_msg("%s: %s %s", rows[i].issuer, oauth ? oauth : "none", openid ? openid : "none");
        mem_free(oauth);
        mem_free(openid);
    }
    char issuer[3000] = "https://a/";
    memset(issuer + 10, 'x', sizeof issuer - 11);
    assert_null(metadata_url(issuer, METADATA_OAUTH));
}

// -- what is believed --------------------------------------------------------------------------

struct parse_row {
    const char *name, *issuer; // issuer NULL: https://a.example
    const char *body;
    const char *endpoint, *why; // one of them
    bool has_certificate, allow_plaintext;
};

#define ISSUER "\"issuer\":\"https://a.example\""
#define LOCAL  "\"issuer\":\"http://127.0.0.1:1\""

static const struct parse_row parse_rows[] = {
    {"plain", NULL, "{" ISSUER ",\"token_endpoint\":\"https://b.example/t?x=1\",\"other\":[1]}",
     "https://b.example/t?x=1"},
    {"MD-2 slash", NULL, "{\"issuer\":\"https://a.example/\",\"token_endpoint\":\"https://a/t\"}",
     NULL, "it is of another issuer: 'https://a.example/'"},
    {"MD-2 case", NULL, "{\"issuer\":\"https://A.example\",\"token_endpoint\":\"https://a/t\"}",
     NULL, "it is of another issuer: 'https://A.example'"},
    {"MD-2 printable", NULL, "{\"issuer\":\"a\\r\\nb\",\"token_endpoint\":\"https://a/t\"}", NULL,
     "it is of another issuer: 'a??b'"},
    {"MD-2 no issuer", NULL, "{\"token_endpoint\":\"https://a/t\"}", NULL, "there is no issuer"},
    {"MD-2 not text", NULL,
     "{\"issuer\":[\"https://a.example\"],\"token_endpoint\":\"https://a/t\"}", NULL,
     "there is no issuer"},
    {"no endpoint", NULL, "{" ISSUER "}", NULL, "there is no token_endpoint in it"},
    {"MD-4 endpoint is no text", NULL, "{" ISSUER ",\"token_endpoint\":7}", NULL,
     "there is no token_endpoint in it"},
    {"MD-4 http", NULL, "{" ISSUER ",\"token_endpoint\":\"http://a.example/t\"}", NULL,
     "its token_endpoint is not https"},
    {"MD-4 http on loopback, but the issuer is https", NULL,
     "{" ISSUER ",\"token_endpoint\":\"http://127.0.0.1/t\"}", NULL,
     "its token_endpoint is not https"},
    {"MD-4 a weaker connection than the issuer's, even if plain text is allowed", NULL,
     "{" ISSUER ",\"token_endpoint\":\"http://a.example/t\"}", NULL,
     "its token_endpoint is not https", .allow_plaintext = true},
    {"MD-4 issuer on loopback", "http://127.0.0.1:1",
     "{" LOCAL ",\"token_endpoint\":\"http://127.0.0.1:2/t\"}", "http://127.0.0.1:2/t"},
    {"MD-4 issuer on loopback, endpoint elsewhere", "http://127.0.0.1:1",
     "{" LOCAL ",\"token_endpoint\":\"http://b.example/t\"}", NULL,
     "its token_endpoint is not https"},
    {"MD-4 the same, allowed", "http://127.0.0.1:1",
     "{" LOCAL ",\"token_endpoint\":\"http://b.example/t\"}", "http://b.example/t",
     .allow_plaintext = true},
    {"MD-4 other scheme", NULL, "{" ISSUER ",\"token_endpoint\":\"file:///etc/passwd\"}", NULL,
     "its token_endpoint is not usable"},
    {"MD-4 user", NULL, "{" ISSUER ",\"token_endpoint\":\"https://u:p@a.example/t\"}", NULL,
     "its token_endpoint is not usable"},
    {"MD-4 fragment", NULL, "{" ISSUER ",\"token_endpoint\":\"https://a.example/t#x\"}", NULL,
     "its token_endpoint is not usable"},
    {"MD-4 line break", NULL, "{" ISSUER ",\"token_endpoint\":\"https://a.example/\\r\\nX: y\"}",
     NULL, "its token_endpoint is not usable"},
    {"MD-4 relative", NULL, "{" ISSUER ",\"token_endpoint\":\"/t\"}", NULL,
     "its token_endpoint is not usable"},
    {"MD-4 NUL", NULL, "{" ISSUER ",\"token_endpoint\":\"https://a.example/\\u0000\"}", NULL,
     "not valid JSON"},
    {"MD-7 alias", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"mtls_endpoint_aliases\":"
     "{\"token_endpoint\":\"https://mtls.a/t\"}}",
     "https://mtls.a/t", .has_certificate = true},
    {"MD-7 no certificate, no alias", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"mtls_endpoint_aliases\":"
     "{\"token_endpoint\":\"https://mtls.a/t\"}}",
     "https://a/t"},
    {"MD-7 aliases of other endpoints", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"mtls_endpoint_aliases\":"
     "{\"revocation_endpoint\":\"https://mtls.a/r\"}}",
     "https://a/t", .has_certificate = true},
    {"MD-7 a bad alias", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"mtls_endpoint_aliases\":"
     "{\"token_endpoint\":\"http://mtls.a/t\"}}",
     NULL, "its token_endpoint is not https", .has_certificate = true},
    {"not an object", NULL, "[" ISSUER "]", NULL, "not valid JSON"},
    {"array", NULL, "[]", NULL, "not a JSON object"},
    {"empty", NULL, "", NULL, "the body is empty"},
    {"a page", NULL, "<html>", NULL, "not valid JSON"},
    {"twice", NULL, "{" ISSUER "," ISSUER ",\"token_endpoint\":\"https://a/t\"}", NULL,
     "not valid JSON"},
    {"MD-4 32 levels", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"x\":"
     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     "https://a/t"},
    {"MD-4 33 levels", NULL,
     "{" ISSUER ",\"token_endpoint\":\"https://a/t\",\"x\":"
     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     NULL, "nested deeper than 32 levels"},
};

static void test_parsing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parse_rows); i++) {
        const struct parse_row *row = &parse_rows[i];
        struct config_credential credential = {
            .issuer = TEXT(row->issuer ? row->issuer : "https://a.example"),
            .allow_plaintext = row->allow_plaintext,
            .tls = {.cert_file = TEXT(row->has_certificate ? "/c" : NULL)}};
        struct metadata metadata;
        char why[320] = "";
        bool ok = metadata_parse(str_of(row->body), &credential, &metadata, why, sizeof why);
        if (ok != (row->endpoint != NULL) || (metadata.token_endpoint != NULL) != ok ||
            (ok && strcmp(metadata.token_endpoint, row->endpoint) != 0) ||
            (!ok && !strstr(why, row->why)))
            fail_msg("%s: %s", row->name, ok ? metadata.token_endpoint : why);
        if (strstr(why, "u:p"))
            fail_msg("%s: %s", row->name, why);
        metadata_fini(&metadata);
    }
}

static void test_doubts(void **state) // MD-5 MD-8
{
    (void)state;
    static const struct {
        const char *members;
        int method;
        const char *alg;
        bool dpop;
        unsigned doubts;
    } rows[] = {
        {"", AUTH_CLIENT_SECRET_BASIC, NULL, false, 0},
        {"", AUTH_CLIENT_SECRET_POST, NULL, false, METADATA_NO_METHOD},
        {",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]",
         AUTH_CLIENT_SECRET_POST, NULL, false, 0},
        {",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]",
         AUTH_CLIENT_SECRET_BASIC, NULL, false, METADATA_NO_METHOD},
        {",\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"]", AUTH_ASSERTION_FILE,
         NULL, false, 0},
        {",\"token_endpoint_auth_methods_supported\":[\"self_signed_tls_client_auth\"]",
         AUTH_TLS_CLIENT, NULL, false, 0},
        {",\"token_endpoint_auth_methods_supported\":[\"tls_client_auth\"]", AUTH_TLS_CLIENT, NULL,
         false, 0},
        {",\"token_endpoint_auth_methods_supported\":[7,\"none\"]", AUTH_TLS_CLIENT, NULL, false,
         METADATA_NO_METHOD},
        {",\"token_endpoint_auth_methods_supported\":[7,\"none\"]", AUTH_NONE, NULL, false, 0},
        {",\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"],"
         "\"token_endpoint_auth_signing_alg_values_supported\":[\"RS256\",\"PS256\"]",
         AUTH_PRIVATE_KEY_JWT, "PS256", false, 0},
        {",\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"],"
         "\"token_endpoint_auth_signing_alg_values_supported\":[\"RS256\",\"PS256\"]",
         AUTH_PRIVATE_KEY_JWT, "ES256", false, METADATA_NO_SIGNING_ALG},
        {",\"dpop_signing_alg_values_supported\":[\"RS256\"]", AUTH_CLIENT_SECRET_BASIC, NULL, true,
         METADATA_NO_DPOP_ALG},
        {",\"dpop_signing_alg_values_supported\":[\"RS256\"]", AUTH_CLIENT_SECRET_BASIC, NULL,
         false, 0},
        {"", AUTH_CLIENT_SECRET_BASIC, NULL, true, 0},
        {",\"grant_types_supported\":[\"authorization_code\"]", AUTH_CLIENT_SECRET_BASIC, NULL,
         false, METADATA_NO_GRANT},
        {",\"grant_types_supported\":[\"client_credentials\"]", AUTH_CLIENT_SECRET_BASIC, NULL,
         false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_credential credential = {.issuer = TEXT("https://a.example"),
                                               .auth_method = rows[i].method,
                                               .signing_alg = TEXT(rows[i].alg),
                                               .dpop = rows[i].dpop};
        struct metadata metadata;
        char why[320] = "", body[512];
        snprintf(body, sizeof body, "{" ISSUER ",\"token_endpoint\":\"https://a/t\"%s}",
                 rows[i].members);
        if (!metadata_parse(str_of(body), &credential, &metadata, why, sizeof why) ||
            metadata.doubts != rows[i].doubts)
            fail_msg("row %zu: %u %s", i, metadata.doubts, why);
        metadata_fini(&metadata);
    }
    for (unsigned doubt = 1; doubt < METADATA_DOUBTS_END; doubt <<= 1)
        assert_non_null(strstr(metadata_doubt_text((enum metadata_doubt)doubt), " is not among "));
}

static void test_ages(void **state) // MD-6
{
    (void)state;
    static const struct {
        const char *field;
        uint64_t age_ms;
    } rows[] = {
        {"", 77},
        {"public", 77},
        {"max-age=60", 60000},
        {"public, Max-Age=60 , must-revalidate", 60000},
        {"max-age=0", 0},
        {"max-age=60, no-store", 0},
        {"no-cache", 0},
        {"s-maxage=60", 77},
        {"max-age=", 77},
        {"max-age=x", 77},
        {"max-age=-1", 77},
        {"max-age=18446744073709551615", UINT64_C(31536000000)},
        {"max-age=99999999999999999999999999", 77},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (metadata_max_age_ms(str_of(rows[i].field), 77) != rows[i].age_ms)
            fail_msg("%s: %llu", rows[i].field,
                     (unsigned long long)metadata_max_age_ms(str_of(rows[i].field), 77));
}

// -- asking ------------------------------------------------------------------------------------

static struct loop *loop;
static struct fetcher *fetcher;
static struct config_credential credential;
static struct discovery *discovery;
static char issuer[64];
static const struct pace quick_pace = {
    .backoff_min_ms = 200, .backoff_max_ms = 200, .local_max_ms = 200};
// Fresh for 300 ms at least, whatever the server says.
static const struct discovery_times quick = {300, 400, 400, &quick_pace};

struct outcome {
    unsigned calls;
    char endpoint[128], issuer[64], text[512];
    enum token_failure_kind kind;
};

static void take(struct outcome *outcome, const struct discovery_result *result)
{
    assert_int_equal(result->token_endpoint == NULL, result->failure != NULL);
    outcome->calls++;
    outcome->endpoint[0] = outcome->issuer[0] = outcome->text[0] = '\0';
    if (result->token_endpoint)
        snprintf(outcome->endpoint, sizeof outcome->endpoint, "%s", result->token_endpoint);
    if (result->issuer)
        snprintf(outcome->issuer, sizeof outcome->issuer, "%s", result->issuer);
    if (!result->failure)
        return;
    outcome->kind = result->failure->kind;
    snprintf(outcome->text, sizeof outcome->text, "%s", result->failure->text);
}

static void on_done(void *arg, const struct discovery_result *result)
{
    take(arg, result);
}

static void run_loop(uint64_t ms)
{
    uint64_t end = clock_boottime_us() / 1000 + ms;
    while (clock_boottime_us() / 1000 < end)
        loop_turn(loop, 10);
}

// True: it was answered at once.
static bool ask(struct outcome *outcome)
{
    struct discovery_result result;
    *outcome = (struct outcome){0};
    if (discovery_get(discovery, &result, on_done, outcome)) {
        take(outcome, &result);
        return true;
    }
    assert_int_equal(outcome->calls, 0);
    uint64_t end = clock_boottime_us() + 10000000;
    while (!outcome->calls && clock_boottime_us() < end)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
    return false;
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    loop = loop_new(&err);
    fetcher = fetcher_new(loop, &err);
    credential = (struct config_credential){.name = TEXT("main"),
                                            .issuer = issuer,
                                            .auth_method = AUTH_CLIENT_SECRET_BASIC,
                                            .connect_timeout_ms = 2000,
                                            .timeout_ms = 2000};
    discovery = discovery_new_of(loop, fetcher, &credential, &quick);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    discovery_free(discovery);
    fetcher_free(fetcher);
    loop_free(loop);
    return 0;
}

static void issuer_at(const struct script_server *server, const char *path)
{
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u%s", server->raw.port, path);
}

static void answer_good(struct script_server *server, const char *fields, const char *path)
{
    script_answer(server, 200, fields,
                  "{\"issuer\":\"%s\",\"token_endpoint\":\"http://127.0.0.1:%u%s\"}", issuer,
                  server->raw.port, path);
}

static void respond_good(struct script_server *server, unsigned number, const char *request)
{
    (void)request;
    answer_good(server, "", number == 0 ? "/token" : "/newer");
}

static void test_success(void **state) // MD-1 MD-6
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    script_start(&server, respond_good);
    issuer_at(&server, "/tenant");
    assert_false(ask(&outcome));
    assert_non_null(strstr(outcome.endpoint, "/token"));
    assert_string_equal(outcome.issuer, issuer);
    for (int i = 0; i < 5; i++) {
        assert_true(ask(&outcome));
        assert_non_null(strstr(outcome.endpoint, "/token"));
    }
    run_loop(20);
    script_stop(&server);
    assert_int_equal(server.count, 1);
    assert_memory_equal(server.requests[0],
                        "GET /.well-known/oauth-authorization-server/tenant HTTP/1.1\r\n", 61);
    assert_non_null(strstr(server.requests[0], "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(server.requests[0], "\r\nUser-Agent: bearerd/"));
}

static void test_token_url(void **state)
{
    (void)state;
    struct outcome outcome;
    credential.token_url.text = TEXT("https://a.example/t");
    assert_true(ask(&outcome));
    assert_string_equal(outcome.endpoint, "https://a.example/t");
    assert_string_equal(outcome.issuer, "");
}

static void respond_openid(struct script_server *server, unsigned number, const char *request)
{
    (void)number;
    if (strstr(request, "/openid-configuration"))
        answer_good(server, "", "/token");
    else
        script_answer(server, 404, "", "nothing here");
}

static void test_second_form(void **state) // MD-1
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    script_start(&server, respond_openid);
    issuer_at(&server, "/t/");
    ask(&outcome);
    assert_non_null(strstr(outcome.endpoint, "/token"));
    run_loop(450);
    assert_true(ask(&outcome));
    run_loop(100);
    script_stop(&server);
    assert_int_equal(server.count, 3); // the refresh knows where to ask
    assert_memory_equal(server.requests[0], "GET /.well-known/oauth-authorization-server/t ", 46);
    assert_memory_equal(server.requests[1], "GET /t/.well-known/openid-configuration ", 40);
    assert_memory_equal(server.requests[2], "GET /t/.well-known/openid-configuration ", 40);
}

struct failure_row {
    const char *name;
    int status[2]; // of the two forms; 0: another issuer's document
    enum token_failure_kind kind;
    const char *text;
};

static const struct failure_row failure_rows[] = {
    {"nothing", {404, 404}, FAILURE_MALFORMED, "HTTP 404 from http://127.0.0.1:"},
    {"MD-2 the first tells more", {0, 404}, FAILURE_MALFORMED, "it is of another issuer: 'x'"},
    {"the second tells more", {404, 503}, FAILURE_TRANSIENT, "HTTP 503 from"},
    {"MD-4 redirect", {302, 302}, FAILURE_MALFORMED, "redirects are never followed"},
    {"MD-4 no content", {204, 204}, FAILURE_MALFORMED, "HTTP 204 from"},
    {"too often", {429, 429}, FAILURE_TRANSIENT, "HTTP 429 from"},
};
static const struct failure_row *failure_row;

static void respond_failure(struct script_server *server, unsigned number, const char *request)
{
    (void)request;
    int status = failure_row->status[number % 2];
    if (status)
        script_answer(server, status, "Location: http://127.0.0.1:1/\r\n", "%s",
                      status == 204 ? "" : "no");
    else
        script_answer(server, 200, "", "{\"issuer\":\"x\",\"token_endpoint\":\"https://x/t\"}");
}

static void test_failures(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(failure_rows); i++) {
        static struct script_server server;
        struct outcome outcome;
        failure_row = &failure_rows[i];
        script_start(&server, respond_failure);
        issuer_at(&server, "");
        assert_false(ask(&outcome));
        if (outcome.kind != failure_row->kind || !strstr(outcome.text, failure_row->text))
            fail_msg("%s: %d %s", failure_row->name, (int)outcome.kind, outcome.text);
        assert_int_equal(script_count(&server), 2);
        // MD-6: no hammering
        for (int j = 0; j < 10; j++) {
            assert_true(ask(&outcome));
            assert_int_equal(outcome.kind, failure_row->kind);
        }
        run_loop(210);
        assert_int_equal(script_count(&server), 2);
        assert_false(ask(&outcome)); // and yet not for good
        script_stop(&server);
        assert_int_equal(server.count, 4);
        assert_memory_equal(server.requests[2], server.requests[0], 50);
        tear_down(state);
        set_up(state);
    }
}

static void test_server_comes_later(void **state) // T34
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    int fd = raw_bind();
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", raw_port_of(fd));
    ask(&outcome);
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    assert_non_null(strstr(outcome.text, "request for metadata to http://127.0.0.1:"));
    assert_non_null(strstr(outcome.text, "Connection refused"));
    script_start_on(&server, fd, respond_good);
    run_loop(210);
    ask(&outcome);
    script_stop(&server);
    assert_non_null(strstr(outcome.endpoint, "/token"));
}

static void respond_retry_after(struct script_server *server, unsigned number, const char *request)
{
    (void)number, (void)request;
    script_answer(server, 503, "Retry-After: 1\r\n", "later");
}

static void test_retry_after(void **state)
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    script_start(&server, respond_retry_after);
    issuer_at(&server, "");
    ask(&outcome);
    run_loop(500);
    assert_true(ask(&outcome));
    run_loop(600);
    assert_false(ask(&outcome));
    script_stop(&server);
}

static void test_many_ask_at_once(void **state) // T07
{
    (void)state;
    static struct script_server server;
    struct outcome outcomes[3] = {{0}};
    struct discovery_result result;
    script_start(&server, respond_good);
    issuer_at(&server, "");
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        assert_false(discovery_get(discovery, &result, on_done, &outcomes[i]));
    discovery_cancel(discovery, &outcomes[1]);
    discovery_cancel(discovery, &outcomes[1]);
    for (int i = 0; i < 500 && !outcomes[2].calls; i++)
        loop_turn(loop, 10);
    script_stop(&server);
    assert_int_equal(server.count, 1);
    assert_int_equal(outcomes[0].calls, 1);
    assert_int_equal(outcomes[1].calls, 0);
    assert_int_equal(outcomes[2].calls, 1);
    assert_string_equal(outcomes[0].endpoint, outcomes[2].endpoint);
}

static void test_refresh(void **state) // MD-6 T08
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    script_start(&server, respond_good);
    issuer_at(&server, "");
    ask(&outcome);
    run_loop(200);
    assert_true(ask(&outcome));
    run_loop(50);
    assert_int_equal(script_count(&server), 1); // fresh still
    run_loop(200);
    assert_true(ask(&outcome)); // nobody waits for the refresh
    assert_non_null(strstr(outcome.endpoint, "/token"));
    for (int i = 0; i < 500 && !strstr(outcome.endpoint, "/newer"); i++) {
        assert_true(ask(&outcome));
        run_loop(10);
    }
    assert_int_equal(script_count(&server), 2);
    assert_non_null(strstr(outcome.endpoint, "/newer"));
    script_stop(&server);
}

static void test_last_good_is_kept(void **state) // MD-6
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    script_start(&server, respond_good);
    issuer_at(&server, "");
    ask(&outcome);
    script_stop(&server);
    for (int i = 0; i < 4; i++) {
        run_loop(450);
        assert_true(ask(&outcome));
        assert_non_null(strstr(outcome.endpoint, "/token"));
    }
}

static void test_doubt(void **state)
{
    (void)state;
    static struct script_server server;
    struct outcome outcome;
    struct discovery_times long_lived = {150, 60000, 60000, &quick_pace};
    tear_down(state);
    set_up(state);
    discovery_free(discovery);
    discovery = discovery_new_of(loop, fetcher, &credential, &long_lived);
    script_start(&server, respond_good);
    issuer_at(&server, "");
    ask(&outcome);
    discovery_doubt(discovery);
    assert_true(ask(&outcome));
    run_loop(50);
    assert_int_equal(script_count(&server), 1); // it has only just said so
    run_loop(150);
    assert_true(ask(&outcome));
    run_loop(50);
    assert_int_equal(script_count(&server), 2);
    run_loop(200);
    assert_true(ask(&outcome)); // without a doubt, it is fresh for a minute
    assert_non_null(strstr(outcome.endpoint, "/newer"));
    run_loop(50);
    script_stop(&server);
    assert_int_equal(server.count, 2);
}

static void respond_large(struct script_server *server, unsigned number, const char *request)
{
    (void)number, (void)request;
    static char filler[METADATA_BODY_MAX + 1];
    memset(filler, ' ', sizeof filler - 1);
    script_answer(server, 200, "", "%s", filler);
}

static void test_large_and_slow(void **state) // MD-4
{
    (void)state;
    static struct script_server server;
    struct raw_server silent;
    struct outcome outcome;
    script_start(&server, respond_large);
    issuer_at(&server, "");
    ask(&outcome);
    assert_int_equal(outcome.kind, FAILURE_MALFORMED); // at the limit: read, and found wanting
    assert_non_null(strstr(outcome.text, "not valid JSON"));
    script_stop(&server);
    run_loop(210);
    raw_start(&silent, STR(""), RAW_HOLD);
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", silent.port);
    credential.timeout_ms = 200;
    ask(&outcome);
    assert_int_equal(outcome.kind, FAILURE_TIMEOUT);
    raw_stop(&silent);
    run_loop(210);
    raw_start(&silent, STR("HTTP/1.1 200 OK\r\n\r\n          "), RAW_FLOOD);
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", silent.port);
    credential.timeout_ms = 5000;
    ask(&outcome);
    assert_int_equal(outcome.kind, FAILURE_MALFORMED);
    assert_non_null(strstr(outcome.text, "too large"));
    raw_stop(&silent);
}

static void test_local_failure(void **state) // T29
{
    (void)state;
    struct outcome outcome;
    snprintf(issuer, sizeof issuer, "https://127.0.0.1:1");
    credential.tls.ca_file = TEXT("/nonexistent/ca.crt");
    assert_false(ask(&outcome));
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_null(strstr(outcome.text, "nonexistent"));
    assert_true(ask(&outcome));
    run_loop(210);
    assert_false(ask(&outcome));
    run_loop(210);
    struct discovery_result result;
    assert_false(discovery_get(discovery, &result, on_done, &outcome)); // freed while it waits
}

static void test_freed_under_way(void **state)
{
    (void)state;
    struct raw_server silent;
    struct outcome outcome = {0};
    struct discovery_result result;
    raw_start(&silent, STR(""), RAW_HOLD);
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", silent.port);
    assert_false(discovery_get(discovery, &result, on_done, &outcome));
    run_loop(30);
    discovery_free(discovery);
    discovery = NULL;
    run_loop(30);
    raw_stop(&silent);
    assert_int_equal(outcome.calls, 0);
}

static void respond_unsupported(struct script_server *server, unsigned number, const char *request)
{
    (void)number, (void)request;
    script_answer(server, 200, "",
                  "{\"issuer\":\"%s\",\"token_endpoint\":\"http://127.0.0.1:1/t?secret-tenant\","
                  "\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]}",
                  issuer);
}

static void test_log(void **state) // MD-5
{
    (void)state;
    static struct script_server server;
    static struct log_capture capture;
    struct outcome outcome;
    script_start(&server, respond_unsupported);
    issuer_at(&server, "");
    log_set_level(LOG_INFO);
    log_capture_start(&capture);
    ask(&outcome);
    run_loop(450);
    ask(&outcome);
    run_loop(50);
    log_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    script_stop(&server);
    assert_int_equal(server.count, 2);
    assert_non_null(strstr(outcome.endpoint, "/t?secret-tenant"));
    assert_non_null(strstr(capture.text, "discovery.found"));
    const char *line = strstr(capture.text, "discovery.unsupported");
    assert_non_null(line);
    assert_non_null(strstr(line, "auth_method is not among its "
                                 "token_endpoint_auth_methods_supported"));
    assert_null(strstr(line + 1, "discovery.unsupported")); // the same document is told of once
    assert_null(strstr(capture.text, "secret-tenant"));
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_parsing),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_ages),
        WITH_LOOP(test_success),
        WITH_LOOP(test_token_url),
        WITH_LOOP(test_second_form),
        WITH_LOOP(test_failures),
        WITH_LOOP(test_server_comes_later),
        WITH_LOOP(test_retry_after),
        WITH_LOOP(test_many_ask_at_once),
        WITH_LOOP(test_refresh),
        WITH_LOOP(test_last_good_is_kept),
        WITH_LOOP(test_doubt),
        WITH_LOOP(test_large_and_slow),
        WITH_LOOP(test_local_failure),
        WITH_LOOP(test_freed_under_way),
        WITH_LOOP(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
