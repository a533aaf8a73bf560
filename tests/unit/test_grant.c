// SPDX-License-Identifier: MIT
// Token requests and responses, row by row: what is sent, what is believed, what is told about the
// rest. Names begin with the requirement they show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/grant.h"
#include "token/grant_error.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))
#define SECRET        "s3cret-value"
#define BASIC         "aWQ6czNjcmV0LXZhbHVl"

static const struct config_credential credential = {
    .name = TEXT("main"),
    .token_url = {.is_https = true,
                  .authority = TEXT("idp.example.com"),
                  .path = TEXT("/token"),
                  .query = TEXT("tenant=hidden-query"),
                  .text = TEXT("https://idp.example.com/token?tenant=hidden-query")}};

// -- requests ----------------------------------------------------------------------------------

struct build_row {
    const char *name, *scope, *audience, *resource[3], *form;
};

static const struct build_row build_rows[] = {
    {"T19 OA-2 nothing but the grant", "", NULL, {0}, "grant_type=client_credentials"},
    {"T19 OA-2 empty audience", "", "", {0}, "grant_type=client_credentials"},
    {"scope", "a b:c", NULL, {0}, "grant_type=client_credentials&scope=a+b%3Ac"},
    {"RI-3 audience",
     "",
     "https://a/",
     {0},
     "grant_type=client_credentials&audience=https%3A%2F%2Fa%2F"},
    {"RI-1 resource repeated",
     "r",
     "x",
     {"urn:1", "urn:2"},
     "grant_type=client_credentials&scope=r&audience=x&resource=urn%3A1&resource=urn%3A2"},
};

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(build_rows); i++) {
        const struct build_row *row = &build_rows[i];
        struct config_slot slot = {.credential = &credential,
                                   .scope = TEXT(row->scope),
                                   .audience = TEXT(row->audience),
                                   .resource = {.items = (char **)(uintptr_t)row->resource}};
        while (row->resource[slot.resource.count])
            slot.resource.count++;
        struct buf form;
        buf_init(&form, 1024);
        assert_true(grant_build(&slot, &form));
        if (!str_eq(buf_str(&form), str_of(row->form)))
            fail_msg("%s: %.*s", row->name, STR_ARG(buf_str(&form)));
        buf_fini(&form);
        buf_init(&form, row->form ? strlen(row->form) - 1 : 0);
        assert_false(grant_build(&slot, &form));
        buf_fini(&form);
    }
}

static void test_parameters(void **state) // RA-1
{
    (void)state;
    struct config_header params[] = {{TEXT("tenant"), TEXT("a&b=c d")},
                                     {TEXT("empty"), TEXT("")},
                                     {TEXT("odd&name"), TEXT("1")}};
    struct config_credential with = credential;
    with.param = (struct config_headers){params, ARRAY_LEN(params)};
    struct config_slot slot = {.credential = &with,
                               .scope = TEXT("r"),
                               .authorization_details = TEXT("[{\"type\":\"x\"}]")};
    static const char expected[] =
        "grant_type=client_credentials&scope=r&authorization_details=%5B%7B%22type%22%3A%22x%22%7D"
        "%5D&tenant=a%26b%3Dc+d&odd%26name=1";
    for (size_t max = 0; max < sizeof expected; max++) {
        struct buf form;
        buf_init(&form, max);
        bool ok = grant_build(&slot, &form);
        assert_int_equal(ok, max == sizeof expected - 1);
        if (ok)
            assert_true(str_eq(buf_str(&form), str_of(expected)));
        buf_fini(&form);
    }
}

// -- responses ---------------------------------------------------------------------------------

#define JSON     "application/json"
#define GOOD     "\"access_token\":\"tok\",\"token_type\":\"Bearer\""
#define DAY      86400000ULL
#define NO_TOKEN ((uint64_t)-1)

struct parse_row {
    const char *name;
    int status;
    const char *type;
    struct str body;
    uint64_t lifetime_ms; // NO_TOKEN: failed with the rest
    enum token_failure_kind kind;
    const char *error, *text; // text: part of it
};

