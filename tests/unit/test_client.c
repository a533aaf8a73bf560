// SPDX-License-Identifier: MIT
// The client-credentials source with all that a credential may ask of it: two secrets, assertions,
// metadata, proofs of possession; and what the slots of a credential share. Over real sockets.
// Names begin with the requirement they show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/jws.h"
#include "../support/log_capture.h"
#include "../support/script_server.h"
#include "base/log.h"
#include "http/fetch.h"
#include "http/multi.h"
#include "token/client.h"
#include "token/source.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))
#define FIRST         "first+secret-0123456789abcdef0123"
#define SECOND        "second+secret-0123456789abcdef012"
#define JSON          "Content-Type: application/json\r\n"
#define REFUSED       "{\"error\":\"invalid_client\",\"error_description\":\"who are you\"}"

static struct loop *loop;
static struct fetcher *fetcher;
static struct source_context context;
static struct script_server server;
static struct config_credential credential;
static struct config_slot slots[2];
static struct source *sources[2];
static char url[128], issuer[128], dir[32], path[64], other_path[64], reference[80];
static struct log_capture capture;

struct outcome {
    unsigned calls;
    char value[64], text[512], error[64];
    enum token_failure_kind kind;
    struct jose_key *binding;
};

static void on_result(void *arg, const struct source_result *result)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->binding = result->binding;
    snprintf(outcome->value, sizeof outcome->value, "%.*s", STR_ARG(result->value));
    assert_int_equal(result->value.len == 0, result->failure != NULL);
    if (!result->failure)
        return;
    assert_null(result->binding);
    outcome->kind = result->failure->kind;
    snprintf(outcome->text, sizeof outcome->text, "%s", result->failure->text);
    snprintf(outcome->error, sizeof outcome->error, "%s", result->failure->error);
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    umask(0077);
    snprintf(dir, sizeof dir, "/tmp/test_client.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(other_path, sizeof other_path, "%s/other", dir);
    snprintf(reference, sizeof reference, "file:%s", path);
    loop = loop_new(&err);
    fetcher = fetcher_new(loop, &err);
    context = (struct source_context){
        .loop = loop, .fetcher = fetcher, .clients = clients_new(loop, fetcher)};
    credential = (struct config_credential){.name = TEXT("main"),
                                            .client_id = TEXT("client"),
                                            .client_secret = secret_new(FIRST, &err),
                                            .auth_method = AUTH_CLIENT_SECRET_POST,
                                            .connect_timeout_ms = 2000,
                                            .timeout_ms = 2000};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        slots[i] = (struct config_slot){.credential = &credential, .scope = TEXT(i ? "b" : "a")};
        sources[i] = source_oauth_new(&context, &slots[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        sources[i]->ops->free(sources[i]);
    clients_free(context.clients);
    secret_free(credential.client_secret);
    secret_free(credential.client_secret_next);
    secret_free(credential.signing_key);
    secret_free(credential.dpop_key);
    fetcher_free(fetcher);
    loop_free(loop);
    unlink(path);
    unlink(other_path);
    return rmdir(dir);
}

static void start(script_fn *respond)
{
    script_start(&server, respond);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/token?tenant=1", server.raw.port);
    credential.token_url.text = url;
}

static void fetch_of(struct source *source, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    source->ops->fetch(source, on_result, outcome);
    assert_int_equal(outcome->calls, 0); // never from inside fetch
    uint64_t end = clock_boottime_us() + 10000000;
    while (!outcome->calls && clock_boottime_us() < end)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
    assert_null(strstr(outcome->text, FIRST));
    assert_null(strstr(outcome->text, SECOND));
    assert_null(strstr(outcome->text, "tenant"));
}

static void fetch(struct outcome *outcome)
{
    fetch_of(sources[0], outcome);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

// A parameter of the request's form, as sent; "" if there is none.
static void form_value(const char *request, const char *name, char *out, size_t out_size)
{
    char key[64];
    snprintf(key, sizeof key, "&%s=", name);
    const char *body = strstr(request, "\r\n\r\n"), *at = body ? strstr(body, key) : NULL;
    at = at ? at + strlen(key) : "";
    snprintf(out, out_size, "%.*s", (int)strcspn(at, "&"), at);
}

static void answer_token(struct script_server *to, const char *type, const char *fields)
{
    char head[512];
    snprintf(head, sizeof head, JSON "%s", fields);
    script_answer(to, 200, head,
                  "{\"access_token\":\"tok\",\"token_type\":\"%s\",\"expires_in\":60}", type);
}

static void respond_good(struct script_server *to, unsigned number, const char *request)
{
    (void)number, (void)request;
    answer_token(to, "Bearer", "");
}

// -- the request -------------------------------------------------------------------------------

static void test_parameters_and_fields(void **state) // RI-3 RA-1
{
    (void)state;
    struct outcome outcome;
    struct config_header params[] = {{TEXT("tenant id"), TEXT("a&b")}};
    struct config_header fields[] = {{TEXT("X-Tenant"), TEXT("acme")}, {TEXT("X-Two"), TEXT("2")}};
    credential.param = (struct config_headers){params, 1};
    credential.request_header = (struct config_headers){fields, 2};
    slots[0].audience = TEXT("https://api/");
    slots[0].authorization_details = TEXT("[{\"type\":\"t\"}]");
    start(respond_good);
    fetch(&outcome);
    script_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_null(outcome.binding);
    assert_non_null(strstr(server.requests[0], "\r\nX-Tenant: acme\r\nX-Two: 2\r\n"));
    assert_null(strcasestr(server.requests[0], "\r\nDPoP"));
    assert_null(strcasestr(server.requests[0], "\r\nAuthorization"));
    assert_non_null(
        strstr(server.requests[0],
               "\r\n\r\ngrant_type=client_credentials&scope=a&audience=https%3A%2F%2Fapi%2F"
               "&authorization_details=%5B%7B%22type%22%3A%22t%22%7D%5D&tenant+id=a%26b"
               "&client_id=client&client_secret=first%2Bsecret-0123456789abcdef0123"));
}

static void test_field_with_a_line_break(void **state)
{
    (void)state;
    struct outcome outcome;
    struct config_header fields[] = {{TEXT("X-Tenant"), TEXT("acme\r\nX-Evil: 1")}};
    credential.request_header = (struct config_headers){fields, 1};
    start(respond_good);
    fetch(&outcome);
    script_stop(&server);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_int_equal(server.count, 0);
}

static void test_certificate_method(void **state) // MT-1 OA-4
{
    (void)state;
    struct outcome outcome;
    credential.auth_method = AUTH_TLS_CLIENT;
    credential.tls.cert_file = path;
    start(respond_good);
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text,
                        "cannot read the client certificate of credential 'main' (see the log)");
    write_file(path, "certificate");
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok");
    assert_false(sources[0]->ops->has_changed(sources[0]));
    write_file(path, "another one");
    assert_true(sources[0]->ops->has_changed(sources[0]));
    script_stop(&server);
    assert_int_equal(server.count, 1);
    assert_non_null(strstr(server.requests[0], "scope=a&client_id=client"));
    assert_null(strstr(server.requests[0], "client_secret"));
}

// -- two secrets -------------------------------------------------------------------------------

static const char *good_secret; // what the server has on file

static void respond_to_secret(struct script_server *to, unsigned number, const char *request)
{
    (void)number;
    char secret[128];
    form_value(request, "client_secret", secret, sizeof secret);
    if (good_secret && strstr(secret, good_secret))
        answer_token(to, "Bearer", "");
    else
        script_answer(to, 401, JSON, "%s", REFUSED);
}

static void test_next_secret(void **state) // T17: rotation without downtime
{
    (void)state;
    struct outcome outcome;
    credential.client_secret_next = secret_new(SECOND, NULL);
    good_secret = "first";
    start(respond_to_secret);
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(script_count(&server), 1);
    good_secret = "second";
    log_set_level(LOG_INFO);
    log_capture_start(&capture);
    fetch(&outcome);
    log_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(script_count(&server), 3);
    assert_non_null(strstr(capture.text, "event=token.secret credential=main "
                                         "works=client_secret_next instead_of=client_secret"));
    assert_null(strstr(capture.text, FIRST));
    assert_null(strstr(capture.text, SECOND));
    fetch_of(sources[1], &outcome); // the other slot knows, too
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(script_count(&server), 4);
    good_secret = "first"; // and back
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok");
    fetch(&outcome);
    assert_int_equal(script_count(&server), 7);
    good_secret = NULL; // neither: both are tried, once
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    assert_string_equal(outcome.error, "invalid_client");
    script_stop(&server);
    assert_int_equal(server.count, 9);
}

static void respond_plain_401(struct script_server *to, unsigned number, const char *request)
{
    (void)request;
    if (number == 0)
        script_answer(to, 401, "Content-Type: text/html\r\n", "<h1>no");
    else
        answer_token(to, "Bearer", "");
}

static void test_next_secret_after_a_bare_401(void **state)
{
    (void)state;
    struct outcome outcome;
    credential.client_secret_next = secret_new(SECOND, NULL);
    start(respond_plain_401);
    fetch(&outcome);
    script_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(server.count, 2);
}

static void respond_invalid_scope(struct script_server *to, unsigned number, const char *request)
{
    (void)number, (void)request;
    script_answer(to, 400, JSON, "{\"error\":\"invalid_scope\"}");
}

static void respond_refused(struct script_server *to, unsigned number, const char *request)
{
    (void)number, (void)request;
    script_answer(to, 401, JSON, "%s", REFUSED);
}

static void test_next_secret_is_not_for_everything(void **state)
{
    (void)state;
    struct outcome outcome;
    credential.client_secret_next = secret_new(SECOND, NULL);
    start(respond_invalid_scope);
    fetch(&outcome);
    script_stop(&server);
    assert_string_equal(outcome.error, "invalid_scope");
    assert_int_equal(server.count, 1);
    secret_free(credential.client_secret_next);
    credential.client_secret_next = secret_new(FIRST, NULL); // the same: nothing to try
    start(respond_refused);
    fetch(&outcome);
    script_stop(&server);
    assert_int_equal(server.count, 1);
}

static void test_secret_files(void **state) // T34 T17
{
    (void)state;
    struct outcome outcome;
    char next[80];
    snprintf(next, sizeof next, "file:%s", other_path);
    secret_free(credential.client_secret);
    credential.client_secret = secret_new(reference, NULL);
    credential.client_secret_next = secret_new(next, NULL);
    good_secret = "second";
    start(respond_to_secret);
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL); // neither is there
    write_file(other_path, SECOND "\n");
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok"); // one of them will do
    assert_int_equal(script_count(&server), 1);
    write_file(path, FIRST "\n");
    good_secret = NULL;
    fetch(&outcome);
    assert_int_equal(script_count(&server), 3);
    assert_false(sources[0]->ops->has_changed(sources[0]));
    write_file(other_path, "third\n"); // either one counts
    assert_true(sources[0]->ops->has_changed(sources[0]));
    fetch(&outcome);
    assert_false(sources[0]->ops->has_changed(sources[0]));
    unlink(other_path);
    assert_true(sources[0]->ops->has_changed(sources[0]));
    unlink(path);
    assert_false(sources[0]->ops->has_changed(sources[0]));
    script_stop(&server);
}

// -- assertions --------------------------------------------------------------------------------

static void assertion_of(unsigned number, struct jws *jws)
{
    char text[4096];
    form_value(server.requests[number], "client_assertion", text, sizeof text);
    assert_true(jws_open(str_of(text), jws));
    assert_null(strstr(server.requests[number], "client_secret"));
    assert_null(strcasestr(server.requests[number], "\r\nAuthorization"));
}

static void respond_late(struct script_server *to, unsigned number, const char *request)
{
    (void)request;
    if (number == 0)
        script_answer(to, 401, JSON "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "%s", REFUSED);
    else
        answer_token(to, "Bearer", "");
}

static void test_assertion_is_fresh(void **state) // JA-2 JA-3 JA-7 T16
{
    (void)state;
    struct outcome outcome;
    struct jws jws[2];
    credential.auth_method = AUTH_CLIENT_SECRET_JWT;
    credential.signing_alg = TEXT("HS256");
    credential.client_secret_next = secret_new(SECOND, NULL);
    start(respond_late);
    log_set_level(LOG_INFO);
    log_capture_start(&capture);
    fetch(&outcome);
    log_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    script_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(server.count, 2);
    assertion_of(0, &jws[0]);
    assertion_of(1, &jws[1]);
    assert_true(jws_is_hmac(&jws[0], STR(FIRST), EVP_sha256()));
    assert_true(jws_is_hmac(&jws[1], STR(SECOND), EVP_sha256()));
    assert_memory_not_equal(jws[0].claims, jws[1].claims, 30); // jti
    char audience[200];
    snprintf(audience, sizeof audience, "\"aud\":\"%s\",", url);
    assert_non_null(strstr(jws[0].claims, audience));
    assert_non_null(strstr(capture.text, "event=token.clock credential=main text=\"our clock is "
                                         "ahead of the authorization server's\" difference_s="));
}

static void respond_echo(struct script_server *to, unsigned number, const char *request)
{
    (void)number;
    char text[4096];
    form_value(request, "client_assertion", text, sizeof text);
    script_answer(to, 401, JSON, "{\"error\":\"invalid_client\",\"error_description\":\"bad %s\"}",
                  text);
}

static void test_assertion_file(void **state) // JA-1 T12 T34
{
    (void)state;
    struct outcome outcome;
    char text[128];
    credential.auth_method = AUTH_ASSERTION_FILE;
    credential.assertion_file = path;
    start(respond_echo);
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text,
                        "cannot read the assertion of credential 'main' (see the log)");
    write_file(path, "aaaa.bbbb.cccc\n");
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    assert_non_null(strstr(outcome.text, "withheld"));
    assert_null(strstr(outcome.text, "aaaa"));
    assert_false(sources[0]->ops->has_changed(sources[0]));
    write_file(path, "aaaa.bbbb.dddd\n");
    assert_true(sources[0]->ops->has_changed(sources[0]));
    fetch(&outcome);
    write_file(path, "{\"token\":\"x\"}");
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    script_stop(&server);
    assert_int_equal(server.count, 2);
    form_value(server.requests[0], "client_assertion", text, sizeof text);
    assert_string_equal(text, "aaaa.bbbb.cccc");
    form_value(server.requests[1], "client_assertion", text, sizeof text);
    assert_string_equal(text, "aaaa.bbbb.dddd");
}

static void test_echoed_assertion(void **state) // T12
{
    (void)state;
    struct outcome outcome;
    struct jws jws;
    credential.auth_method = AUTH_CLIENT_SECRET_JWT;
    credential.signing_alg = TEXT("HS256");
    start(respond_echo);
    fetch(&outcome);
    script_stop(&server);
    assertion_of(0, &jws);
    assert_non_null(strstr(outcome.text, "withheld"));
    assert_null(strstr(outcome.text, "eyJ"));
}

// -- metadata ----------------------------------------------------------------------------------

static void respond_with_metadata(struct script_server *to, unsigned number, const char *request)
{
    (void)number;
    if (strncmp(request, "GET /.well-known/oauth-authorization-server ", 44) == 0)
        script_answer(to, 200, JSON, "{\"issuer\":\"%s\",\"token_endpoint\":\"%s/t?tenant=1\"}",
                      issuer, issuer);
    else if (strncmp(request, "POST /t?tenant=1 ", 17) == 0)
        answer_token(to, "Bearer", "");
    else
        script_answer(to, 404, "", "no");
}

static void test_discovery(void **state) // MD-1 JA-3
{
    (void)state;
    struct outcome outcome;
    struct jws jws;
    credential.auth_method = AUTH_CLIENT_SECRET_JWT;
    credential.signing_alg = TEXT("HS256");
    credential.issuer = issuer;
    start(respond_with_metadata);
    credential.token_url.text = NULL;
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", server.raw.port);
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok");
    fetch_of(sources[1], &outcome);
    assert_string_equal(outcome.value, "tok");
    script_stop(&server);
    assert_int_equal(server.count, 3); // metadata once, for both slots
    char audience[200];
    snprintf(audience, sizeof audience, "\"aud\":\"%s\",", issuer);
    assertion_of(1, &jws);
    assert_non_null(strstr(jws.claims, audience));
    fetch(&outcome); // the server is away: its endpoint is known
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    assert_non_null(strstr(outcome.text, "token request to http://127.0.0.1:"));
}

static void test_discovery_fails(void **state) // T34
{
    (void)state;
    struct outcome outcome;
    int fd = raw_bind();
    credential.issuer = issuer;
    snprintf(issuer, sizeof issuer, "http://127.0.0.1:%u", raw_port_of(fd));
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    assert_non_null(strstr(outcome.text, "request for metadata to http://127.0.0.1:"));
    fetch_of(sources[1], &outcome); // a moment later: the same, and nobody is asked
    assert_int_equal(outcome.kind, FAILURE_UNREACHABLE);
    sources[1]->ops->fetch(sources[1], on_result, &outcome);
    sources[1]->ops->cancel(sources[1]);
    loop_turn(loop, 0);
    assert_int_equal(outcome.calls, 1);
    close(fd);
}

// -- DPoP --------------------------------------------------------------------------------------

static void proof_of(unsigned number, struct jws *jws)
{
    char text[2048];
    const char *at = strstr(server.requests[number], "\r\nDPoP: ");
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s", (int)strcspn(at + 8, "\r"), at + 8);
    assert_true(jws_open(str_of(text), jws));
    assert_null(strstr(at + 8, "\r\nDPoP:")); // DP-3: one
}

// The public key of the proof's header, which must have signed it.
static void check_signature(const struct jws *jws, struct jose_key *binding)
{
    EVP_PKEY *key = NULL;
    unsigned char point[65] = {4};
    size_t len;
    const char *x = strstr(jws->head, "\"x\":\""), *y = strstr(jws->head, "\"y\":\"");
    assert_true(x && y);
    assert_true(jws_decode((struct str){x + 5, 43}, point + 1, 32, &len) && len == 32);
    assert_true(jws_decode((struct str){y + 5, 43}, point + 33, 32, &len) && len == 32);
    char group[] = "prime256v1";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("group", group, sizeof group - 1),
                           OSSL_PARAM_octet_string("pub", point, sizeof point), OSSL_PARAM_END};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    assert_true(jws_is_signed(jws, key, "ES256"));
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    // The token's binding is that very key.
    const char *jwk = strstr(jws->head, "\"jwk\":");
    unsigned char digest[EVP_MAX_MD_SIZE], thumbprint[64];
    EVP_Digest(jwk + 6, strlen(jwk + 6) - 1, digest, NULL, EVP_sha256(), NULL);
    assert_true(
        jws_decode(str_of(jose_key_thumbprint(binding)), thumbprint, sizeof thumbprint, &len));
    assert_memory_equal(thumbprint, digest, 32);
}

