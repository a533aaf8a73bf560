// SPDX-License-Identifier: MIT
// The source of tokens that a command gives: it gets the request as JSON on its input and answers
// with a token response, read as strictly as an authorization server's, or asks for the grant to be
// done by us. It refuses to know how the command finds its tokens. Invariant: no token is ever part
// of a command line, an environment or a failure's text.
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/log.h"
#include "token/document.h"
#include "token/grant.h"
#include "token/grant_error.h"
#include "token/late.h"
#include "token/quote.h"
#include "token/source.h"

#define INPUT_MAX ((size_t)256 * 1024)

struct last_token { // what the command is told of the one before
    bool is_there;
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    uint64_t expires_ms;
    char *granted_scope;
};

struct source_exec {
    struct source source;
    struct loop *loop;
    const struct config_slot *slot;
    struct source *oauth; // NULL: there is no token endpoint
    bool is_handed_over;  // the last fetch was oauth's
    struct child *child;  // under way, or NULL
    source_done_fn *done;
    void *arg;
    uint64_t sent_ms;
    struct last_token last;
    struct late late;
};

// -- request -----------------------------------------------------------------------------------

static bool add_member(struct buf *out, const char *name, const char *text)
{
    bool ok = buf_printf(out, "\"%s\":", name);
    return ok && (text ? quote_json_string(str_of(text), out) : buf_append(out, STR("null"))) &&
           buf_append_char(out, ',');
}

static bool add_resource(struct buf *out, const struct config_strings *resource)
{
    bool ok = buf_append(out, STR("\"resource\":["));
    for (size_t i = 0; ok && i < resource->count; i++)
        ok =
            (!i || buf_append_char(out, ',')) && quote_json_string(str_of(resource->items[i]), out);
    return ok && buf_append(out, STR("],"));
}

static bool add_last(struct buf *out, const struct last_token *last, uint64_t now_ms)
{
    if (!last->is_there)
        return buf_append(out, STR("\"last\":null}\n"));
    uint64_t left_ms = last->expires_ms > now_ms ? last->expires_ms - now_ms : 0;
    return buf_append(out, STR("\"last\":{")) &&
           add_member(out, "fingerprint", last->fingerprint) &&
           add_member(out, "granted_scope", last->granted_scope) &&
           buf_printf(out, "\"expires_in\":%llu}}\n", (unsigned long long)(left_ms / 1000));
}

static bool build_input(const struct source_exec *exec, struct buf *out)
{
    const struct config_slot *slot = exec->slot;
    const char *details = slot->authorization_details; // JSON as it is
    return buf_append_char(out, '{') && add_member(out, "credential", slot->credential->name) &&
           add_member(out, "scope", slot->scope) && add_member(out, "audience", slot->audience) &&
           add_resource(out, &slot->resource) &&
           buf_printf(out, "\"authorization_details\":%s,", details ? details : "null") &&
           add_last(out, &exec->last, exec->sent_ms);
}

// -- answer ------------------------------------------------------------------------------------

static void forget_last(struct last_token *last)
{
    mem_free(last->granted_scope);
    *last = (struct last_token){0};
}

static void finish(struct source_exec *exec, const struct source_result *result)
{
    const struct config_slot *slot = exec->slot;
    if (!result->failure) {
        uint64_t lifetime_ms =
            result->lifetime_ms ? result->lifetime_ms : slot->credential->default_ttl_ms;
        forget_last(&exec->last);
        exec->last.is_there = true;
        exec->last.expires_ms = result->sent_ms + lifetime_ms;
        exec->last.granted_scope =
            mem_strdup(result->granted_scope ? result->granted_scope : slot->scope);
        token_fingerprint(result->value, exec->last.fingerprint);
    }
    exec->done(exec->arg, result);
}

static void fail(struct source_exec *exec, enum token_failure_kind kind, const char *text)
{
    struct token_failure *failure = token_failure_new(kind, text);
    finish(exec, &(struct source_result){.sent_ms = exec->sent_ms, .failure = failure});
    token_failure_unref(failure);
}

// Commands that trace what they do put the token on stderr as well.
static bool repeats_token(const struct child_result *result, const json_t *answer)
{
    return child_error_repeats(result, document_text(answer, "access_token"));
}

static void fail_run(struct source_exec *exec, const struct child_result *result,
                     const json_t *answer)
{
    const struct config_credential *credential = exec->slot->credential;
    struct child_result told = *result;
    char how[400], clean[400], text[512];
    // What was cut short cannot be searched for a token.
    bool is_cut = result->end == CHILD_TIMEOUT || result->end == CHILD_TOO_MUCH;
    if (is_cut || repeats_token(result, answer))
        snprintf(told.error_text, sizeof told.error_text, "%s",
                 is_cut ? "" : "(withheld: it repeats the token)");
    child_describe(&told, credential->command_timeout_ms, how, sizeof how);
    grant_error_clean(str_of(how), clean, sizeof clean);
    // What a command says on stderr is for whoever runs bearerd, not for its clients.
    log_error("token.local", F_TEXT("credential", credential->name),
              F_TEXT("text", "the command failed"), F_TEXT("cause", clean));
    told.error_text[0] = '\0';
    child_describe(&told, credential->command_timeout_ms, how, sizeof how);
    snprintf(text, sizeof text, "the command of credential '%s' failed: %s (see the log)",
             credential->name, how);
    fail(exec, result->end == CHILD_TIMEOUT ? FAILURE_TIMEOUT : FAILURE_LOCAL, text);
}

