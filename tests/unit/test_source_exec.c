// SPDX-License-Identifier: MIT
// Tokens from commands: what they are told, what they may answer, and all they can do wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/script_server.h"
#include "../support/source_rig.h"

static char command[160];
static bool grant_is_asked; // atomic

static void use_script(const char *script)
{
    char text[2048];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    rig_write("provider", text, 0700);
    snprintf(command, sizeof command, "%s 'an argument' $HOME", rig_path("provider"));
    credential.command = command;
}

#define GOOD                                                                                       \
    "{\"access_token\":\"canary-one\",\"token_type\":\"Bearer\",\"expires_in\":3600,"              \
    "\"scope\":\"a\"}"

static void test_success(void **state)
{
    (void)state;
    struct outcome outcome;
    char *resources[] = {TEXT("https://a.example"), TEXT("https://b.example/\"x\"")};
    use_script("cd ${0%/*}; cat > input; echo \"$1,$2\" > args\n"
               "tr '\\0' '\\n' < /proc/$$/environ > environ; echo '" GOOD "'");
    slot.audience = TEXT("$(id)\n\\");
    slot.resource = (struct config_strings){resources, 2};
    slot.authorization_details = TEXT("[{\"type\":\"t\"}]");
    struct source *source = source_exec_new(&context, &slot);
    uint64_t before_ms = clock_boottime_us() / 1000;
    rig_fetch(source, &outcome);
    assert_string_equal(outcome.value, "canary-one");
    assert_string_equal(outcome.scope, "a");
    assert_int_equal(outcome.lifetime_ms, 3600000);
    assert_in_range(outcome.sent_ms, before_ms - 20, clock_boottime_us() / 1000);
    assert_string_equal(
        rig_read("input"),
        "{\"credential\":\"main\",\"scope\":\"a b\",\"audience\":\"$(id)\\u000a\\\\\","
        "\"resource\":[\"https://a.example\",\"https://b.example/\\\"x\\\"\"],"
        "\"authorization_details\":[{\"type\":\"t\"}],\"last\":null}\n");
    assert_string_equal(rig_read("args"), "an argument,$HOME\n"); // nobody expands it
    slot = (struct config_slot){.credential = &credential, .scope = TEXT("")};
    rig_fetch(source, &outcome);
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1], expected[300];
    token_fingerprint(STR("canary-one"), fingerprint);
    snprintf(expected, sizeof expected,
             "{\"credential\":\"main\",\"scope\":\"\",\"audience\":null,\"resource\":[],"
             "\"authorization_details\":null,\"last\":{\"fingerprint\":\"%s\","
             "\"granted_scope\":\"a\",\"expires_in\":3599}}\n",
             fingerprint);
    char input[512];
    snprintf(input, sizeof input, "%s", rig_read("input"));
    if (strstr(input, ":3600}"))
        memcpy(strstr(input, ":3600}"), ":3599}", 6);
    assert_string_equal(input, expected);
    assert_null(strstr(rig_read("environ"), "canary")); // T-17
    assert_non_null(strstr(rig_read("environ"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"));
    assert_false(source->ops->has_changed(source));
    source->ops->free(source);
}

struct failure_row {
    const char *name, *script;
    enum token_failure_kind kind;
    const char *text;
};

#define TOKEN(rest) "printf '%s' '{\"token_type\":\"Bearer\"," rest "}'"

static const struct failure_row failure_rows[] = {
    {"exit status", "echo 'first' >&2; echo 'no such \"profile\"' >&2; exit 3", FAILURE_LOCAL,
     "the command of credential 'main' failed: exit status 3 (see the log)"},
    {"exit status with a token", "echo '" GOOD "'; exit 1", FAILURE_LOCAL, "exit status 1"},
    {"T-17 traced", "echo '" GOOD "' | tee /dev/stderr; exit 1", FAILURE_LOCAL,
     "exit status 1 (see the log)"},
    {"signal", "kill -9 $$", FAILURE_LOCAL, "killed by signal 9"},
    {"T-17 hang", "echo '" GOOD "'; exec sleep 100", FAILURE_TIMEOUT, "took longer than 500 ms"},
    {"T-17 1 GB", "exec head -c 1000000000 /dev/zero", FAILURE_LOCAL, "too much output"},
    {"T05 nothing", "true", FAILURE_MALFORMED,
     "the token response cannot be used: the body is empty (from the command of credential "
     "'main')"},
    {"T05 no JSON", "echo token", FAILURE_MALFORMED, "the body is not valid JSON"},
    {"T05 a list", "echo '[1]'", FAILURE_MALFORMED, "not a JSON object"},
    {"T05 two", "echo '" GOOD GOOD "'", FAILURE_MALFORMED, "the body is not valid JSON"},
    {"T05 no token", TOKEN("\"expires_in\":1"), FAILURE_MALFORMED, "there is no access_token"},
    {"T05 no type", "echo '{\"access_token\":\"x\"}'", FAILURE_MALFORMED, "there is no token_type"},
    {"T-14 header injection", TOKEN("\"access_token\":\"a\\r\\nX: y\""), FAILURE_MALFORMED,
     "bytes a bearer token must not have"},
    {"T-14 twice", TOKEN("\"access_token\":\"a\",\"access_token\":\"b\""), FAILURE_MALFORMED,
     "not valid JSON"},
    {"T-14 deep", "head -c 20000 /dev/zero | tr '\\0' '['", FAILURE_MALFORMED, "nested deeper"},
    {"T12", "echo '{\"error\":\"invalid_client\",\"error_description\":\"who are you\"}'",
     FAILURE_REFUSED, "invalid_client: who are you (from the command of credential 'main')"},
    {"unknown use", "echo '{\"use\":\"a \\\"kettle\\\"\"}'", FAILURE_LOCAL,
     "wants 'a 'kettle'' to be used, which is not known"},
    {"use without endpoint", "echo '{\"use\":\"oauth\"}'", FAILURE_LOCAL,
     "there is no token_url or issuer to ask"},
};

static void test_failures(void **state) // T-17 T05 T12
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(failure_rows); i++) {
        const struct failure_row *row = &failure_rows[i];
        struct outcome outcome;
        use_script(row->script);
        credential.command_timeout_ms = row->kind == FAILURE_TIMEOUT ? 500 : 20000;
        struct source *source = source_exec_new(&context, &slot);
        rig_fetch(source, &outcome);
        source->ops->free(source);
        if (!outcome.is_failure || outcome.kind != row->kind || outcome.status != 0 ||
            !strstr(outcome.text, row->text) || strstr(outcome.text, "canary"))
            fail_msg("%s: kind %d, status %d, %s", row->name, (int)outcome.kind, outcome.status,
                     outcome.text);
    }
}

