// SPDX-License-Identifier: MIT
// Tokens from the configuration, while they are good and after.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/raw_server.h"
#include "../support/source_rig.h"

static struct err err;

static struct source *static_new(const char *reference, int64_t expires_in_s)
{
    credential.token = secret_new(reference, &err);
    credential.token_expires_s = expires_in_s ? clock_realtime_s() + expires_in_s : 0;
    assert_non_null(credential.token);
    return source_static_new(&context, &slot);
}

static void static_free(struct source *source)
{
    source->ops->free(source);
    secret_free(credential.token);
}

static void test_lifetimes(void **state) // T18 T-22
{
    (void)state;
    static const struct {
        int64_t expires_in_s;
        uint64_t least_ms, most_ms;
    } rows[] = {
        {0, 24 * 3600000, 24 * 3600000}, // never: looked at again every day
        {100000000, 24 * 3600000, 24 * 3600000},
        {3600, 3598000, 3600000},
        {5, 3000, 5000}, // until the end: there is no other
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct outcome outcome;
        struct source *source = static_new("ApiKey 123:+/=", rows[i].expires_in_s);
        rig_fetch(source, &outcome);
        assert_string_equal(outcome.value, "ApiKey 123:+/=");
        assert_in_range(outcome.lifetime_ms, rows[i].least_ms, rows[i].most_ms);
        assert_in_range(outcome.sent_ms, 1, clock_boottime_us() / 1000);
        static_free(source);
    }
}

static void test_expired(void **state) // T04
{
    (void)state;
    struct outcome outcome;
    struct source *source = static_new("tok", -1);
    rig_fetch(source, &outcome);
    assert_int_equal(outcome.kind, FAILURE_REFUSED);
    assert_non_null(strstr(outcome.text, "the token of credential 'main' expired at 20"));
    assert_false(source->ops->has_changed(source));
    static_free(source);
    source = static_new("tok", 0);
    credential.token_expires_s = 1000000000;
    rig_fetch(source, &outcome);
    assert_non_null(strstr(outcome.text, "expired at 2001-09-09T01:46:40Z, and there is no"));
    static_free(source);
}

#define GOOD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"                                    \
    "{\"access_token\":\"fetched\",\"token_type\":\"bearer\",\"expires_in\":60}"

static void test_expired_and_fetched(void **state)
{
    (void)state;
    static const int64_t expires_in_s[] = {-100, 5}; // 5: within clock_skew
    for (size_t i = 0; i < ARRAY_LEN(expires_in_s); i++) {
        struct raw_server server;
        struct outcome outcome;
        raw_start(&server, STR(GOOD), RAW_CLOSE);
        rig_point_to(server.port);
        struct source *source = static_new("tok", 3600);
        rig_fetch(source, &outcome);
        assert_string_equal(outcome.value, "tok"); // while it is good, nobody is asked
        assert_int_equal(server.connections, 0);
        credential.token_expires_s = clock_realtime_s() + expires_in_s[i];
        rig_fetch(source, &outcome);
        assert_string_equal(outcome.value, "fetched");
        assert_int_equal(outcome.lifetime_ms, 60000);
        assert_false(source->ops->has_changed(source));
        static_free(source);
        raw_stop(&server);
        assert_int_equal(server.connections, 1);
    }
}

static void test_file(void **state) // T17 T34
{
    (void)state;
    struct outcome outcome;
    char reference[140];
    snprintf(reference, sizeof reference, "file:%s", rig_path("token"));
    struct source *source = static_new(reference, 0);
    rig_fetch(source, &outcome);
    assert_int_equal(outcome.kind, FAILURE_LOCAL);
    assert_string_equal(outcome.text, "cannot read the token of credential 'main' (see the log)");
    assert_false(source->ops->has_changed(source));
    rig_write("token", "first\n", 0600);
    assert_true(source->ops->has_changed(source));
    rig_fetch(source, &outcome);
    assert_string_equal(outcome.value, "first");
    assert_false(source->ops->has_changed(source));
    rig_write("token", "second\n", 0600);
    assert_true(source->ops->has_changed(source));
    rig_fetch(source, &outcome);
    assert_string_equal(outcome.value, "second");
    unlink(rig_path("token"));
    assert_false(source->ops->has_changed(source)); // gone for a moment is no change
    static const char *const bad[] = {"a\r\nX: y\n",   "a\nb\n", " a\n",  "a \n",
                                      "caf\xc3\xa9\n", "a\tb\n", "\x7f\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        rig_write("token", bad[i], 0600);
        rig_fetch(source, &outcome);
        assert_int_equal(outcome.kind, FAILURE_LOCAL);
        assert_string_equal(outcome.text,
                            "cannot use the token of credential 'main' (see the log)");
    }
    static_free(source);
}

static void test_cancel(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    raw_start(&server, STR(GOOD), RAW_CLOSE);
    rig_point_to(server.port);
    struct source *source = static_new("tok", 3600);
    source->ops->fetch(source, on_result, &outcome);
    source->ops->cancel(source);
    source->ops->cancel(source);
    credential.token_expires_s = 1;
    source->ops->fetch(source, on_result, &outcome);
    loop_turn(loop, 0);
    source->ops->cancel(source);
    source->ops->fetch(source, on_result, &outcome);
    static_free(source);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 5);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 0);
}

int main(void)
{
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_lifetimes), WITH_RIG(test_expired), WITH_RIG(test_expired_and_fetched),
        WITH_RIG(test_file),      WITH_RIG(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