#define EXPIRES(json) JSON, STR("{" GOOD ",\"expires_in\":" json "}")
#define BAD(status, type, body, kind, error, text)                                                 \
    status, type, STR(body), NO_TOKEN, FAILURE_##kind, error, text

static const struct parse_row parse_rows[] = {
    // T03 OA-11: lifetimes
    {"number", 200, EXPIRES("3600"), 3600000},
    {"T03 numeric string", 200, EXPIRES("\"3599\""), 3599000},
    {"T03 missing", 200, JSON, STR("{" GOOD "}"), 0},
    {"T03 zero", 200, EXPIRES("0"), 0},
    {"T03 negative", 200, EXPIRES("-1"), 0},
    {"T03 negative string", 200, EXPIRES("\"-1\""), 0},
    {"T03 null", 200, EXPIRES("null"), 0},
    {"T03 words", 200, EXPIRES("\"1h\""), 0},
    {"T03 empty string", 200, EXPIRES("\"\""), 0},
    {"T03 object", 200, EXPIRES("{}"), 0},
    {"T03 true", 200, EXPIRES("true"), 0},
    {"T03 float", 200, EXPIRES("3600.75"), 3600750},
    {"T03 small float", 200, EXPIRES("0.5"), 500},
    {"T03 tiny float", 200, EXPIRES("1e-9"), 0},
    {"T03 one day", 200, EXPIRES("86400"), DAY},
    {"T03 more than a day", 200, EXPIRES("86401"), DAY},
    {"T03 2^31", 200, EXPIRES("2147483648"), DAY},
    {"T03 2^63", 200, EXPIRES("9223372036854775808"), DAY},
    {"T03 2^64 as string", 200, EXPIRES("\"18446744073709551616\""), DAY},
    {"T03 huge", 200, EXPIRES("1e300"), DAY},
    {"T03 -huge", 200, EXPIRES("-1e300"), 0},
    {"T03 no number at all",
     BAD(200, JSON, "{" GOOD ",\"expires_in\":1e309}", MALFORMED, "", "not valid JSON")},
    {"T03 NaN", BAD(200, JSON, "{" GOOD ",\"expires_in\":NaN}", MALFORMED, "", "not valid JSON")},
    // T15 OA-10: token types
    {"T15 lower case", 200, JSON, STR("{\"access_token\":\"tok\",\"token_type\":\"bearer\"}"), 0},
    {"T15 upper case", 200, JSON, STR("{\"access_token\":\"tok\",\"token_type\":\"BEARER\"}"), 0},
    {"OA-10 mac", BAD(200, JSON, "{\"access_token\":\"tok\",\"token_type\":\"mac\"}", MALFORMED, "",
                      "token_type is 'mac', not Bearer")},
    {"T15 BearerToken", BAD(200, JSON, "{\"access_token\":\"tok\",\"token_type\":\"BearerToken\"}",
                            MALFORMED, "", "'BearerToken'")},
    {"OA-10 DPoP",
     BAD(200, JSON, "{\"access_token\":\"tok\",\"token_type\":\"DPoP\"}", MALFORMED, "", "'DPoP'")},
    {"OA-10 missing", BAD(200, JSON, "{\"access_token\":\"tok\"}", MALFORMED, "", "no token_type")},
    {"OA-10 number",
     BAD(200, JSON, "{\"access_token\":\"tok\",\"token_type\":7}", MALFORMED, "", "no token_type")},
    // T05 OA-9: what is no token response
    {"T05 empty body", BAD(200, JSON, "", MALFORMED, "", "the body is empty")},
    {"T05 HTML", BAD(200, "text/html; charset=utf-8", "<html>", MALFORMED, "",
                     "Content-Type is 'text/html; charset=utf-8'")},
    {"T05 HTML that says JSON", BAD(200, JSON, "<html>", MALFORMED, "", "not valid JSON")},
    {"T05 no access_token",
     BAD(200, JSON, "{\"token_type\":\"Bearer\"}", MALFORMED, "", "no access_token")},
    {"T05 empty access_token", BAD(200, JSON, "{\"access_token\":\"\",\"token_type\":\"Bearer\"}",
                                   MALFORMED, "", "no access_token")},
    {"T05 null access_token", BAD(200, JSON, "{\"access_token\":null,\"token_type\":\"Bearer\"}",
                                  MALFORMED, "", "no access_token")},
    {"OA-9 array", BAD(200, JSON, "[{" GOOD "}]", MALFORMED, "", "not a JSON object")},
    {"OA-9 null", BAD(200, JSON, "null", MALFORMED, "", "not valid JSON")},
    {"OA-9 number", BAD(200, JSON, "1", MALFORMED, "", "not valid JSON")},
    {"OA-9 more behind it", BAD(200, JSON, "{" GOOD "} x", MALFORMED, "", "not valid JSON")},
    {"OA-9 byte order mark",
     BAD(200, JSON, "\xef\xbb\xbf{" GOOD "}", MALFORMED, "", "not valid JSON")},
    {"OA-9 UTF-16", BAD(200, JSON, "{\0\"\0a\0", MALFORMED, "", "not valid JSON")},
    {"T-14 bad UTF-8",
     BAD(200, JSON, "{" GOOD ",\"x\":\"\xff\"}", MALFORMED, "", "not valid JSON")},
    {"T-14 duplicate members",
     BAD(200, JSON, "{" GOOD ",\"access_token\":\"two\"}", MALFORMED, "", "not valid JSON")},
    {"T-14 16 levels are fine", 200, JSON,
     STR("{" GOOD ",\"x\":[[[[[[[[[[[[[[[\"}}\"]]]]]]]]]]]]]]]}"), 0},
    {"T-14 17 are not", BAD(200, JSON, "{" GOOD ",\"x\":[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]}",
                            MALFORMED, "", "nested deeper")},
    {"T-14 brackets in strings are no levels", 200, JSON,
     STR("{" GOOD ",\"x\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[\"}"), 0},
    {"OA-9 201", BAD(201, JSON, "{" GOOD "}", MALFORMED, "", "HTTP 201 from https://")},
    {"OA-9 204", BAD(204, "", "", MALFORMED, "", "HTTP 204")},
    {"T-14 302", BAD(302, "", "", MALFORMED, "", "redirects are never followed")},
    {"T-14 no type", BAD(200, "", "{" GOOD "}", MALFORMED, "", "it has no Content-Type")},
    {"T-14 text", BAD(200, "text/plain", "{" GOOD "}", MALFORMED, "", "'text/plain'")},
    {"T-14 almost", BAD(200, "application/jsonx", "{" GOOD "}", MALFORMED, "", "jsonx")},
    {"T-14 short type", BAD(200, "x", "{" GOOD "}", MALFORMED, "", "'x'")},
    {"T-14 type with parameters", 200, "Application/JSON ; charset=UTF-8", STR("{" GOOD "}"), 0},
    {"T-14 type with suffix", 200, "application/token+json", STR("{" GOOD "}"), 0},
    // BT-1: token bytes
    {"BT-1 CR LF", BAD(200, JSON, "{\"access_token\":\"a\\r\\nX: 1\",\"token_type\":\"Bearer\"}",
                       MALFORMED, "", "bytes a bearer token must not have")},
    {"BT-1 space", BAD(200, JSON, "{\"access_token\":\"a b\",\"token_type\":\"Bearer\"}", MALFORMED,
                       "", "bytes a bearer token must not have")},
    {"BT-1 NUL", BAD(200, JSON, "{\"access_token\":\"a\\u0000b\",\"token_type\":\"Bearer\"}",
                     MALFORMED, "", "not valid JSON")},
    {"BT-1 UTF-8", BAD(200, JSON, "{\"access_token\":\"\\u00e9\",\"token_type\":\"Bearer\"}",
                       MALFORMED, "", "bytes a bearer token must not have")},
    // OA-15: refusals
    {"T12 invalid_client with reason",
     BAD(401, JSON,
         "{\"error\":\"invalid_client\",\"error_description\":\"client authentication failed\"}",
         REFUSED, "invalid_client",
         "invalid_client: client authentication failed (HTTP 401 from "
         "https://idp.example.com/token)")},
    {"T12 without reason", BAD(400, JSON, "{\"error\":\"invalid_scope\"}", REFUSED, "invalid_scope",
                               "invalid_scope (HTTP 400 from https://idp.example.com/token)")},
    {"OA-15 unauthorized_client",
     BAD(400, JSON, "{\"error\":\"unauthorized_client\"}", REFUSED, "unauthorized_client", "")},
    {"OA-15 unsupported_grant_type", BAD(400, JSON, "{\"error\":\"unsupported_grant_type\"}",
                                         REFUSED, "unsupported_grant_type", "")},
    {"OA-15 invalid_request",
     BAD(400, JSON, "{\"error\":\"invalid_request\"}", REFUSED, "invalid_request", "")},
    {"RI-2 invalid_target",
     BAD(400, JSON, "{\"error\":\"invalid_target\"}", REFUSED, "invalid_target", "")},
    {"RA-3 invalid_authorization_details",
     BAD(400, JSON, "{\"error\":\"invalid_authorization_details\"}", REFUSED,
         "invalid_authorization_details", "")},
    {"DP-10 nonces change faster than we ask",
     BAD(400, JSON, "{\"error\":\"use_dpop_nonce\"}", TRANSIENT, "use_dpop_nonce", "")},
    {"OA-15 unknown error", BAD(400, JSON, "{\"error\":\"vendor_says_no\"}", REFUSED,
                                "vendor_says_no", "vendor_says_no (HTTP 400")},
    {"OA-15 error in a 200",
     BAD(200, JSON, "{\"error\":\"invalid_client\"}", REFUSED, "invalid_client", "HTTP 200")},
    {"OA-15 error beside a token",
     BAD(200, JSON, "{" GOOD ",\"error\":\"slow_down\"}", TRANSIENT, "slow_down", "")},
    {"OA-15 HTML 400", BAD(400, "text/html", "<h1>no</h1>", REFUSED, "",
                           "HTTP 400 from https://idp.example.com/token")},
    {"OA-15 404", BAD(404, "", "", REFUSED, "", "HTTP 404")},
    {"OA-15 temporarily_unavailable", BAD(400, JSON, "{\"error\":\"temporarily_unavailable\"}",
                                          TRANSIENT, "temporarily_unavailable", "")},
    {"OA-15 429", BAD(429, "", "", TRANSIENT, "", "HTTP 429")},
    {"OA-15 500", BAD(500, "text/html", "<h1>", TRANSIENT, "", "HTTP 500")},
    {"OA-15 503 that blames us",
     BAD(503, JSON, "{\"error\":\"invalid_client\"}", TRANSIENT, "invalid_client", "HTTP 503")},
    // OA-16: texts are harmless
    {"OA-16 CR LF and HTML",
     BAD(400, JSON,
         "{\"error\":\"invalid_scope\",\"error_description\":\"a\\r\\nSet-Cookie: x <b>\\\"\\\\\"}",
         REFUSED, "invalid_scope", "invalid_scope: a??Set-Cookie: x <b>'/ (HTTP")},
    {"OA-16 UTF-8",
     BAD(400, JSON, "{\"error\":\"invalid_scope\",\"error_description\":\"\\u00e9!\"}", REFUSED,
         "invalid_scope", "invalid_scope: ?! (HTTP")},
    {"OA-16 error with line break", BAD(400, JSON, "{\"error\":\"a\\nb\"}", REFUSED, "a?b", "a?b")},
    {"OA-16 error is no string", BAD(400, JSON, "{\"error\":[1]}", REFUSED, "", "HTTP 400")},
    {"T12 echoes the secret",
     BAD(401, JSON,
         "{\"error\":\"invalid_client\",\"error_description\":\"wrong secret " SECRET "!\"}",
         REFUSED, "invalid_client", "(withheld: it repeats the client secret)")},
    {"T12 echoes the header",
     BAD(401, JSON, "{\"error\":\"x " BASIC "\",\"error_description\":\"for " BASIC "\"}", REFUSED,
         "(withheld)", "(withheld: it")},
};