static void test_lifetime_not_told(void **state) // T03
{
    (void)state;
    struct outcome outcome;
    use_script("cd ${0%/*}; cat > input; " TOKEN("\"access_token\":\"x\""));
    struct source *source = source_exec_new(&context, &slot);
    rig_fetch(source, &outcome);
    assert_int_equal(outcome.lifetime_ms, 0); // default_ttl: the keeper's
    rig_fetch(source, &outcome);
    assert_non_null(strstr(rig_read("input"), "\"granted_scope\":\"a b\""));
    assert_true(strstr(rig_read("input"), "\"expires_in\":300}") ||
                strstr(rig_read("input"), "\"expires_in\":299}"));
    source->ops->free(source);
}

static void test_cannot_start(void **state)
{
    (void)state;
    static const char *const commands[] = {"/nonexistent/provider x", "/bin/sh 'x", "sh x"};
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct outcome outcome;
        credential.command = TEXT(commands[i]);
        struct source *source = source_exec_new(&context, &slot);
        rig_fetch(source, &outcome);
        source->ops->free(source);
        assert_int_equal(outcome.kind, FAILURE_LOCAL);
        assert_string_equal(outcome.text,
                            "cannot run the command of credential 'main' (see the log)");
    }
}

static void test_use_oauth(void **state)
{
    (void)state;
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        "{\"access_token\":\"fetched\",\"token_type\":\"bearer\",\"expires_in\":60}";
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(answer), RAW_CLOSE);
    rig_point_to(server.port);
    use_script("cd ${0%/*}; cat > input; echo '{\"use\":\"oauth\"}'");
    struct source *source = source_exec_new(&context, &slot);
    rig_fetch(source, &outcome);
    assert_string_equal(outcome.value, "fetched");
    assert_int_equal(outcome.lifetime_ms, 60000);
    assert_false(source->ops->has_changed(source));
    rig_fetch(source, &outcome);
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    token_fingerprint(STR("fetched"), fingerprint);
    assert_non_null(strstr(rig_read("input"), fingerprint));
    source->ops->free(source);
    raw_stop(&server);
    assert_int_equal(server.connections, 2);
    assert_non_null(strstr(server.request, "grant_type=client_credentials&scope=a+b"));
    // With its failure, too
    raw_start(&server, STR("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
              RAW_CLOSE);
    rig_point_to(server.port);
    source = source_exec_new(&context, &slot);
    rig_fetch(source, &outcome);
    source->ops->free(source);
    raw_stop(&server);
    assert_int_equal(outcome.kind, FAILURE_TRANSIENT);
    assert_int_equal(outcome.status, 429);
    assert_int_equal(outcome.retry_after_ms, 7000);
}

static void on_grant_request(struct script_server *server, unsigned number, const char *request)
{
    (void)number;
    (void)request;
    __atomic_store_n(&grant_is_asked, true, __ATOMIC_RELEASE);
    usleep(100000);
    script_answer(server, 200, "Content-Type: application/json\r\n",
                  "{\"access_token\":\"fetched\",\"token_type\":\"bearer\"}");
}

static void test_cancel(void **state)
{
    (void)state;
    static struct script_server server;
    struct outcome outcome = {0};
    script_start(&server, on_grant_request);
    rig_point_to(server.raw.port);
    struct source *source = source_exec_new(&context, &slot);
    use_script("exec sleep 100");
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    source->ops->cancel(source);
    credential.command = TEXT("/nonexistent"); // an answer of our own is cancelled, too
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    use_script("echo '{\"use\":\"oauth\"}'");
    source->ops->fetch(source, on_result, &outcome);
    for (int i = 0; i < 500 && !__atomic_load_n(&grant_is_asked, __ATOMIC_ACQUIRE); i++)
        loop_turn(loop, 10);
    source->ops->cancel(source); // in the middle of the grant
    for (int i = 0; i < 40; i++)
        loop_turn(loop, 5);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->free(source);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 5);
    script_stop(&server);
    assert_int_equal(script_count(&server), 1);
    assert_int_equal(outcome.calls, 0);
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_success),      WITH_RIG(test_failures),  WITH_RIG(test_lifetime_not_told),
        WITH_RIG(test_cannot_start), WITH_RIG(test_use_oauth), WITH_RIG(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
