// SPDX-License-Identifier: MIT
// See discovery.h. Owns when an issuer is asked for its metadata, and the last good answer; what
// they mean is metadata.c's. Invariants: one request at a time; after a failure none before its
// hold-off is over; a good answer is only ever replaced by another good one.
#include "token/discovery.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "token/fetch_failure.h"
#include "token/grant_error.h"
#include "token/metadata.h"
#include "token/pace.h"
#include "token/post.h"

const struct discovery_times discovery_times_default = {
    .age_min_ms = UINT64_C(5) * 60 * 1000,
    .age_max_ms = UINT64_C(24) * 3600 * 1000,
    .age_default_ms = UINT64_C(3600) * 1000,
    .pace = &pace_default,
};

struct discovery {
    struct loop *loop;
    struct fetcher *fetcher;
    const struct config_credential *credential;
    struct discovery_times times;
    char *token_endpoint; // of the last good answer; NULL: there was none
    uint64_t good_ms;     // when it came
    uint64_t stale_ms;    // from here on it is worth asking again
    unsigned char body_hash[EVP_MAX_MD_SIZE];
    enum metadata_form good_form;  // that it came from: asked first the next time
    struct token_failure *failure; // of the last attempt; NULL: it was good
    uint64_t hold_ms;              // no attempt before
    unsigned failed_count;
    // The attempt under way
    struct fetch *fetch;
    enum metadata_form form;
    char *url;
    unsigned tries;
    struct token_failure *first; // how the first form failed, when the second is being tried
    struct task local_task;      // ends an attempt that could not even start
    struct list waiters;
};

struct waiter {
    struct list link;
    discovery_done_fn *done;
    void *arg;
};

static void attempt_continue(struct discovery *discovery, enum metadata_form form);

// -- how an attempt ends -----------------------------------------------------------------------

static void fill_result(const struct discovery *discovery, struct discovery_result *out)
{
    *out = (struct discovery_result){0};
    if (discovery->token_endpoint) {
        out->token_endpoint = discovery->token_endpoint;
        out->issuer = discovery->credential->issuer;
    } else {
        out->failure = discovery->failure;
    }
}

static void attempt_end(struct discovery *discovery)
{
    struct discovery_result result;
    struct list *link;
    mem_free(discovery->url);
    discovery->url = NULL;
    token_failure_unref(discovery->first);
    discovery->first = NULL;
    fill_result(discovery, &result);
    // Whoever asks from inside done() is answered at once, so this comes to an end.
    while ((link = list_take_first(&discovery->waiters))) {
        struct waiter *waiter = CONTAINER_OF(link, struct waiter, link);
        waiter->done(waiter->arg, &result);
        mem_free(waiter);
    }
}

// Takes failure over.
static void attempt_fail(struct discovery *discovery, struct token_failure *failure,
                         uint64_t retry_after_ms)
{
    // Without jitter, and shorter than any that whoever asked will keep: then it is over first.
    uint64_t hold_off_ms = pace_hold_off_ms(discovery->times.pace, failure->kind,
                                            ++discovery->failed_count, 1.0, retry_after_ms);
    discovery->hold_ms = loop_now_ms(discovery->loop) + hold_off_ms;
    token_failure_unref(discovery->failure);
    discovery->failure = failure;
    log_warn("discovery.failed", F_TEXT("credential", discovery->credential->name),
             F_TEXT("issuer", discovery->credential->issuer),
             F_TEXT("kind", token_failure_name(failure->kind)), F_TEXT("text", failure->text),
             F_TEXT("current", discovery->token_endpoint ? "the last known is used" : "none"));
    attempt_end(discovery);
}

static void log_found(const struct discovery *discovery, unsigned doubts)
{
    const char *name = discovery->credential->name;
    char label[160];
    fetch_failure_label(discovery->token_endpoint, label, sizeof label);
    log_info("discovery.found", F_TEXT("credential", name),
             F_TEXT("issuer", discovery->credential->issuer), F_TEXT("token_endpoint", label));
    for (unsigned doubt = 1; doubt < METADATA_DOUBTS_END; doubt <<= 1)
        if (doubts & doubt)
            log_warn("discovery.unsupported", F_TEXT("credential", name),
                     F_TEXT("issuer", discovery->credential->issuer),
                     F_TEXT("text", metadata_doubt_text((enum metadata_doubt)doubt)));
}