static struct grant_answer answer_of(const struct config_slot *slot, const struct parse_row *row)
{
    // At its exact size, so that AddressSanitizer sees a read past the end.
    char *body = malloc(row->body.len ? row->body.len : 1);
    assert_non_null(body);
    memcpy(body, row->body.ptr, row->body.len);
    return (struct grant_answer){.status = row->status,
                                 .content_type = str_of(row->type),
                                 .body = {body, row->body.len},
                                 .slot = slot,
                                 .hidden = {STR(SECRET), STR(BASIC)}};
}

static void check_failure(const struct parse_row *row, const struct token_failure *failure)
{
    if (failure->kind != row->kind || failure->status != row->status)
        fail_msg("%s: kind %d, status %d", row->name, (int)failure->kind, failure->status);
    if (strcmp(failure->error, row->error) != 0)
        fail_msg("%s: error %s", row->name, failure->error);
    if (!strstr(failure->text, row->text))
        fail_msg("%s: text %s", row->name, failure->text);
    if (!strstr(failure->text, "https://idp.example.com/token"))
        fail_msg("%s: no server in %s", row->name, failure->text);
    if (strstr(failure->text, "hidden-query") || strstr(failure->text, SECRET) ||
        strstr(failure->text, BASIC) || strstr(failure->error, BASIC))
        fail_msg("%s: leaks in %s", row->name, failure->text);
}

