// SPDX-License-Identifier: MIT
// The source of OAuth 2.0 client-credentials tokens: puts grant.c, client_auth.c and http/fetch.c
// together. It reads the secret anew for each fetch, so that a rotated file needs no restart. It
// refuses to retry or to remember: that is the keeper's. Invariant: after a fetch has started, done
// is called once, from the loop, unless cancelled; secrets do not outlive the call that needed
// them.
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "http/fetch.h"
#include "token/client_auth.h"
#include "token/grant.h"
#include "token/source.h"

static const char user_agent[] = "User-Agent: bearerd/" BEARERD_VERSION;

struct source_oauth {
    struct source source;
    struct loop *loop;
    struct fetcher *fetcher;
    const struct config_slot *slot;
    struct fetch *fetch; // under way, or NULL
    source_done_fn *done;
    void *arg;
    struct token_failure *local; // waits for local_task, or NULL
    struct task local_task;
    struct buf secret, header, shown; // of the fetch under way: what an answer must not repeat
    unsigned char secret_hash[EVP_MAX_MD_SIZE]; // of the last one read
};

static void hash_secret(const struct buf *secret, unsigned char out[EVP_MAX_MD_SIZE])
{
    EVP_Digest(secret->ptr, secret->len, out, NULL, EVP_sha256(), NULL);
}

static void forget_secret(struct source_oauth *oauth)
{
    buf_fini(&oauth->secret);
    buf_fini(&oauth->header);
    buf_fini(&oauth->shown);
}

// -- failures of our own -----------------------------------------------------------------------

static void on_local_task(struct task *task)
{
    struct source_oauth *oauth = CONTAINER_OF(task, struct source_oauth, local_task);
    struct token_failure *failure = oauth->local;
    oauth->local = NULL;
    struct source_result result = {.sent_ms = loop_now_ms(oauth->loop), .failure = failure};
    oauth->done(oauth->arg, &result);
    token_failure_unref(failure);
}

// Clients are told what failed, the log also where: paths are the operator's business.
static void fail_locally(struct source_oauth *oauth, const char *what, const struct err *err)
{
    const struct config_credential *credential = oauth->slot->credential;
    char text[256];
    snprintf(text, sizeof text, "%s of credential '%s' (see the log)", what, credential->name);
    log_error("token.local", F_TEXT("credential", credential->name), F_TEXT("text", what),
              F_TEXT("cause", err->text));
    forget_secret(oauth);
    oauth->local = token_failure_new(FAILURE_LOCAL, text);
    loop_defer(oauth->loop, &oauth->local_task);
}

// -- answers -----------------------------------------------------------------------------------

static enum token_failure_kind failure_kind(enum fetch_error error)
{
    switch (error) {
    case FETCH_TIMEOUT:
        return FAILURE_TIMEOUT;
    case FETCH_TOO_LARGE:
    case FETCH_BROKEN:
        return FAILURE_MALFORMED;
    case FETCH_UNREACHABLE:
    case FETCH_TLS:
    case FETCH_OK:
        break;
    }
    return FAILURE_UNREACHABLE;
}

static struct token_failure *fetch_failure(const struct source_oauth *oauth,
                                           const struct fetch_response *response)
{
    char url[160], text[512];
    grant_url_label(&oauth->slot->credential->token_url, url, sizeof url);
    snprintf(text, sizeof text, "token request to %s failed: %s", url, response->error_text);
    return token_failure_new(failure_kind(response->error), text);
}

static void on_response(void *arg, const struct fetch_response *response)
{
    struct source_oauth *oauth = arg;
    struct grant_result grant = {0};
    oauth->fetch = NULL;
    if (response->error == FETCH_OK) {
        struct grant_answer answer = {.status = response->status,
                                      .content_type = response->content_type,
                                      .retry_after = response->retry_after,
                                      .body = response->body,
                                      .slot = oauth->slot,
                                      .now_s = clock_realtime_s(),
                                      .hidden = {buf_str(&oauth->secret), buf_str(&oauth->shown)}};
        grant_parse(&answer, &grant);
    } else {
        grant.failure = fetch_failure(oauth, response);
    }
    forget_secret(oauth);
    struct source_result result = {.value = buf_str(&grant.value),
                                   .sent_ms = response->sent_ms,
                                   .lifetime_ms = grant.lifetime_ms,
                                   .granted_scope = grant.granted_scope,
                                   .failure = grant.failure,
                                   .retry_after_ms = grant.retry_after_ms};
    oauth->done(oauth->arg, &result);
    grant_result_fini(&grant);
}

