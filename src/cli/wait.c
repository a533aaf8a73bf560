// SPDX-License-Identifier: MIT
// bearerd wait: until a bearerd is ready, or the time is up. For scripts and init containers that
// come before it does, so that nobody answers yet is no reason to give up.
#include <stdio.h>
#include <time.h>

#include "base/loop.h"
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/json_in.h"
#include "cli/probe.h"
#include "config/value_number.h"

#define TIMEOUT_MS  60000
#define ASK_MS      5000
#define INTERVAL_MS 200

static bool parse_timeout(const char *text, uint64_t *out_ms, struct err *err)
{
    const struct setting setting = {
        .key = "--timeout", .type = SETTING_DURATION, .min = 1, .max = (uint64_t)24 * 3600 * 1000};
    return value_number(&setting, str_of(text), out_ms, err);
}

// "main items:read: failed: invalid_client …", a line for each.
static void write_missing(const struct json_t *document, struct buf *out)
{
    static const char path[] = "missing";
    bool fits = true;
    for (size_t i = 0; fits && i < json_in_count(document, path); i++) {
        const struct json_t *token = json_in_at(document, path, i);
        struct str scope = json_in_text(token, "scope"), cause = json_in_text(token, "cause");
        fits = buf_printf(out, "\ncredential %.*s%s%.*s: %.*s%s%.*s",
                          STR_ARG(json_in_text(token, "credential")), scope.len ? ", scope " : "",
                          STR_ARG(scope), STR_ARG(json_in_text(token, "state")),
                          cause.len ? ": " : "", STR_ARG(cause));
    }
}

// Why it is not ready goes to why, printable.
static bool read_health(const struct admin_answer *answer, char **why)
{
    struct buf text;
    struct json_t *document = json_in_parse(answer->body, NULL);
    struct str status = json_in_text(document, "status");
    buf_init(&text, 65536);
    if (buf_printf(&text, "%.*s", STR_ARG(status.len ? status : STR("it is not ready"))))
        write_missing(document, &text);
    mem_free(*why);
    *why = admin_text_plain(buf_str(&text), true);
    buf_fini(&text);
    json_in_free(document);
    return answer->status == 200;
}

// One question; false: why it was in vain.
static bool is_ready(const struct admin_client *client, unsigned timeout_ms, char **why)
{
    struct admin_answer answer;
    struct err err;
    bool ready = false;
    if (!client->address) {
        const char *proxy = admin_client_proxy(client, &err);
        ready = proxy && probe_proxy(proxy, timeout_ms, &err);
    } else if (admin_client_ask(client, "GET /readyz", timeout_ms, &answer, &err)) {
        ready = read_health(&answer, why);
        admin_answer_fini(&answer);
        return ready;
    } else {
        admin_answer_fini(&answer);
    }
    if (!ready) {
        mem_free(*why);
        *why = admin_text_plain(str_of(err.text), false);
    }
    return ready;
}

static void pause_ms(uint64_t ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static uint64_t now_ms(void)
{
    return clock_boottime_us() / 1000;
}

static int wait_for(const struct admin_client *client, uint64_t timeout_ms)
{
    uint64_t end_ms = now_ms() + timeout_ms;
    char *why = NULL;
    bool ready = false;
    for (uint64_t now = now_ms(); !ready && now < end_ms; now = now_ms()) {
        uint64_t left_ms = end_ms - now;
        ready = is_ready(client, left_ms < ASK_MS ? (unsigned)left_ms : ASK_MS, &why);
        left_ms = now_ms() < end_ms ? end_ms - now_ms() : 0;
        if (!ready)
            pause_ms(left_ms < INTERVAL_MS ? left_ms : INTERVAL_MS);
    }
    if (ready)
        puts(client->address ? "ready" : "bearerd answers");
    else
        fprintf(stderr, "wait: not ready in time: %s\n", why ? why : "there was no time to ask");
    mem_free(why);
    return ready ? EXIT_DONE : EXIT_FAILED;
}

// Where there is no admin listener, says what is asked in its place.
static bool choose(const struct admin_client *client, struct err *err)
{
    if (client->is_elsewhere) {
        admin_client_explain(client, err);
        return false;
    }
    const char *proxy = client->address ? NULL : admin_client_proxy(client, err);
    if (proxy)
        fprintf(stderr,
                "wait: %s has no [admin] listen: waiting until the proxy answers at %s, which "
                "says nothing of its tokens\n",
                client->config->path, proxy);
    return client->address || proxy;
}

static int run(const struct admin_options *options, uint64_t timeout_ms)
{
    struct admin_client client;
    struct err err;
    int code = EXIT_FAILED;
    if (admin_client_open(&client, options, &err) && choose(&client, &err)) {
        code = wait_for(&client, timeout_ms);
    } else {
        fprintf(stderr, "wait: %s\n", err.text);
        code = client.is_elsewhere ? EXIT_NO_ANSWER : EXIT_FAILED;
    }
    admin_client_close(&client);
    return code;
}

int cli_wait(int argc, char **argv)
{
    static const struct option longs[] = {
        ADMIN_LONG_OPTIONS, {"timeout", required_argument, NULL, 't'}, {0}};
    struct admin_options options = {0};
    struct err err;
    uint64_t timeout_ms = TIMEOUT_MS;
    int option;
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
        if (option == 't') {
            if (!parse_timeout(optarg, &timeout_ms, &err))
                return command_usage(argv[0], err.text);
        } else if (!admin_option_take(&options, option, optarg)) {
            return command_usage(argv[0], NULL);
        }
    }
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    return run(&options, timeout_ms);
}