static void test_responses(void **state)
{
    (void)state;
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    for (size_t i = 0; i < ARRAY_LEN(parse_rows); i++) {
        const struct parse_row *row = &parse_rows[i];
        struct grant_answer answer = answer_of(&slot, row);
        struct grant_result result;
        grant_parse(&answer, &result);
        free((void *)(uintptr_t)answer.body.ptr);
        if ((row->lifetime_ms == NO_TOKEN) != (result.failure != NULL))
            fail_msg("%s: %s", row->name, result.failure ? result.failure->text : "accepted");
        if ((result.failure != NULL) != (result.value.len == 0))
            fail_msg("%s: half-read", row->name);
        if (result.failure)
            check_failure(row, result.failure);
        else if (!str_eq(buf_str(&result.value), STR("tok")) ||
                 result.lifetime_ms != row->lifetime_ms)
            fail_msg("%s: %.*s, %llu ms", row->name, STR_ARG(buf_str(&result.value)),
                     (unsigned long long)result.lifetime_ms);
        grant_result_fini(&result);
    }
}

static void parse_sized(size_t token_len, struct grant_result *out)
{
    static const char head[] = "{\"token_type\":\"Bearer\",\"access_token\":\"";
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    size_t len = sizeof head - 1 + token_len + 2;
    char *body = malloc(len);
    assert_non_null(body);
    memset(body, 'x', len);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + len - 2, "\"}", 2);
    struct grant_answer answer = {
        .status = 200, .content_type = STR(JSON), .body = {body, len}, .slot = &slot};
    grant_parse(&answer, out);
    free(body);
}