static void take_response(struct source_exec *exec, const struct child_result *result)
{
    char server[160];
    struct grant_result grant;
    snprintf(server, sizeof server, "the command of credential '%s'", exec->slot->credential->name);
    struct grant_answer answer = {.content_type = STR("application/json"),
                                  .body = result->output,
                                  .slot = exec->slot,
                                  .server = server,
                                  .now_s = clock_realtime_s()};
    grant_parse(&answer, &grant);
    finish(exec, &(struct source_result){.value = buf_str(&grant.value),
                                         .sent_ms = exec->sent_ms,
                                         .lifetime_ms = grant.lifetime_ms,
                                         .granted_scope = grant.granted_scope,
                                         .failure = grant.failure});
    grant_result_fini(&grant);
}

static void on_oauth(void *arg, const struct source_result *result)
{
    finish(arg, result);
}

// {"use":"oauth"}
static void hand_over(struct source_exec *exec, struct str use)
{
    const char *name = exec->slot->credential->name;
    char text[256], clean[64];
    exec->is_handed_over = str_eq(use, STR("oauth")) && exec->oauth;
    if (exec->is_handed_over) {
        exec->oauth->ops->fetch(exec->oauth, on_oauth, exec);
        return;
    }
    grant_error_clean(use, clean, sizeof clean);
    if (str_eq(use, STR("oauth")))
        snprintf(text, sizeof text,
                 "the command of credential '%s' wants oauth to be used, but there is no "
                 "token_url or issuer to ask",
                 name);
    else
        snprintf(text, sizeof text,
                 "the command of credential '%s' wants '%s' to be used, which is not known", name,
                 clean);
    fail(exec, FAILURE_LOCAL, text);
}

static void on_child(void *arg, const struct child_result *result)
{
    static const struct document_limits limits = {GRANT_BODY_MAX, GRANT_DEPTH_MAX};
    struct source_exec *exec = arg;
    char why[160];
    exec->child = NULL;
    json_t *answer = document_parse(result->output, &limits, why, sizeof why);
    struct str use = document_text(answer, "use");
    if (result->end != CHILD_EXITED || result->code)
        fail_run(exec, result, answer);
    else if (use.len)
        hand_over(exec, use);
    else
        take_response(exec, result);
    json_decref(answer);
}

// -- a fetch -----------------------------------------------------------------------------------

static bool start_command(struct source_exec *exec, struct err *err)
{
    const struct config_credential *credential = exec->slot->credential;
    struct buf input;
    char **argv = child_argv_parse(credential->command, err);
    if (!argv)
        return false;
    buf_init(&input, INPUT_MAX);
    bool ok = build_input(exec, &input) ||
              err_set(err, "what the command is to be told is too long, or not UTF-8");
    struct child_request request = {.argv = (const char *const *)argv,
                                    .input = buf_str(&input),
                                    .output_max = GRANT_BODY_MAX,
                                    .timeout_ms = credential->command_timeout_ms};
    if (ok)
        exec->child = child_start(exec->loop, &request, on_child, exec, err);
    buf_fini(&input);
    child_argv_free(argv);
    return exec->child != NULL;
}

static void exec_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct source_exec *exec = CONTAINER_OF(source, struct source_exec, source);
    struct err err = {0};
    exec->done = done;
    exec->arg = arg;
    exec->sent_ms = loop_now_ms(exec->loop);
    exec->is_handed_over = false;
    if (!start_command(exec, &err))
        late_fail_locally(&exec->late, done, arg, exec->slot->credential, "cannot run the command",
                          &err);
}

static void exec_cancel(struct source *source)
{
    struct source_exec *exec = CONTAINER_OF(source, struct source_exec, source);
    if (exec->child)
        child_cancel(exec->child);
    exec->child = NULL;
    late_cancel(&exec->late);
    if (exec->oauth)
        exec->oauth->ops->cancel(exec->oauth);
}

// What the command goes by is not known here.
static bool exec_has_changed(struct source *source)
{
    struct source_exec *exec = CONTAINER_OF(source, struct source_exec, source);
    return exec->is_handed_over && exec->oauth->ops->has_changed(exec->oauth);
}

static void exec_rebind(struct source *source, const struct config_slot *slot)
{
    struct source_exec *exec = CONTAINER_OF(source, struct source_exec, source);
    exec->slot = slot;
    if (exec->oauth)
        exec->oauth->ops->rebind(exec->oauth, slot);
}

static void exec_free(struct source *source)
{
    struct source_exec *exec = CONTAINER_OF(source, struct source_exec, source);
    exec_cancel(source);
    if (exec->oauth)
        exec->oauth->ops->free(exec->oauth);
    forget_last(&exec->last);
    mem_free(exec);
}

static const struct source_ops exec_ops = {
    .fetch = exec_fetch,
    .cancel = exec_cancel,
    .has_changed = exec_has_changed,
    .rebind = exec_rebind,
    .free = exec_free,
};

struct source *source_exec_new(const struct source_context *context, const struct config_slot *slot)
{
    struct source_exec *exec = mem_alloc(sizeof *exec);
    exec->source.ops = &exec_ops;
    exec->loop = context->loop;
    exec->slot = slot;
    exec->oauth = slot->credential->has_endpoint ? source_oauth_new(context, slot) : NULL;
    late_init(&exec->late, context->loop);
    return &exec->source;
}
