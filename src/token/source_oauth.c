// SPDX-License-Identifier: MIT
// The source of OAuth 2.0 client-credentials tokens: puts discovery.c, grant.c, client_auth.c and
// http/fetch.c together. A fetch is one token request, repeated only for what a repetition alone
// can mend: another secret after invalid_client, a nonce that a proof lacked; each at most once.
// Secrets are read anew for each request, so that a rotated file needs no restart. It refuses to
// wait and to keep tokens: that is the keeper's. Invariant: after a fetch has started, done is
// called once, from the loop, unless cancelled; secrets do not outlive the request that needed
// them.
#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "token/client.h"
#include "token/client_auth.h"
#include "token/fetch_failure.h"
#include "token/grant.h"
#include "token/grant_error.h"
#include "token/post.h"
#include "token/source.h"

#define CLOCK_TOLERANCE_S 30

struct source_oauth {
    struct source source;
    struct loop *loop;
    struct fetcher *fetcher;
    struct client *client; // shared by all slots of the credential
    const struct config_slot *slot;
    source_done_fn *done;
    void *arg;
    // The fetch under way
    char *endpoint, *audience;
    bool is_next; // it uses client_secret_next
    bool has_tried_both, has_tried_nonce;
    struct fetch *fetch;              // NULL between requests
    struct buf secret, header, shown; // what an answer must not repeat
    struct token_failure *local;      // waits for local_task, or NULL
    struct task local_task;
    unsigned char secret_hash[EVP_MAX_MD_SIZE]; // of all that was read for it
    char *details;                              // the last authorization_details told of
};

static void forget_secret(struct source_oauth *oauth)
{
    buf_fini(&oauth->secret);
    buf_fini(&oauth->header);
    buf_fini(&oauth->shown);
}

static void forget_fetch(struct source_oauth *oauth)
{
    forget_secret(oauth);
    mem_free(oauth->endpoint);
    mem_free(oauth->audience);
    oauth->endpoint = oauth->audience = NULL;
}

// -- failures of our own -----------------------------------------------------------------------

static void on_local_task(struct task *task)
{
    struct source_oauth *oauth = CONTAINER_OF(task, struct source_oauth, local_task);
    struct token_failure *failure = oauth->local;
    oauth->local = NULL;
    forget_fetch(oauth);
    struct source_result result = {.sent_ms = loop_now_ms(oauth->loop), .failure = failure};
    oauth->done(oauth->arg, &result);
    token_failure_unref(failure);
}

// Takes failure over; done comes at the turn's end.
static void fail(struct source_oauth *oauth, struct token_failure *failure)
{
    oauth->local = failure;
    loop_defer(oauth->loop, &oauth->local_task);
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
    fail(oauth, token_failure_new(FAILURE_LOCAL, text));
}

// -- secrets -----------------------------------------------------------------------------------

static const char *unreadable_text(const struct config_credential *credential)
{
    switch ((enum config_auth_method)credential->auth_method) {
    case AUTH_PRIVATE_KEY_JWT:
        return "cannot read the signing key";
    case AUTH_ASSERTION_FILE:
        return "cannot read the assertion";
    case AUTH_TLS_CLIENT:
        return "cannot read the client certificate";
    case AUTH_CLIENT_SECRET_BASIC:
    case AUTH_CLIENT_SECRET_POST:
    case AUTH_CLIENT_SECRET_JWT:
    case AUTH_NONE:
        break;
    }
    return "cannot read the client secret";
}

// All that authenticates the client, in one hash. False: the first secret cannot be read now.
static bool hash_secrets(const struct config_credential *credential,
                         unsigned char out[EVP_MAX_MD_SIZE])
{
    struct buf secret;
    buf_init(&secret, 2 * CLIENT_AUTH_READ_MAX + 8);
    bool is_read = client_auth_read(credential, false, &secret, NULL);
    size_t len = secret.len;
    if (credential->client_secret_next && !client_auth_read(credential, true, &secret, NULL))
        secret.len = len; // not there: one less
    memset(out, 0, EVP_MAX_MD_SIZE);
    if (buf_append(&secret, (struct str){(const char *)&len, sizeof len}))
        EVP_Digest(secret.ptr, secret.len, out, NULL, EVP_sha256(), NULL);
    buf_fini(&secret);
    return is_read;
}

