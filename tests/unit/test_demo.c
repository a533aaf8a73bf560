// SPDX-License-Identifier: MIT
// The demo's built-in servers as values: what the authorization server refuses, what it grants, and
// that the upstream lets nobody in without the right scope. No sockets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/demo.h"

// "demo-client:" and the secret below, in base64.
#define SECRET    "00000000000000000000000000000000"
#define BASIC     "Basic ZGVtby1jbGllbnQ6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="
#define BASIC_BAD "Basic ZGVtby1jbGllbnQ6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDE="

static void answer_init(struct demo_answer *answer)
{
    *answer = (struct demo_answer){0};
    buf_init(&answer->body, 65536);
}

static void request_init(struct request *request, const char *method, const char *target,
                         const char *authorization)
{
    *request = (struct request){.method = str_of(method), .target = str_of(target)};
    if (authorization)
        assert_true(fields_add(&request->fields, STR("Authorization"), str_of(authorization)));
}

static bool has(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void test_token_endpoint(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *authorization, *body;
        int status;
        const char *part;
    } rows[] = {
        {"POST", "/token", BASIC, "grant_type=client_credentials&scope=items%3Aread", 200,
         "\"scope\":\"items:read\""},
        {"POST", "/token", BASIC, "scope=items:write+items:read&grant_type=client_credentials", 200,
         "\"scope\":\"items:read items:write\""},
        {"POST", "/token", BASIC_BAD, "grant_type=client_credentials&scope=items:read", 401,
         "invalid_client"},
        {"POST", "/token", NULL, "grant_type=client_credentials&scope=items:read", 401,
         "invalid_client"},
        {"POST", "/token", BASIC, "grant_type=password&scope=items:read", 400,
         "unsupported_grant_type"},
        {"POST", "/token", BASIC, "scope=items:read", 400, "unsupported_grant_type"},
        {"POST", "/token", BASIC, "grant_type=client_credentials", 400, "invalid_scope"},
        {"POST", "/token", BASIC, "grant_type=client_credentials&scope=items:read+admin", 400,
         "invalid_scope"},
        {"POST", "/token", BASIC, "grant_type=client_credentials&scope=items%3", 400,
         "invalid_scope"},
        {"POST", "/token", BASIC, "grant_type=client_credentials&scope=items:read&scope=", 400,
         "invalid_scope"},
        {"GET", "/token", BASIC, "", 405, "invalid_request"},
        {"POST", "/other", BASIC, "", 404, "not_found"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct demo_tokens tokens = {.client_secret = SECRET};
        struct request request;
        struct demo_answer answer;
        answer_init(&answer);
        request_init(&request, rows[i].method, rows[i].target, rows[i].authorization);
        demo_auth_answer(&tokens, &request, str_of(rows[i].body), &answer);
        if (answer.status != rows[i].status || !has(buf_str(&answer.body), rows[i].part))
            fail_msg("row %zu: %d %.*s", i, answer.status, STR_ARG(buf_str(&answer.body)));
        assert_int_equal(tokens.next, rows[i].status == 200);
        buf_fini(&answer.body);
    }
}

static int upstream_status(struct demo_tokens *tokens, const char *method, const char *token,
                           struct demo_answer *answer)
{
    char authorization[80];
    struct request request;
    answer_init(answer);
    snprintf(authorization, sizeof authorization, "Bearer %s", token ? token : "");
    request_init(&request, method, "/items", token ? authorization : NULL);
    demo_upstream_answer(tokens, &request, STR_NONE, answer);
    return answer->status;
}

static void test_upstream(void **state)
{
    (void)state;
    static const struct {
        const char *method, *token;
        int status;
    } rows[] = {
        {"GET", "reads", 200},  {"HEAD", "reads", 200},  {"POST", "reads", 403},
        {"POST", "both", 200},  {"DELETE", "both", 200}, {"GET", "expired", 401},
        {"GET", "nobody", 401}, {"GET", "", 401},        {"GET", NULL, 401},
        {"GET", "reads2", 401},
    };
    uint64_t later_us = clock_boottime_us() + 60000000;
    struct demo_tokens tokens = {.items = {
                                     {.value = "reads", .scopes = DEMO_READ},
                                     {.value = "both", .scopes = DEMO_READ | DEMO_WRITE},
                                     {.value = "expired", .scopes = DEMO_READ},
                                 }};
    tokens.items[0].expires_us = tokens.items[1].expires_us = later_us;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct demo_answer answer;
        int status = upstream_status(&tokens, rows[i].method, rows[i].token, &answer);
        if (status != rows[i].status)
            fail_msg("row %zu: %d", i, status);
        if (rows[i].token && *rows[i].token)
            assert_false(has(buf_str(&answer.body), rows[i].token));
        buf_fini(&answer.body);
    }
}

// What the table calls "fetched" and "from cache".
static void test_upstream_counts_uses(void **state)
{
    (void)state;
    struct demo_tokens tokens = {.items = {{.value = "reads", .scopes = DEMO_READ}}};
    tokens.items[0].expires_us = UINT64_MAX;
    for (unsigned i = 0; i < 3; i++) {
        struct demo_answer answer;
        char uses[12];
        assert_int_equal(upstream_status(&tokens, "GET", "reads", &answer), 200);
        const struct field *field = fields_find(&answer.fields, STR("Demo-Token-Uses"));
        snprintf(uses, sizeof uses, "%u", i);
        assert_non_null(field);
        assert_true(str_eq(field->value, str_of(uses)));
        buf_fini(&answer.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_endpoint),
        cmocka_unit_test(test_upstream),
        cmocka_unit_test(test_upstream_counts_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
