// SPDX-License-Identifier: MIT
// See hook.h. Owns the queue of hooks; refuses to know what they do. A hook that fails is logged
// and forgotten: the next token brings the next run. Invariants: at most HOOKS_AT_ONCE run, and at
// most one of a slot; at most one of a slot waits, so there are never more than slots.
#include "token/hook.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/child.h"
#include "base/list.h"
#include "base/log.h"

#define LINE_MAX ((size_t)128 * 1024)
#define LINES    7

struct hook_count { // of a credential that has a hook, or had one
    struct list link;
    char *credential;
    struct hook_stats stats;
};

struct hook {
    struct list link; // in hooks->waiting or hooks->running
    struct hooks *hooks;
    uint64_t slot;            // which one
    struct hook_stats *stats; // its credential's
    char *credential, *scope, *command;
    uint64_t timeout_ms;
    struct token *token;
    struct child *child; // NULL: waits
    uint64_t started_us;
};

struct hooks {
    struct loop *loop;
    struct list waiting, running;
    unsigned running_count;
    struct list counts; // of struct hook_count
};

static void hook_free(struct hook *hook)
{
    list_remove(&hook->link);
    token_unref(hook->token);
    mem_free(hook->credential);
    mem_free(hook->scope);
    mem_free(hook->command);
    mem_free(hook);
}

static struct hook *find(struct list *in, uint64_t slot)
{
    for (struct list *link = in->next; link != in; link = link->next) {
        struct hook *hook = CONTAINER_OF(link, struct hook, link);
        if (hook->slot == slot)
            return hook;
    }
    return NULL;
}

static struct hook_count *count_find(const struct hooks *hooks, const char *credential)
{
    for (struct list *link = hooks->counts.next; link != &hooks->counts; link = link->next) {
        struct hook_count *count = CONTAINER_OF(link, struct hook_count, link);
        if (str_eq(str_of(count->credential), str_of(credential)))
            return count;
    }
    return NULL;
}

static struct hook_stats *stats_of(struct hooks *hooks, const char *credential)
{
    struct hook_count *count = count_find(hooks, credential);
    if (!count) {
        count = mem_alloc(sizeof *count);
        count->credential = mem_strdup(credential);
        list_append(&hooks->counts, &count->link);
    }
    return &count->stats;
}

// -- a run -------------------------------------------------------------------------------------

static void run_next(struct hooks *hooks);

static void log_run(const struct hook *hook, const struct child_result *result)
{
    uint64_t took_ms = (clock_boottime_us() - hook->started_us) / 1000;
    char how[400];
    struct child_result told = *result;
    // Scripts that trace what they do show the token.
    if (child_error_repeats(result, hook->token->value))
        snprintf(told.error_text, sizeof told.error_text, "(withheld: it repeats the token)");
    child_describe(&told, hook->timeout_ms, how, sizeof how);
    if (result->end == CHILD_EXITED && !result->code)
        log_info("hook.done", F_TEXT("credential", hook->credential), F_TEXT("scope", hook->scope),
                 F_TEXT("fingerprint", hook->token->fingerprint), F_NUM("took_ms", took_ms),
                 F_TEXT("stderr", told.error_text));
    else
        log_warn("hook.failed", F_TEXT("credential", hook->credential),
                 F_TEXT("scope", hook->scope), F_TEXT("fingerprint", hook->token->fingerprint),
                 F_TEXT("exit", how), F_NUM("took_ms", took_ms));
}

static void on_child(void *arg, const struct child_result *result)
{
    struct hook *hook = arg;
    struct hooks *hooks = hook->hooks;
    log_run(hook, result);
    hook->stats->failures += result->end != CHILD_EXITED || result->code;
    hooks->running_count--;
    hook_free(hook);
    run_next(hooks);
}

static bool build_env(const struct hook *hook, char *lines[LINES + 1])
{
    const struct token *token = hook->token;
    uint64_t now_ms = clock_boottime_us() / 1000;
    uint64_t left_s = token->expires_ms > now_ms ? (token->expires_ms - now_ms) / 1000 : 0;
    struct buf line;
    size_t count = 0;
    buf_init(&line, LINE_MAX);
#define ADD(...)                                                                                   \
    do {                                                                                           \
        if (buf_printf(&line, __VA_ARGS__))                                                        \
            lines[count++] = buf_take(&line);                                                      \
    } while (0)
    ADD("BEARERD_CREDENTIAL=%s", hook->credential);
    ADD("BEARERD_SCOPE=%s", hook->scope);
    ADD("BEARERD_FINGERPRINT=%s", token->fingerprint);
    ADD("BEARERD_EXPIRES_AT=%" PRIu64, (uint64_t)clock_realtime_s() + left_s);
    ADD("BEARERD_EXPIRES_IN=%" PRIu64, left_s);
    ADD("BEARERD_HEADER=%.*s", STR_ARG(token->header_name));
    ADD("BEARERD_GENERATION=%" PRIu64, token->generation);
#undef ADD
    buf_fini(&line);
    return count == LINES;
}

