// SPDX-License-Identifier: MIT
// on_token_update: what hooks get, how many of them run, and what is told of those that fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../support/log_capture.h"
#include "../support/source_rig.h"
#include "token/hook.h"

static char command[160];
static struct hooks *hooks;
static struct log_capture capture;

static void use_script(const char *script)
{
    char text[2048];
    snprintf(text, sizeof text, "#!/bin/sh\ncd ${0%%/*}\n%s\n", script);
    rig_write("hook", text, 0700);
    snprintf(command, sizeof command, "%s 'an argument'", rig_path("hook"));
    credential.on_token_update = command;
}

static int set_up(void **state)
{
    int failed = rig_set_up(state);
    hooks = hooks_new(loop);
    return failed;
}

static int tear_down(void **state)
{
    hooks_free(hooks);
    return rig_tear_down(state);
}

static void run(const struct config_slot *of, const char *value, uint64_t generation)
{
    struct token *token = token_new(str_of(value), "X-Token", "");
    token->expires_ms = clock_boottime_us() / 1000 + 3600500;
    token->generation = generation;
    hooks_run(hooks, (uint64_t)(uintptr_t)of, of, token);
    token_unref(token);
}

// Until so many have ended.
static void wait_for(uint64_t ended)
{
    for (int i = 0; i < 2000; i++) {
        loop_turn(loop, 10);
        if (hooks_stats(hooks).runs >= ended && !rig_has_children())
            return;
    }
    fail_msg("%llu runs", (unsigned long long)hooks_stats(hooks).runs);
}

static void test_what_it_gets(void **state) // T-17
{
    (void)state;
    char expected[200], line[80];
    use_script("cat > input; echo $# \"$1\" > args; env | sort > environ; "
               "tr '\\0' '\\n' < /proc/$$/cmdline > cmdline; echo much; exec >&2; echo fine");
    slot.scope = TEXT("a $(id) b");
    log_capture_start(&capture);
    log_set_level(LOG_INFO);
    run(&slot, "canary-token", 7);
    wait_for(1);
    log_set_level(LOG_ERROR);
    log_capture_stop(&capture);
    assert_string_equal(rig_read("input"), "canary-token"); // no newline
    assert_string_equal(rig_read("args"), "1 an argument\n");
    assert_null(strstr(rig_read("cmdline"), "canary"));
    assert_null(strstr(rig_read("environ"), "canary"));
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    token_fingerprint(STR("canary-token"), fingerprint);
    snprintf(expected, sizeof expected,
             "BEARERD_EXPIRES_IN=3600\nBEARERD_FINGERPRINT=%s\nBEARERD_GENERATION=7\n"
             "BEARERD_HEADER=X-Token\nBEARERD_SCOPE=a $(id) b\n",
             fingerprint);
    assert_non_null(strstr(rig_read("environ"), expected));
    assert_non_null(strstr(rig_read("environ"), "BEARERD_CREDENTIAL=main\n"));
    const char *at = strstr(rig_read("environ"), "BEARERD_EXPIRES_AT=");
    assert_non_null(at); // T18: seconds, UTC
    assert_in_range(strtoull(at + 19, NULL, 10), clock_realtime_s() + 3580,
                    clock_realtime_s() + 3601);
    snprintf(line, sizeof line, "fingerprint=%s", fingerprint);
    assert_non_null(strstr(capture.text, "event=hook.done credential=main"));
    assert_non_null(strstr(capture.text, line));
    assert_non_null(strstr(capture.text, "stderr=fine"));
    assert_null(strstr(capture.text, "canary"));
    assert_int_equal(hooks_stats(hooks).failures, 0);
}