static uint64_t clamp_ms(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

// Takes over what is in metadata.
static void attempt_succeed(struct discovery *discovery, struct metadata *metadata,
                            const struct fetch_response *response)
{
    const struct discovery_times *times = &discovery->times;
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    uint64_t age_ms = metadata_max_age_ms(response->cache_control, times->age_default_ms);
    discovery->good_ms = loop_now_ms(discovery->loop);
    discovery->stale_ms =
        discovery->good_ms + clamp_ms(age_ms, times->age_min_ms, times->age_max_ms);
    discovery->good_form = discovery->form;
    discovery->failed_count = 0;
    discovery->hold_ms = 0;
    token_failure_unref(discovery->failure);
    discovery->failure = NULL;
    mem_free(discovery->token_endpoint);
    discovery->token_endpoint = metadata->token_endpoint;
    metadata->token_endpoint = NULL;
    EVP_Digest(response->body.ptr, response->body.len, hash, NULL, EVP_sha256(), NULL);
    if (memcmp(hash, discovery->body_hash, sizeof hash) != 0)
        log_found(discovery, metadata->doubts); // once per document, not per look
    memcpy(discovery->body_hash, hash, sizeof hash);
    attempt_end(discovery);
}

// -- answers -----------------------------------------------------------------------------------

static struct token_failure *status_failure(const struct discovery *discovery, int status)
{
    char text[512], label[160];
    bool is_passing = status >= 500 || status == 429 || status == 408;
    fetch_failure_label(discovery->url, label, sizeof label);
    snprintf(text, sizeof text, "metadata of the issuer: HTTP %d from %s%s", status, label,
             status >= 300 && status < 400 ? ": redirects are never followed" : "");
    struct token_failure *failure =
        token_failure_new(is_passing ? FAILURE_TRANSIENT : FAILURE_MALFORMED, text);
    failure->status = status;
    return failure;
}

static struct token_failure *content_failure(const struct discovery *discovery, const char *why)
{
    char text[512], label[160];
    fetch_failure_label(discovery->url, label, sizeof label);
    snprintf(text, sizeof text, "the metadata from %s cannot be used: %s", label, why);
    return token_failure_new(FAILURE_MALFORMED, text);
}

static struct token_failure *judge(const struct discovery *discovery,
                                   const struct fetch_response *response,
                                   struct metadata *out_metadata)
{
    char why[320];
    if (response->error != FETCH_OK)
        return fetch_failure_new("request for metadata to", discovery->url, response);
    if (response->status != 200)
        return status_failure(discovery, response->status);
    if (!metadata_parse(response->body, discovery->credential, out_metadata, why, sizeof why))
        return content_failure(discovery, why);
    return NULL;
}

// Of two failures, the one that tells more: that there is nothing at the second place, least.
static struct token_failure *choose_failure(struct discovery *discovery,
                                            struct token_failure *second)
{
    struct token_failure *first = discovery->first;
    if (!first || second->status != 404)
        return second;
    discovery->first = NULL;
    token_failure_unref(second);
    return first;
}

static void on_response(void *arg, const struct fetch_response *response)
{
    struct discovery *discovery = arg;
    struct metadata metadata = {0};
    discovery->fetch = NULL;
    struct token_failure *failure = judge(discovery, response, &metadata);
    if (!failure) {
        attempt_succeed(discovery, &metadata, response);
    } else if (response->error == FETCH_OK && discovery->tries < METADATA_FORMS) {
        discovery->first = failure;
        attempt_continue(discovery,
                         discovery->form == METADATA_OAUTH ? METADATA_OPENID : METADATA_OAUTH);
    } else {
        uint64_t retry_after_ms =
            grant_error_retry_after(response->retry_after, clock_realtime_s());
        attempt_fail(discovery, choose_failure(discovery, failure), retry_after_ms);
    }
    metadata_fini(&metadata);
}

// -- requests ----------------------------------------------------------------------------------

static void on_local_task(struct task *task)
{
    struct discovery *discovery = CONTAINER_OF(task, struct discovery, local_task);
    char text[256];
    snprintf(text, sizeof text, "cannot ask for the metadata of credential '%s' (see the log)",
             discovery->credential->name);
    attempt_fail(discovery, token_failure_new(FAILURE_LOCAL, text), 0);
}

static bool start_fetch(struct discovery *discovery, struct err *err)
{
    static const char *const headers[] = {"Accept: application/json",
                                          "User-Agent: bearerd/" BEARERD_VERSION, NULL};
    if (!discovery->url)
        return err_set(err, "the issuer is not a usable URL");
    struct fetch_request request = post_settings(discovery->credential);
    request.method = "GET";
    request.url = discovery->url;
    request.headers = headers;
    request.body_max = METADATA_BODY_MAX;
    discovery->fetch = fetch_start(discovery->fetcher, &request, on_response, discovery, err);
    return discovery->fetch != NULL;
}

static void attempt_continue(struct discovery *discovery, enum metadata_form form)
{
    struct err err;
    discovery->tries++;
    discovery->form = form;
    mem_free(discovery->url);
    discovery->url = metadata_url(discovery->credential->issuer, form);
    if (start_fetch(discovery, &err))
        return;
    log_error("discovery.local", F_TEXT("credential", discovery->credential->name),
              F_TEXT("cause", err.text));
    loop_defer(discovery->loop, &discovery->local_task);
}

static bool is_attempting(const struct discovery *discovery)
{
    return discovery->fetch || list_is_linked(&discovery->local_task.link);
}

static void attempt_start(struct discovery *discovery)
{
    discovery->tries = 0;
    attempt_continue(discovery, discovery->good_form);
}

// -- asking ------------------------------------------------------------------------------------

bool discovery_get(struct discovery *discovery, struct discovery_result *out_now,
                   discovery_done_fn *done, void *arg)
{
    const struct config_credential *credential = discovery->credential;
    uint64_t now_ms = loop_now_ms(discovery->loop);
    bool may_start = !is_attempting(discovery) && now_ms >= discovery->hold_ms;
    if (credential->token_url.text) {
        *out_now = (struct discovery_result){.token_endpoint = credential->token_url.text};
        return true;
    }
    if (discovery->token_endpoint) {
        if (may_start && now_ms >= discovery->stale_ms)
            attempt_start(discovery);
        fill_result(discovery, out_now);
        return true;
    }
    if (!may_start && !is_attempting(discovery)) {
        fill_result(discovery, out_now);
        return true;
    }
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    *waiter = (struct waiter){.done = done, .arg = arg};
    list_append(&discovery->waiters, &waiter->link);
    if (may_start)
        attempt_start(discovery);
    return false;
}

void discovery_cancel(struct discovery *discovery, void *arg)
{
    struct list *link = discovery->waiters.next, *next;
    for (; link != &discovery->waiters; link = next) {
        struct waiter *waiter = CONTAINER_OF(link, struct waiter, link);
        next = link->next;
        if (waiter->arg != arg)
            continue;
        list_remove(link);
        mem_free(waiter);
    }
}

void discovery_doubt(struct discovery *discovery)
{
    uint64_t soonest_ms = discovery->good_ms + discovery->times.age_min_ms;
    if (discovery->stale_ms > soonest_ms)
        discovery->stale_ms = soonest_ms;
}

// -- life --------------------------------------------------------------------------------------

struct discovery *discovery_new(struct loop *loop, struct fetcher *fetcher,
                                const struct config_credential *credential)
{
    return discovery_new_of(loop, fetcher, credential, &discovery_times_default);
}

struct discovery *discovery_new_of(struct loop *loop, struct fetcher *fetcher,
                                   const struct config_credential *credential,
                                   const struct discovery_times *times)
{
    struct discovery *discovery = mem_alloc(sizeof *discovery);
    discovery->loop = loop;
    discovery->fetcher = fetcher;
    discovery->credential = credential;
    discovery->times = *times;
    discovery->good_form = METADATA_OAUTH;
    task_init(&discovery->local_task, on_local_task);
    list_init(&discovery->waiters);
    return discovery;
}

void discovery_turn_to(struct discovery *discovery, const struct config_credential *credential)
{
    discovery->credential = credential;
}

void discovery_free(struct discovery *discovery)
{
    struct list *link;
    if (!discovery)
        return;
    if (discovery->fetch)
        fetch_cancel(discovery->fetch);
    task_cancel(&discovery->local_task);
    while ((link = list_take_first(&discovery->waiters)))
        mem_free(CONTAINER_OF(link, struct waiter, link));
    token_failure_unref(discovery->failure);
    token_failure_unref(discovery->first);
    mem_free(discovery->token_endpoint);
    mem_free(discovery->url);
    mem_free(discovery);
}