// Into oauth->secret: the one this try is to use, or the other when it cannot be read.
static bool read_secret(struct source_oauth *oauth, struct err *err)
{
    const struct config_credential *credential = oauth->slot->credential;
    if (client_auth_read(credential, oauth->is_next, &oauth->secret, err))
        return true;
    buf_clear(&oauth->secret);
    if (oauth->has_tried_both || !credential->client_secret_next)
        return false;
    oauth->has_tried_both = true;
    oauth->is_next = !oauth->is_next;
    return client_auth_read(credential, oauth->is_next, &oauth->secret, NULL);
}

// After a refusal of the one just used: is there another to try?
static bool turn_to_other_secret(struct source_oauth *oauth, struct str used)
{
    const struct config_credential *credential = oauth->slot->credential;
    struct buf other;
    if (oauth->has_tried_both || !credential->client_secret_next)
        return false;
    oauth->has_tried_both = true;
    buf_init(&other, CLIENT_AUTH_READ_MAX);
    bool ok = client_auth_read(credential, !oauth->is_next, &other, NULL) && other.len &&
              mem_secret_differs(other.ptr, other.len, used.ptr, used.len);
    buf_fini(&other);
    if (ok)
        oauth->is_next = !oauth->is_next;
    return ok;
}

static void note_working_secret(struct source_oauth *oauth)
{
    struct client *client = oauth->client;
    if (client->prefers_next == oauth->is_next)
        return;
    client->prefers_next = oauth->is_next;
    log_warn("token.secret", F_TEXT("credential", client->credential->name),
             F_TEXT("works", oauth->is_next ? "client_secret_next" : "client_secret"),
             F_TEXT("instead_of", oauth->is_next ? "client_secret" : "client_secret_next"));
}

// -- requests ----------------------------------------------------------------------------------

static bool add_proof(struct source_oauth *oauth, struct buf *line, struct err *err)
{
    struct jose_proof proof = {.method = STR("POST"),
                               .url = str_of(oauth->endpoint),
                               .nonce = str_of(oauth->client->nonce),
                               .now_s = clock_realtime_s()};
    return (buf_append(line, STR("DPoP: ")) || err_set(err, "the proof is too long")) &&
           jose_dpop_proof(oauth->client->binding, &proof, line, err);
}

// NULL after an error.
static char **build_head(struct source_oauth *oauth, struct err *err)
{
    struct buf proof;
    buf_init(&proof, GRANT_FORM_MAX);
    if (oauth->client->binding && !add_proof(oauth, &proof, err)) {
        buf_fini(&proof);
        return NULL;
    }
    return post_head(oauth->slot->credential, true,
                     oauth->header.len ? str_dup(buf_str(&oauth->header)) : NULL,
                     proof.len ? buf_take(&proof) : NULL, err);
}

static bool start_fetch(struct source_oauth *oauth, struct buf *form, struct err *err);

static bool build_form(struct source_oauth *oauth, struct buf *form, struct err *err)
{
    struct client_auth auth = {.credential = oauth->slot->credential,
                               .secret = buf_str(&oauth->secret),
                               .audience = oauth->audience,
                               .now_s = clock_realtime_s()};
    return (grant_build(oauth->slot, form) ||
            err_set(err, "the token request's parameters are too long")) &&
           client_auth_add(&auth, &oauth->header, form, &oauth->shown, err);
}

// One token request, with everything fresh.
static void start_try(struct source_oauth *oauth)
{
    struct err err = {0};
    struct buf form;
    forget_secret(oauth);
    if (!read_secret(oauth, &err)) {
        fail_locally(oauth, unreadable_text(oauth->slot->credential), &err);
        return;
    }
    if (!client_bind(oauth->client, &err)) {
        fail_locally(oauth, "cannot read the DPoP key", &err);
        return;
    }
    buf_init(&form, GRANT_FORM_MAX);
    if (!build_form(oauth, &form, &err) || !start_fetch(oauth, &form, &err))
        fail_locally(oauth, "cannot make a token request", &err);
    buf_fini(&form);
}