static void test_sizes(void **state) // OA-14
{
    (void)state;
    static const struct {
        size_t len;
        bool is_fine;
    } rows[] = {{1, true}, {16384, true}, {61440, true}, {65536, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct grant_result result;
        parse_sized(rows[i].len, &result);
        assert_int_equal(result.failure == NULL, rows[i].is_fine);
        assert_int_equal(result.value.len, rows[i].is_fine ? rows[i].len : 0);
        grant_result_fini(&result);
    }
}

struct scope_row {
    const char *asked, *answered, *granted;
};

static const struct scope_row scope_rows[] = {
    // OA-12
    {"a b", NULL, NULL},     {"a b", "", NULL}, {"a b", "b a", NULL},
    {"a b", "a  b a", NULL}, {"a b", "a", "a"}, {"a", "a b", "a b"},
    {"A", "a", "a"},         {"", "a", "a"},    {"a", "b\\r\\nc", "b??c"},
};

static void test_scopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scope_rows); i++) {
        const struct scope_row *row = &scope_rows[i];
        struct config_slot slot = {.credential = &credential, .scope = TEXT(row->asked)};
        char body[200];
        snprintf(body, sizeof body, "{" GOOD "%s%s%s}", row->answered ? ",\"scope\":\"" : "",
                 row->answered ? row->answered : "", row->answered ? "\"" : "");
        struct grant_answer answer = {
            .status = 200, .content_type = STR(JSON), .body = str_of(body), .slot = &slot};
        struct grant_result result;
        grant_parse(&answer, &result);
        assert_null(result.failure);
        if ((row->granted == NULL) != (result.granted_scope == NULL) ||
            (row->granted && strcmp(row->granted, result.granted_scope) != 0))
            fail_msg("row %zu: %s", i, result.granted_scope ? result.granted_scope : "(as asked)");
        grant_result_fini(&result);
    }
}

