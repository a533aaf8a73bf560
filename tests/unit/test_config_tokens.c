// SPDX-License-Identifier: MIT
// The settings of tokens: what each source and method needs and does not use, catalogues of scopes,
// logins, bound tokens, the store. Each fault gives one message and no second one in its wake.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "config/template.h"

#define TOKEN_URL "token_url = https://idp.example.com/token\n"
#define SECRET    "client_secret = s\n"
#define CLIENT    "client_id = id\n" SECRET
#define UPSTREAM  "url = https://api.example.com\n"

// [credential main] in line 1, then whole sections; [upstream api] and [route read] at the end.
static char *compose(const char *credential, const char *more, const char *route)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_true(buf_printf(&text,
                           "[credential main]\n%s%s[upstream api]\n" UPSTREAM
                           "[route read]\nmatch = /\ncredential = main\n%s",
                           credential, more ? more : "", route ? route : ""));
    return buf_take(&text);
}

struct row {
    const char *credential, *want; // the messages; "" for none
    const char *more, *route;
};

// The folder of the files, which differs from run to run, becomes @.
static char *without_folder(char *taken)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    const char *rest = taken;
    for (const char *at; (at = strstr(rest, text_folder)) != NULL;) {
        assert_true(buf_printf(&out, "%.*s@", (int)(at - rest), rest));
        rest = at + strlen(text_folder);
    }
    assert_true(buf_append(&out, str_of(rest)));
    mem_free(taken);
    return buf_take(&out);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *said, want[1024], *ini = compose(rows[i].credential, rows[i].more, rows[i].route);
        struct config *config = text_load(ini, &said);
        said = without_folder(said);
        snprintf(want, sizeof want, "%s%s", rows[i].want, *rows[i].want ? "\n" : "");
        assert_string_equal(said, want);
        assert_int_equal(config == NULL, *rows[i].want != '\0');
        mem_free(said);
        mem_free(ini);
        config_unref(config);
    }
}

static struct config *load_ok(const char *credential, const char *more, const char *route)
{
    char *said, *ini = compose(credential, more, route);
    struct config *config = text_load(ini, &said);
    if (!config)
        fail_msg("%s", said);
    mem_free(said);
    mem_free(ini);
    return config;
}

static int setup(void **state)
{
    setenv("BEARERD_U", "user", 1);
    setenv("BEARERD_PEM", "-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n", 1);
    setenv("BEARERD_32", "0123456789abcdef0123456789abcdef", 1);
    unsetenv("BEARERD_UNSET");
    if (text_setup(state) != 0)
        return -1;
    text_write("c.pem", "-----BEGIN CERTIFICATE-----\n");
    text_write("d.pem", "-----BEGIN CERTIFICATE-----\n");
    text_write("k.pem", "-----BEGIN PRIVATE KEY-----\n");
    return 0;
}

static int teardown(void **state)
{
    text_remove("c.pem");
    text_remove("d.pem");
    text_remove("k.pem");
    return text_teardown(state);
}

// --- what a credential needs

static void test_issuer(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"issuer = https://idp.example.com/tenant/\n" CLIENT, ""},
        {"issuer = http://127.0.0.1:1\n" CLIENT, ""},
        {"issuer = http://idp\nallow_plaintext = yes\n" CLIENT, ""},
        {CLIENT, "1: [credential main]: token_url is missing, as in \"token_url = "
                 "https://idp.example.com/oauth2/token\""},
        {TOKEN_URL "issuer = https://idp\n" CLIENT,
         "3: [credential main] issuer: token_url is there, too; one of them is enough"},
        {"isuer = https://idp\n" CLIENT, // misspelt is not missing
         "2: [credential main] isuer: unknown key; did you mean \"issuer\"?"},
        // MD-3
        {"issuer = http://idp\n" CLIENT,
         "2: [credential main] issuer: http://idp is not encrypted: what is sent can be read on "
         "the way; use https://, or add allow_plaintext = yes"},
        {"issuer = https://idp?a\n" CLIENT,
         "2: [credential main] issuer: an issuer has no query (RFC 8414, 2)"},
        {"issuer = https://idp#a\n" CLIENT,
         "2: [credential main] issuer: a fragment (#…) has no meaning here"},
        {"issuer = idp\n" CLIENT,
         "2: [credential main] issuer: a URL starts with https:// or http://"},
        {"issuer =\n" CLIENT, "2: [credential main] issuer: the value is empty"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    // MD-2: as written, letter by letter
    struct config *config = load_ok("issuer = https://IDP.example.com:443/\n" CLIENT, NULL, NULL);
    assert_string_equal(config->credentials[0]->issuer, "https://IDP.example.com:443/");
    assert_null(config->credentials[0]->token_url.text);
    assert_true(config->credentials[0]->has_endpoint);
    config_unref(config);
}

#define BY(method) TOKEN_URL "auth_method = " method "\n"