static bool start_child(struct hook *hook, struct err *err)
{
    char *lines[LINES + 1] = {NULL};
    char **argv = child_argv_parse(hook->command, err);
    struct child_request request = {.argv = (const char *const *)argv,
                                    .env = (const char *const *)lines,
                                    .input = hook->token->value,
                                    .timeout_ms = hook->timeout_ms};
    if (argv && (build_env(hook, lines) || err_set(err, "the scope is too long")))
        hook->child = child_start(hook->hooks->loop, &request, on_child, hook, err);
    for (size_t i = 0; i < LINES; i++)
        mem_free(lines[i]);
    child_argv_free(argv);
    return hook->child != NULL;
}

static void hook_run(struct hook *hook)
{
    struct hooks *hooks = hook->hooks;
    struct err err = {""};
    list_remove(&hook->link);
    hook->stats->runs++;
    hook->started_us = clock_boottime_us();
    if (start_child(hook, &err)) {
        list_append(&hooks->running, &hook->link);
        hooks->running_count++;
        return;
    }
    hook->stats->failures++;
    log_warn("hook.failed", F_TEXT("credential", hook->credential), F_TEXT("scope", hook->scope),
             F_TEXT("fingerprint", hook->token->fingerprint), F_TEXT("exit", err.text),
             F_NUM("took_ms", 0));
    hook_free(hook);
}

// Passes over at most HOOKS_AT_ONCE that wait for another of their slot.
static void run_next(struct hooks *hooks)
{
    struct list *link = hooks->waiting.next;
    while (link != &hooks->waiting && hooks->running_count < HOOKS_AT_ONCE) {
        struct hook *hook = CONTAINER_OF(link, struct hook, link);
        link = link->next;
        if (!find(&hooks->running, hook->slot))
            hook_run(hook);
    }
}

// -- interface ---------------------------------------------------------------------------------

void hooks_run(struct hooks *hooks, uint64_t id, const struct config_slot *slot,
               const struct token *token)
{
    const struct config_credential *credential = slot->credential;
    if (!credential->on_token_update)
        return;
    struct hook *hook = find(&hooks->waiting, id);
    if (hook) {
        token_unref(hook->token);
        mem_free(hook->command);
        hook->token = token_ref(token);
        hook->command = mem_strdup(credential->on_token_update); // a reload may have changed it
        hook->stats->replaced++;
        return;
    }
    hook = mem_alloc(sizeof *hook);
    *hook = (struct hook){.hooks = hooks,
                          .slot = id,
                          .stats = stats_of(hooks, credential->name),
                          .credential = mem_strdup(credential->name),
                          .scope = mem_strdup(slot->scope ? slot->scope : ""),
                          .command = mem_strdup(credential->on_token_update),
                          .timeout_ms = credential->hook_timeout_ms,
                          .token = token_ref(token)};
    list_append(&hooks->waiting, &hook->link);
    run_next(hooks);
}

struct hooks *hooks_new(struct loop *loop)
{
    struct hooks *hooks = mem_alloc(sizeof *hooks);
    hooks->loop = loop;
    list_init(&hooks->waiting);
    list_init(&hooks->running);
    list_init(&hooks->counts);
    return hooks;
}

static void free_all(struct list *list)
{
    struct list *link;
    while ((link = list_take_first(list))) {
        struct hook *hook = CONTAINER_OF(link, struct hook, link);
        if (hook->child)
            child_cancel(hook->child);
        hook_free(hook);
    }
}

void hooks_free(struct hooks *hooks)
{
    if (!hooks)
        return;
    free_all(&hooks->waiting);
    free_all(&hooks->running);
    struct list *link;
    while ((link = list_take_first(&hooks->counts))) {
        struct hook_count *count = CONTAINER_OF(link, struct hook_count, link);
        mem_free(count->credential);
        mem_free(count);
    }
    mem_free(hooks);
}

struct hook_stats hooks_stats(const struct hooks *hooks)
{
    struct hook_stats sum = {0};
    for (struct list *link = hooks->counts.next; link != &hooks->counts; link = link->next) {
        const struct hook_count *count = CONTAINER_OF(link, struct hook_count, link);
        sum.runs += count->stats.runs;
        sum.failures += count->stats.failures;
        sum.replaced += count->stats.replaced;
    }
    return sum;
}

struct hook_stats hooks_stats_of(const struct hooks *hooks, const char *credential)
{
    const struct hook_count *count = count_find(hooks, credential);
    return count ? count->stats : (struct hook_stats){0};
}