static void respond_dpop(struct script_server *to, unsigned number, const char *request)
{
    (void)number, (void)request;
    answer_token(to, "DPoP", "");
}

static void test_proof(void **state) // DP-1 DP-2 DP-3 DP-9
{
    (void)state;
    struct outcome outcome[2];
    struct jws jws[2];
    credential.dpop = true;
    start(respond_dpop);
    fetch_of(sources[0], &outcome[0]);
    fetch_of(sources[1], &outcome[1]);
    script_stop(&server);
    assert_string_equal(outcome[0].value, "tok");
    assert_non_null(outcome[0].binding);
    assert_ptr_equal(outcome[0].binding, outcome[1].binding);
    assert_ptr_equal(outcome[0].binding, clients_binding(context.clients, &credential));
    for (unsigned i = 0; i < 2; i++) {
        char claims[200];
        proof_of(i, &jws[i]);
        check_signature(&jws[i], outcome[i].binding);
        assert_memory_equal(jws[i].head, "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{", 39);
        snprintf(
            claims, sizeof claims,
            "\",\"htm\":\"POST\",\"htu\":\"http://127.0.0.1:%u/token\",\"iat\":", server.raw.port);
        assert_non_null(strstr(jws[i].claims, claims));
        assert_null(strstr(jws[i].claims, "ath"));
        assert_null(strstr(jws[i].claims, "nonce"));
    }
    assert_memory_not_equal(jws[0].claims, jws[1].claims, 30);
}