static void test_no_hook(void **state)
{
    (void)state;
    run(&slot, "t", 1);
    assert_int_equal(hooks_stats(hooks).runs, 0);
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        const char *script, *told;
    } rows[] = {
        {"printf 'first\\nno\\033way\\n' >&2; exit 4", "exit=\"exit status 4: no?way\""},
        {"kill -9 $$", "exit=\"killed by signal 9\""},
        {"exec sleep 100", "exit=\"took longer than 300 ms\""},
        {"exec head -c 1000000000 /dev/zero >&2", "exit=\"too much output"},
        // T-17, DESIGN 4: set -x shows it
        {"echo \"+ curl -H Bearer $(cat)\" >&2; exit 1",
         "exit=\"exit status 1: (withheld: it repeats the token)\""},
        {"echo \"$(cat)\" >&2", "stderr=\"(withheld: it repeats the token)\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        use_script(rows[i].script);
        credential.hook_timeout_ms = strstr(rows[i].told, "longer") ? 300 : 20000;
        log_capture_start(&capture);
        log_set_level(LOG_INFO);
        run(&slot, "canary-token-that-is-long", 1);
        wait_for(i + 1);
        log_set_level(LOG_ERROR);
        log_capture_stop(&capture);
        if (!strstr(capture.text, rows[i].told) || strstr(capture.text, "canary"))
            fail_msg("%s: %s", rows[i].script, capture.text);
    }
    credential.on_token_update = TEXT("/nonexistent/hook");
    log_capture_start(&capture);
    log_set_level(LOG_INFO);
    run(&slot, "t", 1);
    log_set_level(LOG_ERROR);
    log_capture_stop(&capture);
    assert_non_null(strstr(capture.text, "event=hook.failed"));
    assert_non_null(strstr(capture.text, "No such file"));
    assert_int_equal(hooks_stats(hooks).runs, ARRAY_LEN(rows) + 1);
    assert_int_equal(hooks_stats(hooks).failures, ARRAY_LEN(rows)); // all but one of the rows
}

static void test_only_the_newest_waits(void **state)
{
    (void)state;
    use_script("(cat; echo) >> tokens; sleep 0.1");
    run(&slot, "t1", 1);
    run(&slot, "t2", 2);
    run(&slot, "t3", 3);
    run(&slot, "t4", 4);
    wait_for(2);
    assert_string_equal(rig_read("tokens"), "t1\nt4\n");
    assert_int_equal(hooks_stats(hooks).replaced, 2);
    run(&slot, "t5", 5);
    wait_for(3);
    assert_string_equal(rig_read("tokens"), "t1\nt4\nt5\n");
}

#define SLOTS 30

static void test_at_most_eight(void **state)
{
    (void)state;
    struct config_slot slots[SLOTS];
    use_script(
        "t=$(cat); mkdir -p now; : > now/$t; ls now | wc -l >> counts; sleep 0.1; rm now/$t");
    uint64_t start_us = clock_boottime_us();
    for (size_t i = 0; i < SLOTS; i++) {
        char value[8];
        snprintf(value, sizeof value, "t%zu", i);
        slots[i] = slot;
        run(&slots[i], value, 1);
        run(&slots[i], value, 2);
    }
    assert_in_range(clock_boottime_us() - start_us, 0, 2000000); // it waits for none of them
    assert_int_equal(hooks_stats(hooks).runs, HOOKS_AT_ONCE);
    wait_for(SLOTS + HOOKS_AT_ONCE); // those that had started were followed by another
    const char *counts = rig_read("counts");
    long most = 0;
    for (char *end; *counts; counts = *end ? end + 1 : end) {
        long count = strtol(counts, &end, 10);
        most = count > most ? count : most;
    }
    assert_in_range(most, 2, HOOKS_AT_ONCE);
    assert_int_equal(hooks_stats(hooks).replaced, SLOTS - HOOKS_AT_ONCE);
    assert_int_equal(hooks_stats(hooks).failures, 0);
}

static void test_a_slow_one_holds_up_nobody(void **state)
{
    (void)state;
    struct config_credential quick = credential;
    struct config_slot other = {.credential = &quick, .scope = TEXT("")};
    char quick_command[200];
    use_script("exec sleep 100");
    rig_write("quick", "#!/bin/sh\ncat > ${0%/*}/got\n", 0700);
    snprintf(quick_command, sizeof quick_command, "%s", rig_path("quick"));
    quick.on_token_update = quick_command;
    run(&slot, "slow", 1);
    run(&other, "quick", 1);
    for (int i = 0; i < 500 && strcmp(rig_read("got"), "quick") != 0; i++)
        loop_turn(loop, 10);
    assert_string_equal(rig_read("got"), "quick");
} // tear_down() ends the slow one

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
    log_set_level(LOG_ERROR);
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_what_it_gets),  WITH_RIG(test_no_hook),
        WITH_RIG(test_failures),      WITH_RIG(test_only_the_newest_waits),
        WITH_RIG(test_at_most_eight), WITH_RIG(test_a_slow_one_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