static void test_methods(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BY("client_secret_basic") CLIENT "client_secret_next = t\n", ""},
        {BY("client_secret_jwt") "client_id = id\nclient_secret = env:BEARERD_32\n", ""},
        {BY("private_key_jwt") "client_id = id\nsigning_key = env:BEARERD_PEM\nkey_id = k\n"
                               "signing_certificate = c.pem\nassertion_audience = https://idp\n"
                               "assertion_type = client-authentication+jwt\n",
         ""},
        {BY("tls_client_auth") "client_id = id\ncert_file = c.pem\nkey_file = k.pem\n", ""},
        {BY("self_signed_tls_client_auth") "client_id = id\ncert_file = c.pem\nkey_file = k.pem\n",
         ""},
        {BY("assertion_file") "assertion_file = c.pem\n", ""},
        {BY("assertion_file") "assertion_file = c.pem\nclient_id = id\n", ""},
        // what is needed
        {TOKEN_URL SECRET, "1: [credential main]: client_id is missing, as in \"client_id = "
                           "legacy-app\""},
        {BY("client_secret_jwt") "client_id = id\n",
         "1: [credential main]: client_secret is missing, as in \"client_secret = "
         "env:CLIENT_SECRET\""},
        {BY("private_key_jwt") "client_id = id\n",
         "1: [credential main]: signing_key is missing, as in \"signing_key = "
         "file:/etc/bearerd/signing.pem\""},
        {BY("assertion_file"), "1: [credential main]: assertion_file is missing, as in "
                               "\"assertion_file = /var/run/secrets/tokens/idp\""},
        {BY("assertion_file") "assertion_file = ${BEARERD_UNSET:-}\n",
         "1: [credential main]: assertion_file is missing, as in "
         "\"assertion_file = /var/run/secrets/tokens/idp\""},
        {BY("self_signed_tls_client_auth") "client_id = id\n",
         "1: [credential main]: cert_file is missing, as in \"cert_file = "
         "/etc/bearerd/client.pem\""},
        // what is not used
        {BY("none") CLIENT, "5: [credential main] client_secret: is not used with auth_method = "
                            "none"},
        {BY("tls_client_auth") "client_id = id\ncert_file = c.pem\nkey_file = k.pem\n" SECRET,
         "7: [credential main] client_secret: is not used with auth_method = tls_client_auth"},
        {TOKEN_URL CLIENT "signing_key = env:BEARERD_PEM\n",
         "5: [credential main] signing_key: is not used with auth_method = client_secret_basic"},
        {BY("client_secret_post") CLIENT "basic_encoding = raw\n",
         "6: [credential main] basic_encoding: is not used with auth_method = client_secret_post"},
        {TOKEN_URL CLIENT "assertion_audience = a\n",
         "5: [credential main] assertion_audience: is not used with auth_method = "
         "client_secret_basic"},
        {TOKEN_URL CLIENT "assertion_file = c.pem\n",
         "5: [credential main] assertion_file: is not used with auth_method = client_secret_basic"},
        {BY("client_secret_jwt") "client_id = id\nclient_secret = env:BEARERD_32\n"
                                 "signing_certificate = c.pem\n",
         "6: [credential main] signing_certificate: is not used with auth_method = "
         "client_secret_jwt"},
        // a slip in the method itself has no faults in its wake
        {BY("private_key_jtw") "client_id = id\n",
         "3: [credential main] auth_method: unknown value \"private_key_jtw\"; did you mean "
         "\"private_key_jwt\"?"},
        {TOKEN_URL "auth_methd = private_key_jwt\nclient_id = id\n",
         "3: [credential main] auth_methd: unknown key; did you mean \"auth_method\"?"},
        {BY("${BEARERD_UNSET}") "client_id = id\n",
         "3: auth_method: the environment variable BEARERD_UNSET is not set "
         "(${BEARERD_UNSET:-default} would give it a default)"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_signing(void **state)
{
    (void)state;
#define BY_KEY    BY("private_key_jwt") "client_id = id\nsigning_key = env:BEARERD_PEM\n"
#define BY_SECRET BY("client_secret_jwt") "client_id = id\nclient_secret = env:BEARERD_32\n"
    static const struct row rows[] = {
        {BY_KEY "signing_alg = EdDSA\n", ""},
        {BY_SECRET "signing_alg = HS256\n", ""},
        {BY_KEY "signing_alg = ES265\n",
         "6: [credential main] signing_alg: unknown value \"ES265\"; did you mean \"ES256\"?"},
        {BY_KEY "signing_alg = none\n",
         "6: [credential main] signing_alg: unknown value \"none\"; it must be RS256, RS384, "
         "RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384 or HS512"},
        {BY_KEY "signing_alg = HS256\n",
         "6: [credential main] signing_alg: HS… signs with a secret: that is auth_method = "
         "client_secret_jwt"},
        {BY_SECRET "signing_alg = ES256\n",
         "6: [credential main] signing_alg: client_secret_jwt signs with HS256, HS384 or HS512; "
         "the others need a key: auth_method = private_key_jwt"},
        // RFC 7518, 3.2
        {BY("client_secret_jwt") "client_id = id\nclient_secret = "
                                 "31aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
         "5: [credential main] client_secret: the value of (literal) has 31 bytes; 32 is the "
         "least"},
        {BY_SECRET "signing_alg = HS512\n",
         "5: [credential main] client_secret: the value of env:BEARERD_32 has 32 bytes; 64 is the "
         "least"},
        {BY_SECRET "client_secret_next = short\n",
         "6: [credential main] client_secret_next: the value of (literal) has 5 bytes; 32 is the "
         "least"},
        {BY("private_key_jwt") "client_id = id\nsigning_key = env:BEARERD_32\n",
         "5: [credential main] signing_key: the value of env:BEARERD_32 is no private key in PEM: "
         "it has no -----BEGIN … PRIVATE KEY----- line"},
        {BY("private_key_jwt") "client_id = id\nsigning_key = file:c.pem\n",
         "5: [credential main] signing_key: the value of file:@/c.pem is no private key in PEM: "
         "it has no -----BEGIN … PRIVATE KEY----- line"},
        {BY_KEY "assertion_type = jwt\n",
         "6: [credential main] assertion_type: unknown value \"jwt\"; it must be JWT or "
         "client-authentication+jwt"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    static const char *const defaults[][2] = {
        {BY_KEY, "RS256"}, {BY_SECRET, "HS256"}, {TOKEN_URL CLIENT, NULL}};
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        struct config *config = load_ok(defaults[i][0], NULL, NULL);
        const struct config_credential *credential = config->credentials[0];
        if (defaults[i][1])
            assert_string_equal(credential->signing_alg, defaults[i][1]);
        else
            assert_null(credential->signing_alg);
        assert_string_equal(credential->assertion_type, "JWT");
        config_unref(config);
    }
    struct config *config =
        load_ok(BY("self_signed_tls_client_auth") "client_id = id\ncert_file = c.pem\n"
                                                  "key_file = k.pem\n",
                NULL, NULL);
    assert_int_equal(config->credentials[0]->auth_method, AUTH_TLS_CLIENT);
    config_unref(config);
}

static void test_sources(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"source = exec\ncommand = /bin/true -a 'b c'\nscopes = a\naudience = b\n", ""},
        {"source = exec\ncommand = /bin/true\n" TOKEN_URL CLIENT, ""},
        {"source = static\ntoken = t\ntoken_expires = 2999-01-31T12:00:00Z\n", ""},
        {"source = static\ntoken = t\ntoken_expires = 32503680000\n" TOKEN_URL CLIENT, ""},
        {"source = exec\n", "1: [credential main]: command is missing, as in \"command = "
                            "/usr/local/bin/get-token --profile prod\""},
        {"source = static\n", "1: [credential main]: token is missing, as in \"token = "
                              "file:/etc/bearerd/api_token\""},
        {"source = exec\ncommand = get-token\n",
         "3: [credential main] command: a command starts with an absolute path, as in "
         "/usr/local/bin/get-token: there is no shell to search for it"},
        {"source = exec\ncommand = /bin/true 'a\n",
         "3: [credential main] command: the closing ' is missing"},
        {"source = exec\ncommand = /bin/true\nclient_id = id\n",
         "4: [credential main] client_id: is not used with source = exec, unless there is "
         "token_url or issuer"},
        {"source = exec\ncommand = /bin/true\n" TOKEN_URL "client_id = id\n",
         "1: [credential main]: client_secret is missing, as in \"client_secret = "
         "env:CLIENT_SECRET\""},
        {"source = static\ntoken = t\nscopes = a\n",
         "4: [credential main] scopes: is not used with source = static, unless there is token_url "
         "or issuer"},
        {"source = static\ntoken = t\non_token_update = /bin/true\n",
         "4: [credential main] on_token_update: is not used with source = static, unless there is "
         "token_url or issuer"},
        {"source = static\ntoken = t\nidle_ttl = 20m\n",
         "4: [credential main] idle_ttl: is not used with source = static, unless there is "
         "token_url or issuer"},
        {"source = static\ntoken = t\n" TOKEN_URL CLIENT "clock_skew = 1s\nrefresh_before = 2s\n",
         "4: [credential main] token_url: is not used: the token never expires; say when it does "
         "(token_expires), or take it out\n"
         "7: [credential main] clock_skew: is not used: the token never expires; say when it does "
         "(token_expires), or take it out\n"
         "8: [credential main] refresh_before: is not used: the token never expires; say when it "
         "does (token_expires), or take it out"},
        {"source = static\ntoken = t\ntoken_expires = 2999-01-31T12:00:00Z\nclock_skew = 1s\n", ""},
        {"source = static\ntoken = t\ncommand = /bin/true\n",
         "4: [credential main] command: is not used with source = static"},
        {TOKEN_URL CLIENT "command = /bin/true\n",
         "5: [credential main] command: is not used with source = oauth"},
        {TOKEN_URL CLIENT "token = t\n",
         "5: [credential main] token: is not used with source = oauth"},
        {TOKEN_URL CLIENT "login_ttl = 1h\n",
         "5: [credential main] login_ttl: is not used with source = oauth"},
        {"source = oauht\n", "2: [credential main] source: unknown value \"oauht\"; did you mean "
                             "\"oauth\"?"},
        {"source = static\ntoken = t\ntoken_expires = 2030-02-30T12:00:00Z\n",
         "4: [credential main] token_expires: \"2030-02-30T12:00:00Z\" is neither a time in UTC, "
         "as 2030-01-31T12:00:00Z is, nor seconds since 1970"},
        {"source = static\ntoken = t\ntoken_expires = 2030-01-31T12:00:00+01:00\n",
         "4: [credential main] token_expires: \"2030-01-31T12:00:00+01:00\" is neither a time in "
         "UTC, as 2030-01-31T12:00:00Z is, nor seconds since 1970"},
        {"source = static\ntoken = t\ntoken_expires = 0\n",
         "4: [credential main] token_expires: \"0\" is neither a time in UTC, as "
         "2030-01-31T12:00:00Z is, nor seconds since 1970"},
        {TOKEN_URL CLIENT "hook_timeout = 1s\n",
         "5: [credential main] hook_timeout: is not used without on_token_update"},
        {TOKEN_URL CLIENT "on_token_update = x\n",
         "5: [credential main] on_token_update: a command starts with an absolute path, as in "
         "/usr/local/bin/get-token: there is no shell to search for it"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    struct config *config =
        load_ok("source = static\ntoken = t\ntoken_expires = 2030-01-31T12:34:56Z\n", NULL, NULL);
    assert_int_equal(config->credentials[0]->token_expires_s, 1896093296);
    assert_false(config->credentials[0]->has_endpoint);
    config_unref(config);
}

// --- parameters and fields of the token request

static void test_params(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOKEN_URL CLIENT "param = tenant acme  corp\nparam = a =b&c\n"
                          "request_header = X-A: b\n",
         ""},
        {TOKEN_URL CLIENT "param = tenant\n",
         "5: [credential main] param: there is no value; write it as name value"},
        {TOKEN_URL CLIENT "param = tenant a\nparam = tenant b\n",
         "6: [credential main] param: tenant is set twice in this section"},
        // OA-2
        {TOKEN_URL CLIENT "param = grant_type password\n",
         "5: [credential main] param: grant_type is a parameter that bearerd itself sends"},
        {TOKEN_URL CLIENT "param = scope a\n",
         "5: [credential main] param: scope has a setting of its own: scopes"},
        {TOKEN_URL CLIENT "param = client_secret a\n",
         "5: [credential main] param: client_secret has a setting of its own: client_secret"},
        {TOKEN_URL CLIENT "param = \xc3\xa4 a\n",
         "5: [credential main] param: a parameter's name must be printable ASCII"},
        // OA-4
        {TOKEN_URL CLIENT "request_header = authorization: Basic x\n",
         "5: [credential main] request_header: Authorization is a field that bearerd itself sends"},
        {TOKEN_URL "client_id = id\nauth_method = none\nrequest_header = Authorization: x y\n", ""},
        {TOKEN_URL CLIENT "request_header = Content-type: text/plain\n",
         "5: [credential main] request_header: Content-Type is a field that bearerd itself sends"},
        {TOKEN_URL CLIENT "request_header = Host: a\n",
         "5: [credential main] request_header: Host is a field that bearerd itself sets; "
         "host_header of an upstream changes it"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    struct config *config = load_ok(rows[0].credential, NULL, NULL);
    const struct config_credential *credential = config->credentials[0];
    assert_int_equal(credential->param.count, 2);
    assert_string_equal(credential->param.items[0].name, "tenant");
    assert_string_equal(credential->param.items[0].value, "acme  corp");
    assert_string_equal(credential->param.items[1].value, "=b&c");
    assert_string_equal(credential->request_header.items[0].name, "X-A");
    config_unref(config);
}

// RA-1, RA-2
static void test_authorization_details(void **state)
{
    (void)state;
#define DETAILS(json) TOKEN_URL CLIENT "authorization_details = " json "\n"
    static const struct row rows[] = {
        {DETAILS("[]"), "5: [credential main] authorization_details: it must be a JSON array of "
                        "objects, as in [{\"type\":\"…\"}] (RFC 9396, 2)"},
        {DETAILS("{\"type\":\"a\"}"),
         "5: [credential main] authorization_details: it must be a JSON array of "
         "objects, as in [{\"type\":\"…\"}] (RFC 9396, 2)"},
        {DETAILS("[{\"type\":\"a\"},{\"typ\":\"a\"}]"),
         "5: [credential main] authorization_details: element 2 is no object with a string "
         "\"type\" (RFC 9396, 2)"},
        {DETAILS("[{\"type\":7}]"),
         "5: [credential main] authorization_details: element 1 is no object with a string "
         "\"type\" (RFC 9396, 2)"},
        {DETAILS("[{\"type\":\"a\",\"type\":\"b\"}]"),
         "5: [credential main] authorization_details: this is no valid JSON, as seen at character "
         "19"},
        {DETAILS("[{\"type\":\"a\"}"),
         "5: [credential main] authorization_details: this is no valid JSON, as seen at character "
         "13"},
        {DETAILS("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
         "5: [credential main] authorization_details: the JSON text is nested deeper than 16"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    struct config *config = load_ok(DETAILS("[ {\"type\": \"a\", \"b\": [1, 2.5] } ]"), NULL,
                                    "[route same]\nmatch = /s\ncredential = main\n"
                                    "authorization_details = [{\"b\":[1,2.5],\"type\":\"a\"}]\n"
                                    "[route other]\nmatch = /o\ncredential = main\n"
                                    "authorization_details = [{\"type\":\"b\"}]\n");
    assert_string_equal(config->credentials[0]->authorization_details,
                        "[{\"b\":[1,2.5],\"type\":\"a\"}]");
    assert_int_equal(config->slot_count, 2); // equal ones share a token
    assert_ptr_equal(config->routes[0]->slots[0], config->routes[1]->slots[0]);
    assert_string_equal(config->routes[2]->slots[0]->authorization_details, "[{\"type\":\"b\"}]");
    config_unref(config);
}

// --- bound tokens

static void test_dpop(void **state)
{
    (void)state;
#define DPOP TOKEN_URL CLIENT "dpop = yes\n"
    static const struct row rows[] = {
        {DPOP, ""},
        {DPOP "prefix = DPoP\nheader = authorization\ndpop_key = env:BEARERD_PEM\n", ""},
        {DPOP "header = X-Token\n",
         "6: [credential main] header: a token bound to a key (dpop = yes) is sent in "
         "Authorization (RFC 9449, 7.1)"},
        {DPOP "prefix = Bearer\n",
         "6: [credential main] prefix: before a token bound to a key (dpop = yes) stands DPoP (RFC "
         "9449, 7.1)"},
        {DPOP "dpop_key = env:BEARERD_32\n",
         "6: [credential main] dpop_key: the value of env:BEARERD_32 is no private key in PEM: it "
         "has no -----BEGIN … PRIVATE KEY----- line"},
        {TOKEN_URL CLIENT "dpop_key = env:BEARERD_PEM\n",
         "5: [credential main] dpop_key: is not used without dpop = yes"},
        {"source = exec\ncommand = /bin/true\ndpop = yes\n",
         "4: [credential main] dpop: is not used with source = exec"},
        {DPOP,
         "11: [route read] set_header: DPoP is the field of the proofs that route read sends "
         "(dpop = yes in [credential main])",
         NULL, "set_header = dpop: x\n"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    struct config *config = load_ok(DPOP, NULL, NULL);
    assert_string_equal(config->credentials[0]->prefix, "DPoP");
    config_unref(config);
}

// MT-2
static void test_certificate_bound(void **state)
{
    (void)state;
#define BOUND TOKEN_URL CLIENT "certificate_bound = yes\n"
#define CERTS "cert_file = c.pem\nkey_file = k.pem\n"
    static const char route[] = "[route read]\nmatch = /\n";
    static const struct {
        const char *credential, *upstream, *want;
    } rows[] = {
        {BOUND CERTS, UPSTREAM CERTS, ""},
        {TOKEN_URL CLIENT CERTS, UPSTREAM, ""},
        {BOUND CERTS, UPSTREAM,
         "10: [route read]: tokens of credential main are bound to a certificate: upstream api "
         "needs cert_file = @/c.pem, too\n"},
        {BOUND CERTS, UPSTREAM "cert_file = d.pem\nkey_file = k.pem\n",
         "12: [route read]: tokens of credential main are bound to a certificate: upstream api "
         "needs cert_file = @/c.pem, too\n"},
        {BOUND, UPSTREAM,
         "5: [credential main] certificate_bound: needs cert_file: the certificate they are bound "
         "to\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        assert_true(buf_printf(&text, "[credential main]\n%s[upstream api]\n%s%s",
                               rows[i].credential, rows[i].upstream, route));
        char *ini = buf_take(&text), *said;
        struct config *config = text_load(ini, &said);
        said = without_folder(said);
        assert_string_equal(said, rows[i].want);
        assert_int_equal(config == NULL, *rows[i].want != '\0');
        config_unref(config);
        mem_free(said);
        mem_free(ini);
    }
}

// --- login

#define LOGIN_URL  "login_url = https://api.example.com/login\n"
#define LOGIN_BODY "login_body = {\"u\":\"%{env:BEARERD_U}\"}\n"
#define LOGIN      "source = login\n" LOGIN_URL LOGIN_BODY "login_token = /token\n"
#define OTHER      "[credential other]\n" TOKEN_URL CLIENT
#define BOUND_TO   "certificate_bound = yes\n" CERTS

static void test_login(void **state)
{
    (void)state;
    static const char later[] = "[credential other]\nsource = login\n" LOGIN_URL LOGIN_BODY
                                "login_token = /token\nlogin_credential = main\n";
    static const struct row rows[] = {
        {LOGIN "login_lifetime = /a~1b/0/~0\nlogin_ttl = 12h\nidle_ttl = 20m\nprefix =\n", ""},
        {"source = login\n" LOGIN_URL "login_body = u=%{env:BEARERD_U}&p=1\n"
         "login_body_type = form\nlogin_token = /t\n",
         ""},
        {LOGIN "login_credential = other\n", "", OTHER, NULL},
        {"source = login\n" LOGIN_URL LOGIN_BODY,
         "1: [credential main]: login_token is missing, as in \"login_token = /sessionToken\""},
        {"source = login\n" LOGIN_URL "login_token = /t\n",
         "1: [credential main]: login_body is missing, as in \"login_body = "
         "{\"username\":\"%{env:API_USER}\",\"password\":\"%{env:API_PASSWORD}\"}\""},
        {"source = login\n" LOGIN_BODY "login_token = /t\n",
         "1: [credential main]: login_url is missing, as in \"login_url = "
         "https://api.example.com/session/login\""},
        {"source = login\nlogin_url = http://api\n" LOGIN_BODY "login_token = /t\n",
         "3: [credential main] login_url: http://api is not encrypted: what is sent can be read on "
         "the way; use https://, or add allow_plaintext = yes"},
        {"source = login\n" LOGIN_URL "login_body = {\"u\":\"%{env:BEARERD_UNSET}\"}\n"
         "login_token = /t\n",
         "4: [credential main] login_body: the environment variable BEARERD_UNSET is not set"},
        {"source = login\n" LOGIN_URL "login_body = {\"u\":\"%{hunter2}\"}\nlogin_token = /t\n",
         "4: [credential main] login_body: %{…} must hold env:NAME, file:PATH or credential:NAME"},
        {"source = login\n" LOGIN_URL "login_body = {\"u\":\"%{env:BEARERD_U\"\nlogin_token = /t\n",
         "4: [credential main] login_body: the } behind %{ is missing"},
        {"source = login\n" LOGIN_URL "login_body = {\"u\":%{env:BEARERD_U}}\nlogin_token = /t\n",
         "4: [credential main] login_body: this is no valid JSON, as seen at character 6"},
        {LOGIN "login_body_type = xml\n",
         "6: [credential main] login_body_type: unknown value \"xml\"; it must be json or form"},
        {"source = login\n" LOGIN_URL LOGIN_BODY "login_token = token\n",
         "5: [credential main] login_token: a JSON pointer (RFC 6901) starts with \"/\", as in "
         "/sessionToken"},
        {"source = login\n" LOGIN_URL LOGIN_BODY "login_token = /a~2\n",
         "5: [credential main] login_token: in a JSON pointer, \"~\" is written ~0 and \"/\" ~1"},
        {LOGIN "scopes = a\n", "6: [credential main] scopes: is not used with source = login"},
        {LOGIN TOKEN_URL, "6: [credential main] token_url: is not used with source = login"},
        {LOGIN "login_credential = othr\n",
         "6: [credential main] login_credential: there is no [credential othr]; did you mean "
         "\"other\"?",
         OTHER, NULL},
        {LOGIN "login_credential = main\n", "6: [credential main] login_credential: goes round in "
                                            "a circle: no login could be the first"},
        {LOGIN "login_credential = other\n",
         "6: [credential main] login_credential: goes round in a circle: no login could be "
         "the first\n"
         "12: [credential other] login_credential: goes round in a circle: no login could be "
         "the first",
         later, NULL},
        {LOGIN "login_credential = other\n",
         "6: [credential main] login_credential: tokens of other are bound to a key (dpop = yes); "
         "a login cannot bear them",
         OTHER "dpop = yes\n", NULL},
        {LOGIN "login_credential = other\n",
         "6: [credential main] login_credential: tokens of other are bound to a certificate: the "
         "login needs cert_file = @/c.pem, too",
         OTHER BOUND_TO, NULL},
        {LOGIN "login_credential = other\ncert_file = d.pem\nkey_file = k.pem\n",
         "6: [credential main] login_credential: tokens of other are bound to a certificate: the "
         "login needs cert_file = @/c.pem, too",
         OTHER BOUND_TO, NULL},
        {LOGIN "login_credential = other\n" CERTS, "", OTHER BOUND_TO, NULL},
        {LOGIN "login_credential = other\n", "", OTHER CERTS, NULL},
        {LOGIN "login_credential = other\nrequest_header = X_S: x\n",
         "7: [credential main] request_header: X-S is the field that the token of other is sent "
         "in",
         OTHER "header = X-S\n", NULL},
        {LOGIN "login_credential = other\nrequest_header = authorization: x\n",
         "7: [credential main] request_header: Authorization is the field that the token of other "
         "is sent in",
         OTHER, NULL},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_template(void **state)
{
    (void)state;
    struct config *config =
        load_ok("source = login\n" LOGIN_URL "login_body = a=%{file:c.pem}&b=%%{env:BEARERD_U}%\n"
                "login_body_type = form\nlogin_token = /t\n",
                NULL, NULL);
    char *body = without_folder(mem_strdup(config->credentials[0]->login.body));
    assert_string_equal(body, "a=%{file:@/c.pem}&b=%%{env:BEARERD_U}%");
    struct str rest = str_of(body), before, reference;
    assert_true(template_next(&rest, &before, &reference));
    assert_true(str_eq(before, STR("a=")) && str_eq(reference, STR("file:@/c.pem")));
    assert_true(template_next(&rest, &before, &reference));
    assert_true(str_eq(before, STR("&b=%")) && str_eq(reference, STR("env:BEARERD_U")));
    assert_false(template_next(&rest, &before, &reference));
    assert_true(str_eq(before, STR("%")));
    mem_free(body);
    config_unref(config);
}

static void test_login_slots(void **state)
{
    (void)state;
    struct config *config =
        load_ok(LOGIN "login_credential = other\nheader = X-S\n", OTHER "scopes = b\n",
                "[route two]\nmatch = /2\ncredential = other main\nscopes = a\n"
                "[route three]\nmatch = /3\ncredential = main\n");
    // One session for all, whatever scopes the routes need; and the authoriser's own token.
    assert_int_equal(config->slot_count, 3);
    const struct config_slot *session = config->routes[0]->slots[0];
    assert_ptr_equal(config->routes[1]->slots[1], session);
    assert_ptr_equal(config->routes[2]->slots[0], session);
    assert_string_equal(session->scope, "");
    assert_null(session->audience);
    assert_non_null(session->authoriser);
    assert_true(session->authoriser->index < session->index);
    assert_string_equal(session->authoriser->scope, "b");
    assert_string_equal(session->authoriser->credential->name, "other");
    assert_string_equal(config->routes[1]->slots[0]->scope, "a b");
    config_unref(config);
}

// --- catalogue of scopes

#define CATALOGUE                                                                                  \
    "[scopes main]\nRead = items:read ; may read; all of it\nWrite = items:write\n"                \
    "Admin = \"admin\" ; \"everything\"\n"

static void test_catalogue(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOKEN_URL CLIENT, "", CATALOGUE, "scopes = Read items:write Admin\n"},
        {TOKEN_URL CLIENT,
         "14: [route read] scopes: \"items:wirte\" is not in [scopes main]; did "
         "you mean \"items:write\"?",
         CATALOGUE, "scopes = Read items:wirte\n"},
        {TOKEN_URL CLIENT "scopes = Raed\n",
         "5: [credential main] scopes: \"Raed\" is not in [scopes main]; did you mean \"Read\"?",
         CATALOGUE, NULL},
        {TOKEN_URL CLIENT, "14: [route read] scopes: \"billing\" is not in [scopes main]",
         CATALOGUE, "scopes = billing\n"},
        {TOKEN_URL CLIENT,
         "14: [route read] scopes: \"read\" is not in [scopes main]; did you "
         "mean \"Read\"?",
         CATALOGUE, "scopes = read\n"}, // case counts
        {TOKEN_URL CLIENT, "9: [scopes main] Read: Read is there already, in line 6",
         CATALOGUE "Read = x\n", NULL},
        {TOKEN_URL CLIENT, "9: [scopes main] Lesen: items:read is there already, in line 6",
         CATALOGUE "Lesen = items:read\n", NULL},
        {TOKEN_URL CLIENT, "9: [scopes main] x: Write is there already, in line 7",
         CATALOGUE "x = Write\n", NULL}, // a name must not mean two scopes
        {TOKEN_URL CLIENT,
         "6: [scopes main] a: the scope's value is missing, as in \"a = "
         "items:read\"",
         "[scopes main]\na = ; nothing\n", NULL},
        {TOKEN_URL CLIENT,
         "6: [scopes main] a: a scope is made of printable ASCII without space, "
         "\" and \\ (RFC 6749, 3.3)",
         "[scopes main]\na = b c\n", NULL},
        {TOKEN_URL CLIENT,
         "5: [scopes mian]: there is no [credential mian]; did you mean [scopes "
         "main]?",
         "[scopes mian]\na = b\n", NULL},
        {TOKEN_URL CLIENT, "5: [scopes] needs a name, as in [scopes main]", "[scopes]\na = b\n",
         NULL},
        {LOGIN,
         "6: [scopes main]: has no use: source of [credential main] is login, which has no "
         "scopes",
         "[scopes main]\na = b\n", NULL},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_catalogue_values(void **state)
{
    (void)state;
    struct config *config = load_ok(TOKEN_URL CLIENT "scopes = Admin\n", CATALOGUE,
                                    "scopes = Read\n[route two]\nmatch = /2\ncredential = main\n"
                                    "scopes = items:read admin\n");
    const struct config_credential *credential = config->credentials[0];
    assert_int_equal(credential->catalogue_count, 3);
    assert_string_equal(credential->catalogue[0].alias, "Read"); // in the order of the file
    assert_string_equal(credential->catalogue[0].value, "items:read");
    assert_string_equal(credential->catalogue[0].description, "may read; all of it");
    assert_int_equal(credential->catalogue[0].place.line, 7);
    assert_null(credential->catalogue[1].description);
    assert_string_equal(credential->catalogue[2].value, "admin");
    assert_string_equal(credential->catalogue[2].description, "\"everything\"");
    assert_int_equal(config->slot_count, 1); // alias and value are the same scope
    assert_string_equal(config->slots[0]->scope, "admin items:read");
    config_unref(config);
}

// --- routes and store

static void test_routes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TOKEN_URL CLIENT, "", NULL, "replay_on_401 = safe-methods\nreplay_limit = 0\n"},
        {TOKEN_URL CLIENT, "10: [route read] replay_limit: \"2m\" is not a size from 0 to 1m", NULL,
         "replay_limit = 2m\n"},
        {TOKEN_URL CLIENT,
         "10: [route read] replay_on_401: unknown value \"safe\"; it must be no, "
         "yes or safe-methods",
         NULL, "replay_on_401 = safe\n"},
        {TOKEN_URL CLIENT,
         "12: [route b] replay_on_401: has no meaning: credential is none, so "
         "there is no token",
         NULL, "[route b]\nmatch = /b\nreplay_on_401 = no\ncredential = none\n"},
        {TOKEN_URL CLIENT, "11: [route b] credential: more than 8 on one route", NULL,
         "[route b]\ncredential = a b c d e f g h i\nmatch = /b\n"},
        {TOKEN_URL CLIENT,
         "11: [route read] replay_limit: is not used with replay_on_401 = no; take one of the two "
         "out",
         NULL, "replay_on_401 = no\nreplay_limit = 1k\n"},
        // For the sake of a nonce.
        {TOKEN_URL CLIENT "dpop = yes\n", "", NULL, "replay_on_401 = no\nreplay_limit = 1k\n"},
        // To many servers both are one field.
        {TOKEN_URL CLIENT "header = X-Token\n",
         "18: [route b] credential: main and other are both sent in the field x_token; a route can "
         "send one of them",
         OTHER "header = x_token\n", "[route b]\nmatch = /b\ncredential = main other\n"},
        {TOKEN_URL CLIENT "dpop = yes\n",
         "18: [route b] credential: main and other are both sent in the field DPoP; a route can "
         "send one of them",
         OTHER "header = dpop\n", "[route b]\nmatch = /b\ncredential = main other\n"},
        {TOKEN_URL CLIENT "header = X-Token\n",
         "11: [route read] set_header: X_Token is the field that route read sends the token of "
         "credential main in",
         NULL, "set_header = X_Token: a\n"},
    };
    check_rows(rows, ARRAY_LEN(rows));
    // What a route asks for is of no use to tokens that are the same for all.
    static const struct row unasked[] = {
        {LOGIN,
         "11: [route read] scopes: is not used: a login gives credential main the same token for "
         "all routes; take it out\n"
         "12: [route read] audience: is not used: a login gives credential main the same token for "
         "all routes; take it out",
         NULL, "scopes = a\naudience = b\n"},
        {LOGIN "header = X-S\n",
         "18: [route b] scopes: is not used: a login gives credential main the same token for all "
         "routes; take it out",
         "[credential other]\nsource = static\ntoken = t\n",
         "[route b]\nmatch = /b\ncredential = other main\nscopes = a\n"},
        {LOGIN "header = X-S\n", "", OTHER,
         "[route b]\nmatch = /b\ncredential = main other\nscopes = a\n"},
    };
    check_rows(unasked, ARRAY_LEN(unasked));
    struct config *config = load_ok(TOKEN_URL CLIENT, NULL, NULL);
    assert_int_equal(config->routes[0]->replay_on_401, REPLAY_YES);
    assert_int_equal(config->routes[0]->replay_limit, 65536);
    config_unref(config);
}

static void test_store(void **state)
{
    (void)state;
#define KEY "key = 0123456789abcdef\n"
    static const struct {
        const char *store, *want;
    } rows[] = {
        {"", ""},
        {"url = sqlite:/var/lib/x.db\n" KEY "key_previous = 0123456789abcdef\ntimeout = 10ms\n",
         ""},
        {"url = redis://:hunter2@host:1/2\n" KEY "prefix = a:\n", ""},
        {"url = rediss://host\n" KEY "ca_file = c.pem\ncert_file = c.pem\nkey_file = k.pem\n", ""},
        {"url = redis+unix:///run/redis.sock\n" KEY, ""},
        {"url = sqlite:x.db\n", // T-9
         "5: [store]: key is missing, as in \"key = file:/etc/bearerd/store_key\"\n"},
        {"url = sqlite:x.db\nkey = short\n",
         "7: [store] key: the value of (literal) has 5 bytes; 16 is the least\n"},
        {KEY, "6: [store] key: is not used without url\n"},
        {"url = ${BEARERD_UNSET:-}\n" KEY, "7: [store] key: is not used without url\n"},
        {"uri = sqlite:x\n" KEY, "6: [store] uri: unknown key; did you mean \"url\"?\n"},
        {"url = sqlite:\n" KEY, "6: [store] url: there is nothing behind sqlite:\n"},
        {"url = postgres://u:hunter2@h\n" KEY,
         "6: [store] url: a store's URL starts with sqlite:, redis://, rediss:// or "
         "redis+unix://\n"},
        {"url = redis://u:hunter 2@h\n" KEY, "6: [store] url: the URL holds a space or a character "
                                             "that is not printable ASCII\n"},
        {"url = sqlite:x.db\nprefix = a\n" KEY, "7: [store] prefix: is not used with sqlite:\n"},
        {"url = redis://h\nca_file = c.pem\n" KEY,
         "7: [store] ca_file: is not used without TLS, which rediss:// has\n"},
        {"url = rediss://h\ncert_file = c.pem\n" KEY,
         "7: [store] cert_file: key_file is missing: a certificate is of no use without its key\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char more[512], *said;
        snprintf(more, sizeof more, "[store]\n%s", rows[i].store);
        char *ini = compose(TOKEN_URL CLIENT, more, NULL);
        struct config *config = text_load(ini, &said);
        assert_string_equal(said, rows[i].want);
        assert_null(strstr(said, "hunter"));
        assert_int_equal(config == NULL, *rows[i].want != '\0');
        config_unref(config);
        mem_free(said);
        mem_free(ini);
    }
    struct config *config = load_ok(TOKEN_URL CLIENT, "[store]\nurl = sqlite:x.db\n" KEY, NULL);
    char want[300];
    snprintf(want, sizeof want, "sqlite:%s", text_path("x.db")); // beside the file that names it
    assert_string_equal(config->store.url, want);
    assert_string_equal(config->store.prefix, "bearerd:");
    assert_int_equal(config->store.timeout_ms, 1000);
    config_unref(config);
    config = load_ok(TOKEN_URL CLIENT, NULL, NULL);
    assert_null(config->store.url);
    assert_null(config->store.key);
    config_unref(config);
}

// T-17: whoever may write the command may have the tokens.
static void test_open_command(void **state)
{
    (void)state;
    char credential[300];
    text_write_bytes("x.sh", "#!/bin/sh\n", 10, 0755);
    snprintf(credential, sizeof credential, "source = exec\ncommand = %s\n", text_path("x.sh"));
    const struct row fine[] = {{credential, ""}};
    check_rows(fine, 1);
    assert_int_equal(chmod(text_path("x.sh"), 0757), 0);
    const struct row open[] = {{credential, "3: [credential main] command: every user of this "
                                            "machine can change @/x.sh; chmod o-w it"}};
    check_rows(open, 1);
    text_remove("x.sh");
}

// The vendor's catalogue and table of routes, as STANDARDS lists them.
static void test_thingspace(void **state)
{
    (void)state;
    static const char *const scopes[][2] = {
        {"edge-discovery", "edge:discovery:read"},
        {"edge-registry-read", "edge:serviceregistry:read"},
        {"edge-registry-write", "edge:serviceregistry:write"},
        {"edge-profile-read", "edge:serviceprofile:read"},
        {"edge-profile-write", "edge:serviceprofile:write"},
        {"m2m", ""},
        {"m2m-login", ""},
        {"token", NULL},
    };
    struct config_faults faults = {0};
    setenv("TS_CLIENT_ID", "id", 1);
    setenv("TS_CLIENT_SECRET", "s", 1);
    setenv("TS_USERNAME", "u", 1);
    setenv("TS_PASSWORD", "p", 1);
    struct config *config = config_load(TESTS_DIR "/../conf/examples/thingspace.ini", &faults);
    assert_non_null(config);
    assert_int_equal(config->warnings.count, 0);
    assert_int_equal(config->credentials[0]->catalogue_count, 15);
    for (size_t i = 0; i < config->credentials[0]->catalogue_count; i++)
        assert_non_null(config->credentials[0]->catalogue[i].description);
    assert_int_equal(config->route_count, ARRAY_LEN(scopes));
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        assert_string_equal(route->name, scopes[i][0]);
        assert_int_equal(route->slot_count, !scopes[i][1] ? 0 : i == 6 ? 1 : 2);
        if (route->slot_count > 0)
            assert_string_equal(route->slots[0]->scope, scopes[i][1]);
        if (route->slot_count > 1)
            assert_string_equal(route->slots[1]->credential->header, "VZ-M2M-Token");
    }
    assert_ptr_equal(config->routes[0]->slots[1]->authoriser, config->routes[5]->slots[0]);
    config_unref(config);
}

static void test_warnings(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"source = static\ntoken = t\ntoken_expires = 2001-01-01T00:00:00Z\n",
         "4: [credential main] token_expires: has passed: the token cannot be used"},
        {BY("assertion_file") "assertion_file = /none/a\n",
         "4: [credential main] assertion_file: cannot read /none/a; it is tried again when it is "
         "needed"},
        {BY("private_key_jwt") "client_id = id\nsigning_key = file:/none/k\n",
         "5: [credential main] signing_key: cannot open /none/k: No such file or directory; it is "
         "tried again when it is needed"},
        {"source = login\n" LOGIN_URL
         "login_body = {\"u\":\"%{file:/none/u}\"}\nlogin_token = /t\n",
         "4: [credential main] login_body: cannot open /none/u: No such file or directory; it is "
         "tried again when it is needed"},
        {"source = exec\ncommand = /none/x y\n",
         "3: [credential main] command: cannot run /none/x: there is no such file; it is tried "
         "again when it is needed"},
        {TOKEN_URL CLIENT "on_token_update = /dev/null\n",
         "5: [credential main] on_token_update: cannot run /dev/null: it is not executable; it is "
         "tried again when it is needed"},
        {"source = exec\ncommand = /bin/true\n",
         "5: [store] url: has no effect: there is no credential whose tokens can be kept in a "
         "store",
         "[store]\nurl = redis://h\n" KEY, NULL},
        {"source = static\ntoken = t\n",
         "9: [route read] scopes: has no effect: the token of credential main (source = static) is "
         "the same for all routes",
         NULL, "scopes = a\n"},
        {TOKEN_URL CLIENT, "5: [scopes main]: is empty: any scope will do", "[scopes main]\n",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *said, want[1024], *ini = compose(rows[i].credential, rows[i].more, rows[i].route);
        struct config *config = text_load(ini, &said);
        snprintf(want, sizeof want, "%s\n", rows[i].want);
        assert_string_equal(said, want);
        assert_non_null(config);
        config_unref(config);
        mem_free(said);
        mem_free(ini);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_issuer),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_signing),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_authorization_details),
        cmocka_unit_test(test_dpop),
        cmocka_unit_test(test_certificate_bound),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_slots),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_catalogue_values),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_open_command),
        cmocka_unit_test(test_thingspace),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