static void test_bearer_instead_of_dpop(void **state) // DP-3
{
    (void)state;
    struct outcome outcome;
    credential.dpop = true;
    start(respond_good);
    fetch(&outcome);
    script_stop(&server);
    assert_int_equal(outcome.kind, FAILURE_MALFORMED);
    assert_non_null(strstr(outcome.text, "its token_type is 'Bearer', not DPoP"));
}

static void test_dpop_instead_of_bearer(void **state) // OA-10
{
    (void)state;
    struct outcome outcome;
    start(respond_dpop);
    fetch(&outcome);
    script_stop(&server);
    assert_int_equal(outcome.kind, FAILURE_MALFORMED);
}

#define WANT_NONCE "{\"error\":\"use_dpop_nonce\",\"error_description\":\"nonce please\"}"

// Accepts the nonce of its last answer only; gives a new one with each.
static void respond_nonce(struct script_server *to, unsigned number, const char *request)
{
    char field[64], wanted[64];
    struct jws jws;
    const char *at = strstr(request, "\r\nDPoP: ");
    bool is_open = at && jws_open((struct str){at + 8, strcspn(at + 8, "\r")}, &jws);
    snprintf(wanted, sizeof wanted, "\"nonce\":\"n%u\"}", number - 1);
    snprintf(field, sizeof field, "DPoP-Nonce: n%u\r\n", number);
    if (number && is_open && strstr(jws.claims, wanted))
        answer_token(to, "DPoP", field);
    else
        script_answer(to, 400, field, WANT_NONCE);
}