// -- answers -----------------------------------------------------------------------------------

// Assertions carry times: a server that refuses one may only live at another time.
static void note_clock(const struct source_oauth *oauth, const struct fetch_response *response)
{
    int method = oauth->slot->credential->auth_method;
    int64_t theirs_s = grant_error_date(response->date), ours_s = clock_realtime_s();
    int64_t ahead_s = ours_s - theirs_s;
    if (!theirs_s || (method != AUTH_CLIENT_SECRET_JWT && method != AUTH_PRIVATE_KEY_JWT) ||
        (ahead_s <= CLOCK_TOLERANCE_S && -ahead_s <= CLOCK_TOLERANCE_S))
        return;
    log_warn("token.clock", F_TEXT("credential", oauth->slot->credential->name),
             F_TEXT("text", ahead_s > 0 ? "our clock is ahead of the authorization server's"
                                        : "our clock is behind the authorization server's"),
             F_NUM("difference_s", ahead_s > 0 ? ahead_s : -ahead_s));
}

static bool is_client_refused(const struct token_failure *failure)
{
    return failure->kind == FAILURE_REFUSED && (strcmp(failure->error, "invalid_client") == 0 ||
                                                (failure->status == 401 && !failure->error[0]));
}

// Something that is no token endpoint, or nothing at all: the metadata may have changed.
static bool is_endpoint_in_doubt(const struct token_failure *failure)
{
    return failure->kind == FAILURE_UNREACHABLE || failure->status == 404 ||
           failure->status == 405 || failure->status == 410;
}

// True: another request may go better, and everything is set for it.
static bool prepare_retry(struct source_oauth *oauth, const struct token_failure *failure,
                          const struct fetch_response *response)
{
    bool has_nonce = client_take_nonce(oauth->client, response->dpop_nonce);
    if (!failure)
        return false;
    if (is_client_refused(failure)) {
        note_clock(oauth, response);
        return turn_to_other_secret(oauth, buf_str(&oauth->secret));
    }
    if (is_endpoint_in_doubt(failure))
        discovery_doubt(oauth->client->discovery);
    if (!has_nonce || oauth->has_tried_nonce || !oauth->client->binding ||
        strcmp(failure->error, "use_dpop_nonce") != 0)
        return false;
    oauth->has_tried_nonce = true;
    return true;
}

static void note_details(struct source_oauth *oauth, char *granted)
{
    if (granted && (!oauth->details || strcmp(granted, oauth->details) != 0))
        log_warn("token.details", F_TEXT("credential", oauth->slot->credential->name),
                 F_TEXT("asked", oauth->slot->authorization_details), F_TEXT("granted", granted));
    mem_free(oauth->details);
    oauth->details = mem_strdup(granted);
}

static void finish(struct source_oauth *oauth, const struct grant_result *grant,
                   const struct fetch_response *response)
{
    struct source_result result = {.value = buf_str(&grant->value),
                                   .sent_ms = response->sent_ms,
                                   .lifetime_ms = grant->lifetime_ms,
                                   .granted_scope = grant->granted_scope,
                                   .failure = grant->failure,
                                   .retry_after_ms = grant->retry_after_ms};
    if (!grant->failure) {
        result.binding = oauth->client->binding;
        note_working_secret(oauth);
        note_details(oauth, grant->granted_details);
    }
    forget_fetch(oauth);
    oauth->done(oauth->arg, &result);
}