// -- requests ----------------------------------------------------------------------------------

static bool read_secret(const struct source_oauth *oauth, struct buf *out, struct err *err)
{
    const struct secret *secret = oauth->slot->credential->client_secret;
    return !secret || secret_read(secret, out, err);
}

static bool start_fetch(struct source_oauth *oauth, struct buf *form, struct err *err)
{
    const struct config_credential *credential = oauth->slot->credential;
    const char *headers[] = {"Content-Type: application/x-www-form-urlencoded",
                             "Accept: application/json", user_agent,
                             oauth->header.len ? oauth->header.ptr : NULL, NULL};
    struct fetch_request request = {.method = "POST",
                                    .url = credential->token_url.text,
                                    .headers = headers,
                                    .body = buf_str(form),
                                    .ca_file = credential->tls.ca_file,
                                    .cert_file = credential->tls.cert_file,
                                    .key_file = credential->tls.key_file,
                                    .proxy = credential->proxy,
                                    .connect_timeout_ms = credential->connect_timeout_ms,
                                    .timeout_ms = credential->timeout_ms,
                                    .body_max = GRANT_BODY_MAX};
    oauth->fetch = fetch_start(oauth->fetcher, &request, on_response, oauth, err);
    return oauth->fetch != NULL;
}

static void oauth_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    struct err err = {0};
    struct buf form;
    oauth->done = done;
    oauth->arg = arg;
    buf_init(&form, GRANT_FORM_MAX);
    if (!read_secret(oauth, &oauth->secret, &err)) {
        fail_locally(oauth, "cannot read the client secret", &err);
        return;
    }
    hash_secret(&oauth->secret, oauth->secret_hash);
    // The NUL is for libcurl, which takes header lines as C strings; the length leaves it out.
    bool ok = grant_build(oauth->slot, &form) || err_set(&err, "scope and resource are too long");
    struct client_auth auth = {.credential = oauth->slot->credential,
                               .secret = buf_str(&oauth->secret),
                               .audience = oauth->slot->credential->token_url.text,
                               .now_s = clock_realtime_s()};
    ok = ok && client_auth_add(&auth, &oauth->header, &form, &oauth->shown, &err);
    ok = ok && (buf_reserve(&oauth->header, 1) || err_set(&err, "client_secret is too long"));
    if (ok)
        oauth->header.ptr[oauth->header.len] = '\0';
    if (!ok || !start_fetch(oauth, &form, &err))
        fail_locally(oauth, "cannot make a token request", &err);
    buf_fini(&form);
}

static void oauth_cancel(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    if (oauth->fetch)
        fetch_cancel(oauth->fetch);
    oauth->fetch = NULL;
    task_cancel(&oauth->local_task);
    token_failure_unref(oauth->local);
    oauth->local = NULL;
    forget_secret(oauth);
}

static bool oauth_has_changed(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    struct buf secret;
    buf_init(&secret, SECRET_MAX);
    // A secret that cannot be read now may be on its way: not a change yet.
    bool is_read = read_secret(oauth, &secret, NULL);
    if (is_read)
        hash_secret(&secret, hash);
    buf_fini(&secret);
    return is_read && memcmp(hash, oauth->secret_hash, sizeof hash) != 0;
}

static void oauth_free(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    oauth_cancel(source);
    mem_wipe(oauth->secret_hash, sizeof oauth->secret_hash);
    mem_free(oauth);
}

static const struct source_ops oauth_ops = {
    .fetch = oauth_fetch,
    .cancel = oauth_cancel,
    .has_changed = oauth_has_changed,
    .free = oauth_free,
};

struct source *source_oauth_new(struct loop *loop, struct fetcher *fetcher,
                                const struct config_slot *slot)
{
    struct source_oauth *oauth = mem_alloc(sizeof *oauth);
    oauth->source.ops = &oauth_ops;
    oauth->loop = loop;
    oauth->fetcher = fetcher;
    oauth->slot = slot;
    task_init(&oauth->local_task, on_local_task);
    buf_init(&oauth->secret, SECRET_MAX);
    buf_init(&oauth->header, GRANT_FORM_MAX);
    buf_init(&oauth->shown, GRANT_FORM_MAX);
    return &oauth->source;
}