static void test_nonce(void **state) // DP-5 DP-10
{
    (void)state;
    struct outcome outcome;
    struct jws jws[2];
    credential.dpop = true;
    credential.auth_method = AUTH_CLIENT_SECRET_JWT;
    credential.signing_alg = TEXT("HS256");
    start(respond_nonce);
    fetch(&outcome);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(script_count(&server), 2);
    fetch(&outcome); // the nonce of the good answer, at once
    assert_string_equal(outcome.value, "tok");
    fetch_of(sources[1], &outcome);
    script_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(server.count, 4);
    proof_of(0, &jws[0]);
    proof_of(1, &jws[1]);
    assert_null(strstr(jws[0].claims, "nonce"));
    assert_memory_not_equal(jws[0].claims, jws[1].claims, 30);
    assertion_of(0, &jws[0]); // T16: the assertion is another one, too
    assertion_of(1, &jws[1]);
    assert_memory_not_equal(jws[0].claims, jws[1].claims, 30);
}

static const char *nonce_fields;

static void respond_never_content(struct script_server *to, unsigned number, const char *request)
{
    (void)request;
    char field[64];
    snprintf(field, sizeof field, "DPoP-Nonce: n%u\r\n", number);
    script_answer(to, 400, nonce_fields ? nonce_fields : field, WANT_NONCE);
}