static void test_fewer_scopes(void **state) // OA-12
{
    (void)state;
    static const struct {
        const char *asked, *answered;
        bool is_refused;
    } rows[] = {
        {"a b", "a", true},    {"a b", "c", true},      {"a b", "A b", true},
        {"a b", "b a", false}, {"a b", "b c a", false}, {"a b", "", false}, // as asked for
        {"", "a", false},
    };
    struct config_credential strict = credential;
    strict.granted_scopes = GRANTED_REFUSE;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_slot slot = {.credential = &strict, .scope = TEXT(rows[i].asked)};
        char body[200];
        snprintf(body, sizeof body, "{" GOOD ",\"scope\":\"%s\"}", rows[i].answered);
        struct grant_answer answer = {.status = 200,
                                      .content_type = STR(JSON),
                                      .body = str_of(body),
                                      .slot = &slot,
                                      .server = "the server"};
        struct grant_result result;
        grant_parse(&answer, &result);
        assert_int_equal(result.failure != NULL, rows[i].is_refused);
        assert_int_equal(result.value.len == 0, rows[i].is_refused);
        if (result.failure) {
            assert_int_equal(result.failure->kind, FAILURE_REFUSED);
            assert_non_null(strstr(result.failure->text, "asked for 'a b', granted '"));
        }
        grant_result_fini(&result);
    }
}

static void test_details(void **state) // RA-2
{
    (void)state;
    static const struct {
        const char *asked, *answered, *granted;
    } rows[] = {
        {NULL, "", NULL},
        {NULL, ",\"authorization_details\":[]", NULL},
        {NULL, ",\"authorization_details\":\"all\"", NULL},
        {NULL, ",\"authorization_details\":[{\"type\":\"x\"}]", "[{'type':'x'}]"},
        {"[{\"n\":1,\"type\":\"x\"}]", "", NULL},
        {"[{\"n\":1,\"type\":\"x\"}]", ",\"authorization_details\":[{\"type\":\"x\", \"n\":1}]",
         NULL},
        {"[{\"type\":\"x\"},{\"type\":\"y\"}]",
         ",\"authorization_details\":[{\"type\":\"y\"},{\"type\":\"x\"}]", NULL},
        {"[{\"type\":\"x\"},{\"type\":\"y\"}]", ",\"authorization_details\":[{\"type\":\"y\"}]",
         "[{'type':'y'}]"},
        {"[{\"type\":\"x\"}]", ",\"authorization_details\":[]", "[]"},
        {"[{\"type\":\"x\"}]", ",\"authorization_details\":[{\"type\":\"x\\n\"}]",
         "[{'type':'x/n'}]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_slot slot = {.credential = &credential,
                                   .scope = TEXT(""),
                                   .authorization_details = TEXT(rows[i].asked)};
        char body[200];
        snprintf(body, sizeof body, "{" GOOD "%s}", rows[i].answered);
        struct grant_answer answer = {
            .status = 200, .content_type = STR(JSON), .body = str_of(body), .slot = &slot};
        struct grant_result result;
        grant_parse(&answer, &result);
        if ((rows[i].granted == NULL) != (result.granted_details == NULL) ||
            (rows[i].granted && strcmp(rows[i].granted, result.granted_details) != 0))
            fail_msg("row %zu: %s", i,
                     result.granted_details ? result.granted_details : "(as asked)");
        grant_result_fini(&result);
    }
}

static void test_long_details_are_only_told_of(void **state)
{
    (void)state;
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    char body[4200], filler[4001];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    snprintf(body, sizeof body, "{" GOOD ",\"authorization_details\":[\"%s\"]}", filler);
    struct grant_answer answer = {
        .status = 200, .content_type = STR(JSON), .body = str_of(body), .slot = &slot};
    struct grant_result result;
    grant_parse(&answer, &result);
    assert_string_equal(result.granted_details, "(4004 bytes of JSON)");
    grant_result_fini(&result);
}

