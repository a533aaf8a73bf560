// SPDX-License-Identifier: MIT
// The identity of a slot: whatever changes the token that would be got changes the key (T01), and
// nothing slides from one field into the next (T02).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "token/store.h"

struct identity {
    struct config_credential credential, other;
    struct config_slot slot, authoriser;
    char *resource[2];
    struct config_header param[2], header[1];
    const char *secret;
};

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static void identity_init(struct identity *id)
{
    *id = (struct identity){
        .credential = {.name = text("main"),
                       .token_url.text = text("https://idp.example.com/token"),
                       .client_id = text("app"),
                       .param = {id->param, 2}},
        .other = {.name = text("other"), .client_id = text("base")},
        .slot = {.scope = text("a b"), .audience = text("api"), .resource = {id->resource, 2}},
        .authoriser = {.scope = text("login")},
        .resource = {text("https://a.example"), text("https://b.example")},
        .param = {{text("tenant"), text("one")}, {text("x"), text("y")}},
        .header = {{text("X-Tenant"), text("one")}},
        .secret = "s3cret",
    };
    id->slot.credential = &id->credential;
    id->authoriser.credential = &id->other;
}

static void key_of(const struct identity *id, char out[STORE_KEY_LEN + 1])
{
    store_key_of(&id->slot, str_of(id->secret), out);
}

#define CHANGE(name_, statement)                                                                   \
    static void change_##name_(struct identity *id)                                                \
    {                                                                                              \
        statement;                                                                                 \
    }
CHANGE(nothing, (void)id)
CHANGE(secret, id->secret = "s3creu")
CHANGE(no_secret, id->secret = "")
CHANGE(token_url, id->credential.token_url.text = text("https://idp.example.com/token2"))
CHANGE(issuer, id->credential.issuer = text("https://idp.example.com"))
CHANGE(client_id, id->credential.client_id = text("app2"))
CHANGE(method, id->credential.auth_method = AUTH_CLIENT_SECRET_POST)
CHANGE(source, id->credential.source = SOURCE_EXEC)
CHANGE(command, id->credential.command = text("/usr/bin/get-token"))
CHANGE(scope, id->slot.scope = text("a c"))
CHANGE(audience, id->slot.audience = text("api2"))
CHANGE(no_audience, id->slot.audience = NULL)
CHANGE(empty_audience, id->slot.audience = text(""))
CHANGE(resource, id->resource[1] = text("https://c.example"))
CHANGE(one_resource, id->slot.resource.count = 1)
CHANGE(param_value, id->param[0].value = text("two"))
CHANGE(param_name, id->param[0].name = text("tenants"))
CHANGE(one_param, id->credential.param.count = 1)
CHANGE(request_header, id->credential.request_header = ((struct config_headers){id->header, 1}))
CHANGE(details, id->slot.authorization_details = text("[{\"type\":\"x\"}]"))
CHANGE(dpop, id->credential.dpop = true)
CHANGE(bound, id->credential.certificate_bound = true)
CHANGE(certificate, id->credential.tls.cert_file = text("client.pem"))
CHANGE(assertion, id->credential.assertion_file = text("/run/token"))
CHANGE(assertion_audience, id->credential.assertion_audience = text("aud"))
CHANGE(granted, id->credential.granted_scopes = GRANTED_REFUSE)
CHANGE(login_url, id->credential.login.url.text = text("https://login.example.com"))
CHANGE(login_body, id->credential.login.body = text("{\"user\":\"x\"}"))
CHANGE(login_form, id->credential.login.is_form = true)
CHANGE(login_token, id->credential.login.token = text("/sessionToken"))
CHANGE(authoriser, id->slot.authoriser = &id->authoriser)
CHANGE(authoriser_scope, id->slot.authoriser = &id->authoriser;
       id->authoriser.scope = text("login2"))
CHANGE(authoriser_client, id->slot.authoriser = &id->authoriser;
       id->other.client_id = text("base2"))
// T02: the same bytes, cut elsewhere
CHANGE(slid_client, id->credential.client_id = text("p"); id->credential.issuer = text("ap"))
CHANGE(slid_param, id->param[0].name = text("tenanto"); id->param[0].value = text("ne"))
CHANGE(slid_scope, id->slot.scope = text("a ba"); id->slot.audience = text("pi"))
CHANGE(slid_resource, id->resource[0] = text("https://a.examplehttps://b.example");
       id->slot.resource.count = 1)
CHANGE(slid_audience, id->slot.scope = text("a bapi"); id->slot.audience = text(""))

static const struct {
    const char *name;
    void (*change)(struct identity *id);
} changes[] = {
#define ROW(name_)                                                                                 \
    {                                                                                              \
#name_, change_##name_                                                                     \
    }
    ROW(nothing),
    ROW(secret),
    ROW(no_secret),
    ROW(token_url),
    ROW(issuer),
    ROW(client_id),
    ROW(method),
    ROW(source),
    ROW(command),
    ROW(scope),
    ROW(audience),
    ROW(no_audience),
    ROW(empty_audience),
    ROW(resource),
    ROW(one_resource),
    ROW(param_value),
    ROW(param_name),
    ROW(one_param),
    ROW(request_header),
    ROW(details),
    ROW(dpop),
    ROW(certificate),
    ROW(bound),
    ROW(assertion),
    ROW(assertion_audience),
    ROW(granted),
    ROW(login_url),
    ROW(login_body),
    ROW(login_form),
    ROW(login_token),
    ROW(authoriser),
    ROW(authoriser_scope),
    ROW(authoriser_client),
    ROW(slid_client),
    ROW(slid_param),
    ROW(slid_scope),
    ROW(slid_resource),
    ROW(slid_audience),
};

static void test_all_differ(void **state)
{
    (void)state;
    char keys[ARRAY_LEN(changes)][STORE_KEY_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct identity id;
        identity_init(&id);
        changes[i].change(&id);
        key_of(&id, keys[i]);
        assert_int_equal(strlen(keys[i]), STORE_KEY_LEN);
        for (size_t j = 0; j < i; j++)
            if (strcmp(keys[i], keys[j]) == 0)
                fail_msg("%s and %s have the same key", changes[i].name, changes[j].name);
    }
}

static void test_what_is_no_identity(void **state)
{
    (void)state;
    struct identity one, other;
    char key[STORE_KEY_LEN + 1], same[STORE_KEY_LEN + 1];
    identity_init(&one);
    identity_init(&other);
    other.credential.name = text("renamed");
    other.credential.header = text("X-Token");
    other.credential.timeout_ms = 1;
    other.credential.clock_skew_ms = 7;
    other.slot.index = 5;
    key_of(&one, key);
    key_of(&other, same);
    assert_string_equal(key, same);
}

// Written down: were it to change, every store would be empty after an update, and a fleet that is
// updated one by one would not share.
static void test_stays_the_same(void **state)
{
    (void)state;
    struct identity id;
    char key[STORE_KEY_LEN + 1];
    identity_init(&id);
    key_of(&id, key);
    assert_string_equal(key, "ed083689fb4e37e38b364611d92ca75347855785395f10876bd76349a879af02");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"T01 T02 every field counts, and stands alone", test_all_differ, NULL, NULL, NULL},
        cmocka_unit_test(test_what_is_no_identity),
        cmocka_unit_test(test_stays_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