static void test_nonce_storm(void **state) // DP-10 DP-7
{
    (void)state;
    static char long_field[600];
    memset(long_field, 'n', 530);
    memcpy(long_field, "DPoP-Nonce: ", 12);
    memcpy(long_field + 530, "\r\n", 3);
    const struct {
        const char *fields;
        unsigned requests;
    } rows[] = {
        {NULL, 2}, // another one each time: one more try, then it is a failure
        {"", 1},
        {"DPoP-Nonce: a\r\nDPoP-Nonce: b\r\n", 1},
        {"DPoP-Nonce: a b\r\n", 1},
        {"DPoP-Nonce: \"a\"\r\n", 1},
        {long_field, 1},
    };
    credential.dpop = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome;
        nonce_fields = rows[i].fields;
        start(respond_never_content);
        fetch(&outcome);
        script_stop(&server);
        assert_int_equal(outcome.kind, FAILURE_TRANSIENT);
        assert_string_equal(outcome.error, "use_dpop_nonce");
        if (server.count != rows[i].requests)
            fail_msg("row %zu: %u requests", i, server.count);
    }
    // Without proofs there is nothing to put it into.
    credential.dpop = false;
    tear_down(state);
    set_up(state);
    struct outcome outcome;
    nonce_fields = NULL;
    start(respond_never_content);
    fetch(&outcome);
    script_stop(&server);
    assert_int_equal(server.count, 1);
}