static void test_token_types(void **state) // DP-3 OA-10
{
    (void)state;
    static const struct {
        bool is_dpop;
        const char *type, *text; // text NULL: accepted
    } rows[] = {
        {false, "Bearer", NULL},
        {true, "DPoP", NULL},
        {true, "dpop", NULL},
        {true, "Bearer", "its token_type is 'Bearer', not DPoP"},
        {true, "", "there is no token_type in it"},
        {false, "DPoP", "its token_type is 'DPoP', not Bearer"},
        {false, "mac", "its token_type is 'mac', not Bearer"},
    };
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"access_token\":\"tok\",\"token_type\":\"%s\"}",
                 rows[i].type);
        struct grant_answer answer = {.status = 200,
                                      .content_type = STR(JSON),
                                      .body = str_of(body),
                                      .slot = &slot,
                                      .is_dpop = rows[i].is_dpop,
                                      .server = "https://found.example.com/t"};
        struct grant_result result;
        grant_parse(&answer, &result);
        assert_int_equal(result.failure == NULL, rows[i].text == NULL);
        if (result.failure && (!strstr(result.failure->text, rows[i].text) ||
                               !strstr(result.failure->text, "https://found.example.com/t)")))
            fail_msg("row %zu: %s", i, result.failure->text);
        grant_result_fini(&result);
    }
}

static void test_refresh_token_is_ignored(void **state) // OA-13
{
    (void)state;
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    struct grant_answer answer = {.status = 200,
                                  .content_type = STR(JSON),
                                  .body = STR("{" GOOD ",\"refresh_token\":\"r\",\"other\":1}"),
                                  .slot = &slot};
    struct grant_result result;
    grant_parse(&answer, &result);
    assert_null(result.failure);
    grant_result_fini(&result);
}

struct retry_row {
    const char *field;
    uint64_t ms;
};

static const struct retry_row retry_rows[] = {
    {"", 0},
    {"0", 0},
    {"7", 7000},
    {" 30 ", 30000},
    {"3600", 3600000},
    {"99999", 3600000},
    {"18446744073709551615", 3600000},
    {"-5", 0},
    {"1.5", 0},
    {"soon", 0},
    // the clock of the test stands at Sun, 06 Nov 1994 08:49:37 GMT
    {"Sun, 06 Nov 1994 08:50:07 GMT", 30000},
    {"Sun, 06 Nov 1994 08:49:00 GMT", 0},
    {"Sun, 06 Nov 1994 23:49:37 GMT", 3600000},
    {"Sun, 06 Nov 1994 08:50:07", 0},
    {"Sun, 06 Nov 1994 08:50:07 GMT and then some more words to follow", 0},
};

static void test_retry_after(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(retry_rows); i++) {
        uint64_t ms = grant_error_retry_after(str_of(retry_rows[i].field), 784111777);
        if (ms != retry_rows[i].ms)
            fail_msg("%s: %llu", retry_rows[i].field, (unsigned long long)ms);
    }
    struct config_slot slot = {.credential = &credential, .scope = TEXT("")};
    struct grant_answer answer = {.status = 429, .retry_after = STR("7"), .slot = &slot};
    struct grant_result result;
    grant_parse(&answer, &result);
    assert_int_equal(result.retry_after_ms, 7000);
    grant_result_fini(&result);
}

static void test_clean_is_bounded(void **state) // OA-16
{
    (void)state;
    char out[8];
    grant_error_clean(STR("0123456789"), out, sizeof out);
    assert_string_equal(out, "0123456");
    grant_error_clean(STR_NONE, out, sizeof out);
    assert_string_equal(out, "");
    grant_error_clean(STR("a\0b\x7f"), out, sizeof out);
    assert_string_equal(out, "a?b?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_details),      cmocka_unit_test(test_long_details_are_only_told_of),
        cmocka_unit_test(test_token_types),  cmocka_unit_test(test_responses),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_fewer_scopes), cmocka_unit_test(test_refresh_token_is_ignored),
        cmocka_unit_test(test_retry_after),  cmocka_unit_test(test_clean_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
