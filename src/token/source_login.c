// SPDX-License-Identifier: MIT
// The source of session tokens: posts a login and takes the token out of the JSON answer. Secrets
// are read anew for each login. It refuses to try again by itself: wrong passwords lock accounts,
// so whatever may be a refusal is told as one. The one exception is a login whose bearer token may
// have been what was refused: it is repeated with a newer one, once for each token. Invariant:
// secrets do not outlive the request, and a text that repeats one is withheld.
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/template.h"
#include "token/client_auth.h"
#include "token/document.h"
#include "token/fetch_failure.h"
#include "token/grant.h"
#include "token/grant_error.h"
#include "token/late.h"
#include "token/pointer.h"
#include "token/post.h"
#include "token/quote.h"
#include "token/source.h"

#define BODY_MAX        ((size_t)4 * SECRET_MAX)
#define HIDDEN_MIN      4 // shorter ones are found in every other word
#define LIFETIME_MAX_MS ((uint64_t)30 * 24 * 3600 * 1000)
#define BEARER_FRESH_MS 10000 // asked for so lately, an authoriser's token is hardly dead

struct source_login {
    struct source source;
    const struct source_context *context;
    const struct config_slot *slot;
    source_done_fn *done;
    void *arg;
    bool is_waiting;   // for the authoriser's token
    bool is_asked;     // it was asked for and has not come, perhaps for a fetch cancelled since
    uint64_t bearer;   // its generation, of the login under way
    bool is_fresh;     // likewise
    uint64_t repeated; // the last generation that a login was repeated with
    // Of the login before, while a newer token of the authoriser is waited for; else NULL.
    struct token_failure *refusal;
    uint64_t retry_after_ms; // that came with it
    struct fetch *fetch;     // under way, or NULL
    struct buf secrets;      // of the login under way, each ended by a NUL: what no text may repeat
    struct late late;
    unsigned char hash[EVP_MAX_MD_SIZE]; // of the last body
};

// -- body --------------------------------------------------------------------------------------

static bool encode(struct str value, bool is_form, struct buf *out)
{
    return is_form ? client_auth_form_encode(value, out) : quote_json(value, out);
}

static bool add_secret(struct str reference, bool is_form, struct buf *secrets, struct buf *out,
                       struct err *err)
{
    struct buf value;
    char *name = str_dup(reference);
    struct secret *secret = secret_new(name, err);
    buf_init(&value, SECRET_MAX);
    bool ok = secret && secret_read(secret, &value, err);
    if (ok && !(encode(buf_str(&value), is_form, out) && buf_append(secrets, buf_str(&value)) &&
                buf_append_char(secrets, '\0')))
        ok = err_set(err, "%s is too long%s", name, is_form ? "" : ", or not UTF-8");
    buf_fini(&value);
    secret_free(secret);
    mem_free(name);
    return ok;
}

static bool build_body(const struct config_login *login, struct buf *secrets, struct buf *out,
                       struct err *err)
{
    struct str rest = str_of(login->body), before, reference;
    bool ok = true;
    while (ok && template_next(&rest, &before, &reference))
        ok = (buf_append(out, before) || err_set(err, "login_body is too long")) &&
             add_secret(reference, login->is_form, secrets, out, err);
    return ok && (buf_append(out, before) || err_set(err, "login_body is too long"));
}

static void hash_body(const struct buf *body, unsigned char out[EVP_MAX_MD_SIZE])
{
    memset(out, 0, EVP_MAX_MD_SIZE);
    EVP_Digest(body->ptr, body->len, out, NULL, EVP_sha256(), NULL);
}

// -- answer: failures --------------------------------------------------------------------------

static bool repeats_secret(const struct buf *secrets, struct str text)
{
    struct str rest = buf_str(secrets), secret;
    while (str_split(&rest, '\0', &secret))
        if (secret.len >= HIDDEN_MIN && text.len &&
            memmem(text.ptr, text.len, secret.ptr, secret.len))
            return true;
    return false;
}