static void test_given_key(void **state) // DP-9 T34
{
    (void)state;
    struct outcome outcome;
    char pem[1024];
    credential.dpop = true;
    credential.dpop_key = secret_new(reference, NULL);
    start(respond_dpop);
    fetch(&outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text,
                        "cannot read the DPoP key of credential 'main' (see the log)");
    assert_null(clients_binding(context.clients, &credential));
    FILE *file = fopen(TESTS_DIR "/unit/data/jose/rfc7515-a3.pem", "r");
    assert_non_null(file);
    pem[fread(pem, 1, sizeof pem - 1, file)] = '\0';
    fclose(file);
    write_file(path, pem);
    fetch(&outcome);
    script_stop(&server);
    assert_string_equal(outcome.value, "tok");
    assert_int_equal(server.count, 1);
    struct jws jws;
    proof_of(0, &jws);
    check_signature(&jws, outcome.binding);
    assert_non_null(strstr(jws.head, "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""));
}

static void test_no_binding_without_dpop(void **state)
{
    (void)state;
    assert_null(clients_binding(context.clients, &credential));
    struct client *first = clients_get(context.clients, &credential);
    struct client *second = clients_get(context.clients, &credential);
    assert_ptr_equal(first, second);
    client_unref(first);
    client_unref(second);
}

// -- the rest ----------------------------------------------------------------------------------

static void respond_details(struct script_server *to, unsigned number, const char *request)
{
    (void)request;
    script_answer(to, 200, JSON,
                  "{\"access_token\":\"tok\",\"token_type\":\"Bearer\",\"authorization_details\":"
                  "[{\"type\":\"%s\"}]}",
                  number < 2 ? "narrower" : "asked");
}

static void test_granted_details(void **state) // RA-2
{
    (void)state;
    struct outcome outcome;
    slots[0].authorization_details = TEXT("[{\"type\":\"asked\"}]");
    start(respond_details);
    log_set_level(LOG_INFO);
    log_capture_start(&capture);
    for (int i = 0; i < 3; i++)
        fetch(&outcome);
    log_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    script_stop(&server);
    const char *line = strstr(capture.text, "event=token.details credential=main");
    assert_non_null(line);
    assert_non_null(strstr(line, "narrower"));
    assert_null(strstr(line + 1, "event=token.details")); // once, while it stays so
}

static unsigned reached; // atomic

static void respond_slowly(struct script_server *to, unsigned number, const char *request)
{
    respond_refused(to, number, request);
    if (number != 1)
        return;
    __atomic_store_n(&reached, 1, __ATOMIC_RELEASE);
    poll(NULL, 0, 200);
}

static void test_cancel_of_the_second_request(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    credential.client_secret_next = secret_new(SECOND, NULL);
    reached = 0;
    start(respond_slowly);
    sources[0]->ops->fetch(sources[0], on_result, &outcome);
    for (int i = 0; i < 5000 && !__atomic_load_n(&reached, __ATOMIC_ACQUIRE); i++)
        loop_turn(loop, 1);
    sources[0]->ops->cancel(sources[0]);
    for (int i = 0; i < 30; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome.calls, 0);
    fetch(&outcome);
    assert_int_equal(outcome.calls, 1);
    script_stop(&server);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_parameters_and_fields),
        WITH_LOOP(test_field_with_a_line_break),
        WITH_LOOP(test_certificate_method),
        WITH_LOOP(test_next_secret),
        WITH_LOOP(test_next_secret_after_a_bare_401),
        WITH_LOOP(test_next_secret_is_not_for_everything),
        WITH_LOOP(test_secret_files),
        WITH_LOOP(test_assertion_is_fresh),
        WITH_LOOP(test_assertion_file),
        WITH_LOOP(test_echoed_assertion),
        WITH_LOOP(test_discovery),
        WITH_LOOP(test_discovery_fails),
        WITH_LOOP(test_proof),
        WITH_LOOP(test_bearer_instead_of_dpop),
        WITH_LOOP(test_dpop_instead_of_bearer),
        WITH_LOOP(test_nonce),
        WITH_LOOP(test_nonce_storm),
        WITH_LOOP(test_given_key),
        WITH_LOOP(test_no_binding_without_dpop),
        WITH_LOOP(test_granted_details),
        WITH_LOOP(test_cancel_of_the_second_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