static void on_response(void *arg, const struct fetch_response *response)
{
    struct source_oauth *oauth = arg;
    struct grant_result grant = {0};
    char label[160];
    oauth->fetch = NULL;
    fetch_failure_label(oauth->endpoint, label, sizeof label);
    if (response->error == FETCH_OK) {
        struct grant_answer answer = {.status = response->status,
                                      .content_type = response->content_type,
                                      .retry_after = response->retry_after,
                                      .body = response->body,
                                      .slot = oauth->slot,
                                      .server = label,
                                      .is_dpop = oauth->client->binding != NULL,
                                      .now_s = clock_realtime_s(),
                                      .hidden = {buf_str(&oauth->secret), buf_str(&oauth->shown)}};
        grant_parse(&answer, &grant);
    } else {
        grant.failure = fetch_failure_new("token request to", oauth->endpoint, response);
    }
    if (prepare_retry(oauth, grant.failure, response))
        start_try(oauth);
    else
        finish(oauth, &grant, response);
    grant_result_fini(&grant);
}

static bool start_fetch(struct source_oauth *oauth, struct buf *form, struct err *err)
{
    struct post post = {.credential = oauth->slot->credential,
                        .url = oauth->endpoint,
                        .head = build_head(oauth, err),
                        .body = buf_str(form)};
    if (post.head)
        oauth->fetch = post_start(oauth->fetcher, &post, on_response, oauth, err);
    return oauth->fetch != NULL;
}

// -- a fetch -----------------------------------------------------------------------------------

static void on_endpoint(void *arg, const struct discovery_result *result)
{
    struct source_oauth *oauth = arg;
    if (result->failure) {
        fail(oauth, token_failure_ref(result->failure));
        return;
    }
    const char *issuer = result->issuer ? result->issuer : oauth->slot->credential->issuer;
    oauth->endpoint = mem_strdup(result->token_endpoint);
    oauth->audience = mem_strdup(issuer ? issuer : result->token_endpoint);
    start_try(oauth);
}

static void oauth_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    struct discovery_result result;
    oauth->done = done;
    oauth->arg = arg;
    oauth->is_next = oauth->client->prefers_next;
    oauth->has_tried_both = oauth->has_tried_nonce = false;
    hash_secrets(oauth->slot->credential, oauth->secret_hash);
    if (discovery_get(oauth->client->discovery, &result, on_endpoint, oauth))
        on_endpoint(oauth, &result);
}

static void oauth_cancel(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    discovery_cancel(oauth->client->discovery, oauth);
    if (oauth->fetch)
        fetch_cancel(oauth->fetch);
    oauth->fetch = NULL;
    task_cancel(&oauth->local_task);
    token_failure_unref(oauth->local);
    oauth->local = NULL;
    forget_fetch(oauth);
}

static bool oauth_has_changed(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    unsigned char hash[EVP_MAX_MD_SIZE];
    // A secret that cannot be read now may be on its way: not a change yet.
    return hash_secrets(oauth->slot->credential, hash) &&
           memcmp(hash, oauth->secret_hash, sizeof hash) != 0;
}

static void oauth_rebind(struct source *source, const struct config_slot *slot)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    oauth->slot = slot;
}

static void oauth_free(struct source *source)
{
    struct source_oauth *oauth = CONTAINER_OF(source, struct source_oauth, source);
    oauth_cancel(source);
    mem_wipe(oauth->secret_hash, sizeof oauth->secret_hash);
    client_unref(oauth->client);
    mem_free(oauth->details);
    mem_free(oauth);
}

static const struct source_ops oauth_ops = {
    .fetch = oauth_fetch,
    .cancel = oauth_cancel,
    .has_changed = oauth_has_changed,
    .rebind = oauth_rebind,
    .free = oauth_free,
};

struct source *source_oauth_new(const struct source_context *context,
                                const struct config_slot *slot)
{
    struct source_oauth *oauth = mem_alloc(sizeof *oauth);
    assert(context->clients);
    oauth->source.ops = &oauth_ops;
    oauth->loop = context->loop;
    oauth->fetcher = context->fetcher;
    oauth->client = clients_get(context->clients, slot->credential);
    oauth->slot = slot;
    task_init(&oauth->local_task, on_local_task);
    buf_init(&oauth->secret, CLIENT_AUTH_READ_MAX);
    buf_init(&oauth->header, GRANT_FORM_MAX);
    buf_init(&oauth->shown, GRANT_FORM_MAX);
    return &oauth->source;
}