// What servers call the words for people in what is not a token response.
static struct str message_of(const json_t *object)
{
    static const char *const names[] = {
        "error_description", "errorMessage", "message", "detail", "title", "error", "errorCode"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str text = document_text(object, names[i]);
        if (text.len)
            return text;
    }
    return STR_NONE;
}

static enum token_failure_kind kind_of(int status)
{
    if (status >= 500 || status == 429 || status == 408 || status == 425)
        return FAILURE_TRANSIENT;
    // A redirect leads to a page that asks for the password once more.
    return status >= 300 ? FAILURE_REFUSED : FAILURE_MALFORMED;
}

static struct token_failure *failure_new(const struct source_login *login,
                                         enum token_failure_kind kind, int status, const char *why,
                                         struct str message)
{
    char url[160], clean[200], text[600];
    fetch_failure_label(login->slot->credential->login.url.text, url, sizeof url);
    if (repeats_secret(&login->secrets, message))
        message = STR("(withheld: it repeats a secret)");
    grant_error_clean(message, clean, sizeof clean);
    snprintf(text, sizeof text, "the login failed: %s%s%s (HTTP %d from %s)", why,
             clean[0] ? ": " : "", clean, status, url);
    struct token_failure *failure = token_failure_new(kind, text);
    failure->status = status;
    return failure;
}

static struct token_failure *status_failure(const struct source_login *login, int status,
                                            const json_t *object)
{
    bool is_redirect = status >= 300 && status < 400;
    enum token_failure_kind kind = kind_of(status);
    const char *why = is_redirect                 ? "redirects are never followed"
                      : kind == FAILURE_TRANSIENT ? "the server cannot do it now"
                      : kind == FAILURE_REFUSED   ? "the server refused it"
                                                  : "the status should be 200 or 201";
    return failure_new(login, kind, status, why, message_of(object));
}

// -- answer: token -----------------------------------------------------------------------------

static bool is_token(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~')
            return false;
    return value.len > 0;
}

// Seconds, as a number or as digits in a string; 0: not told.
static uint64_t lifetime_told_ms(const json_t *object, const char *pointer)
{
    const json_t *member = pointer ? pointer_get(object, pointer) : NULL;
    struct str text = {json_string_value(member), json_string_length(member)};
    double seconds = json_number_value(member);
    uint64_t whole;
    if (str_to_u64(text, &whole))
        seconds = (double)whole;
    if (seconds >= (double)LIFETIME_MAX_MS / 1000)
        return LIFETIME_MAX_MS;
    return seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
}

// A 200 that says no is common: the word for it is in the JSON, and it is a refusal.
static struct token_failure *take_token(const struct source_login *login, int status,
                                        const json_t *object, struct source_result *out)
{
    const struct config_login *config = &login->slot->credential->login;
    const json_t *member = pointer_get(object, config->token);
    struct str value = {json_string_value(member), json_string_length(member)};
    if (!value.len)
        return failure_new(login, FAILURE_REFUSED, status,
                           "the answer has no token where login_token points", message_of(object));
    if (!is_token(value))
        return failure_new(login, FAILURE_MALFORMED, status,
                           "the token holds bytes that a header field must not have", STR_NONE);
    out->value = value;
    out->lifetime_ms = lifetime_told_ms(object, config->lifetime);
    if (!out->lifetime_ms)
        out->lifetime_ms = config->ttl_ms;
    return NULL;
}

static struct token_failure *take_answer(const struct source_login *login,
                                         const struct fetch_response *response,
                                         const json_t *object, const char *why,
                                         struct source_result *out)
{
    bool is_good = response->status == 200 || response->status == 201;
    if (!is_good)
        return status_failure(login, response->status, object);
    if (!object)
        return failure_new(login, FAILURE_MALFORMED, response->status, why, STR_NONE);
    return take_token(login, response->status, object, out);
}

// Is it the authoriser's token that was refused? A 401 that does not say so is more likely to be
// about the password, and five of those lock an account.
static bool is_bearer_refused(const struct source_login *login,
                              const struct fetch_response *response)
{
    struct str challenge = response->www_authenticate;
    if (response->error != FETCH_OK || response->status != 401 || !login->slot->authoriser ||
        login->bearer <= login->repeated)
        return false;
    return !login->is_fresh || memmem(challenge.ptr, challenge.len, "invalid_token", 13);
}

static void ask_authoriser(struct source_login *login, uint64_t newer_than);

static void on_response(void *arg, const struct fetch_response *response)
{
    static const struct document_limits limits = {GRANT_BODY_MAX, GRANT_DEPTH_MAX};
    struct source_login *login = arg;
    struct source_result result = {.sent_ms = response->sent_ms};
    struct token_failure *failure;
    json_t *object = NULL;
    char why[160];
    login->fetch = NULL;
    if (response->error == FETCH_OK) {
        object = document_parse(response->body, &limits, why, sizeof why);
        failure = take_answer(login, response, object, why, &result);
        result.retry_after_ms = grant_error_retry_after(response->retry_after, clock_realtime_s());
    } else {
        failure =
            fetch_failure_new("the login at", login->slot->credential->login.url.text, response);
    }
    buf_fini(&login->secrets);
    if (failure && is_bearer_refused(login, response)) {
        login->refusal = token_failure_ref(failure);
        login->retry_after_ms = result.retry_after_ms;
        ask_authoriser(login, login->bearer);
    } else {
        result.failure = failure;
        login->done(login->arg, &result);
    }
    json_decref(object);
    token_failure_unref(failure);
}

// -- request -----------------------------------------------------------------------------------

static bool send_request(struct source_login *login, const struct token *token, struct buf *body,
                         struct err *err)
{
    const struct config_credential *credential = login->slot->credential;
    struct buf bearer;
    buf_init(&bearer, BODY_MAX);
    if (token && !buf_printf(&bearer, "%.*s: %.*s", STR_ARG(token->header_name),
                             STR_ARG(token->header_value)))
        return err_set(err, "the token of login_credential is too long");
    struct post post = {.credential = credential,
                        .url = credential->login.url.text,
                        .head = post_head(credential, credential->login.is_form,
                                          token ? buf_take(&bearer) : NULL, NULL, err),
                        .body = buf_str(body)};
    if (post.head)
        login->fetch = post_start(login->context->fetcher, &post, on_response, login, err);
    return login->fetch != NULL;
}

static void fail_locally(struct source_login *login, const char *what, const struct err *err)
{
    buf_fini(&login->secrets);
    late_fail_locally(&login->late, login->done, login->arg, login->slot->credential, what, err);
}

// token: what authorises it; NULL: nothing needs to.
static void start_login(struct source_login *login, const struct token *token)
{
    struct err err = {0};
    struct buf body;
    buf_init(&body, BODY_MAX);
    if (!build_body(&login->slot->credential->login, &login->secrets, &body, &err)) {
        fail_locally(login, "cannot make the login_body", &err);
    } else {
        hash_body(&body, login->hash);
        login->bearer = token ? token->generation : 0;
        login->is_fresh =
            token && loop_now_ms(login->context->loop) < token->sent_ms + BEARER_FRESH_MS;
        bool ok = !token || (buf_append(&login->secrets, token->value) &&
                             buf_append_char(&login->secrets, '\0'));
        if (!ok)
            err_set(&err, "the secrets are too long");
        if (!ok || !send_request(login, token, &body, &err))
            fail_locally(login, "cannot make a login request", &err);
    }
    buf_fini(&body);
}

// -- the authoriser ----------------------------------------------------------------------------

static void forget_refusal(struct source_login *login)
{
    token_failure_unref(login->refusal);
    login->refusal = NULL;
}

// Nobody refused the login yet. The authoriser's own hold-off keeps its server from being asked too
// often; ours may be short, so that we notice when it is over.
static void authoriser_failed(struct source_login *login, const struct token_failure *cause)
{
    char text[800];
    forget_refusal(login);
    snprintf(text, sizeof text, "the login needs a token of credential '%s': %s",
             login->slot->authoriser->credential->name, cause->text);
    struct token_failure *failure =
        token_failure_new(cause->kind == FAILURE_REFUSED ? FAILURE_TRANSIENT : cause->kind, text);
    failure->status = cause->status;
    memcpy(failure->error, cause->error, sizeof failure->error);
    struct source_result result = {.sent_ms = loop_now_ms(login->context->loop),
                                   .failure = failure};
    login->done(login->arg, &result);
    token_failure_unref(failure);
}

// After a refusal that may have been about the bearer: once more, if there is a newer one.
static void log_in_again(struct source_login *login, const struct token *token)
{
    struct token_failure *refusal = login->refusal;
    login->refusal = NULL;
    if (token->generation > login->bearer) {
        log_info("token.login_again", F_TEXT("credential", login->slot->credential->name),
                 F_TEXT("text", "with a newer token of its login_credential"));
        login->repeated = token->generation;
        start_login(login, token);
    } else {
        struct source_result result = {.sent_ms = loop_now_ms(login->context->loop),
                                       .failure = refusal,
                                       .retry_after_ms = login->retry_after_ms};
        login->done(login->arg, &result);
    }
    token_failure_unref(refusal);
}

static void on_authoriser(void *arg, const struct token *token, const struct token_failure *failure)
{
    struct source_login *login = arg;
    login->is_asked = false;
    if (!login->is_waiting)
        return;
    login->is_waiting = false;
    if (failure)
        authoriser_failed(login, failure);
    else if (login->refusal)
        log_in_again(login, token);
    else
        start_login(login, token);
}

static void ask_authoriser(struct source_login *login, uint64_t newer_than)
{
    const struct source_context *context = login->context;
    login->is_waiting = true;
    if (login->is_asked)
        return; // for a fetch that was cancelled: its answer serves this one
    login->is_asked = true;
    context->get_token(context->arg, login->slot->authoriser, newer_than, on_authoriser, login);
}

// -- a fetch -----------------------------------------------------------------------------------

static void login_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct source_login *login = CONTAINER_OF(source, struct source_login, source);
    login->done = done;
    login->arg = arg;
    if (login->slot->authoriser)
        ask_authoriser(login, 0);
    else
        start_login(login, NULL);
}

static void login_cancel(struct source *source)
{
    struct source_login *login = CONTAINER_OF(source, struct source_login, source);
    if (login->fetch)
        fetch_cancel(login->fetch);
    login->fetch = NULL;
    login->is_waiting = false;
    forget_refusal(login);
    late_cancel(&login->late);
    buf_fini(&login->secrets);
}

static bool login_has_changed(struct source *source)
{
    const struct source_login *login = CONTAINER_OF(source, struct source_login, source);
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct buf secrets, body;
    buf_init(&secrets, BODY_MAX);
    buf_init(&body, BODY_MAX);
    // What cannot be read now may be on its way: not a change yet.
    bool is_read = build_body(&login->slot->credential->login, &secrets, &body, NULL);
    if (is_read)
        hash_body(&body, hash);
    buf_fini(&secrets);
    buf_fini(&body);
    return is_read && memcmp(hash, login->hash, sizeof hash) != 0;
}

static void login_rebind(struct source *source, const struct config_slot *slot)
{
    struct source_login *login = CONTAINER_OF(source, struct source_login, source);
    login->slot = slot;
}

static void login_free(struct source *source)
{
    struct source_login *login = CONTAINER_OF(source, struct source_login, source);
    login_cancel(source);
    mem_wipe(login->hash, sizeof login->hash);
    mem_free(login);
}

static const struct source_ops login_ops = {
    .fetch = login_fetch,
    .cancel = login_cancel,
    .has_changed = login_has_changed,
    .rebind = login_rebind,
    .free = login_free,
};

struct source *source_login_new(const struct source_context *context,
                                const struct config_slot *slot)
{
    struct source_login *login = mem_alloc(sizeof *login);
    login->source.ops = &login_ops;
    login->context = context;
    login->slot = slot;
    late_init(&login->late, context->loop);
    buf_init(&login->secrets, BODY_MAX);
    return &login->source;
}
