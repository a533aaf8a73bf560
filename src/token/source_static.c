// SPDX-License-Identifier: MIT
// The source of a configured token: reads it anew for each fetch, so that a file may be replaced
// while bearerd runs, and gives it the lifetime that token_expires leaves. When that is over it
// hands over to the grant, if there is a token endpoint. It asks nobody itself. Invariant: a token
// that has expired is never given out.
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "token/grant.h"
#include "token/late.h"
#include "token/source.h"

// Of a token that never expires: the next look at its file, at the latest.
#define LOOK_AGAIN_MS GRANT_LIFETIME_MAX_MS

struct source_static {
    struct source source;
    const struct config_slot *slot;
    struct source *oauth; // NULL: there is no token endpoint
    bool is_handed_over;  // the last fetch was oauth's
    struct late late;
    unsigned char hash[EVP_MAX_MD_SIZE]; // of the last token read
};

static void hash_token(const struct buf *value, unsigned char out[EVP_MAX_MD_SIZE])
{
    memset(out, 0, EVP_MAX_MD_SIZE);
    EVP_Digest(value->ptr, value->len, out, NULL, EVP_sha256(), NULL);
}

// Blanks inside are fine ("ApiKey 123"): the operator's words, and a field's value may hold them.
static bool is_field_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < ' ' || value.ptr[i] > '~')
            return false;
    return value.len && value.ptr[0] != ' ' && value.ptr[value.len - 1] != ' ';
}

static uint64_t lifetime_left_ms(const struct config_credential *credential)
{
    int64_t left_s = credential->token_expires_s - clock_realtime_s();
    if (!credential->token_expires_s)
        return LOOK_AGAIN_MS;
    // The last moments, in which a token is not used any more, are better spent on another.
    int64_t margin_s = credential->has_endpoint ? (int64_t)(credential->clock_skew_ms / 1000) : 0;
    if (left_s <= margin_s)
        return 0;
    uint64_t left_ms = (uint64_t)left_s * 1000;
    return left_ms < LOOK_AGAIN_MS ? left_ms : LOOK_AGAIN_MS;
}

bool source_static_is_over(const struct config_credential *credential)
{
    return credential->has_endpoint && !lifetime_left_ms(credential);
}

static struct token_failure *expired_failure(const struct config_credential *credential)
{
    char text[256], when[40] = "";
    struct tm parts;
    time_t expires = (time_t)credential->token_expires_s;
    if (gmtime_r(&expires, &parts))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    snprintf(text, sizeof text,
             "the token of credential '%s' expired at %s, and there is no token_url or issuer to "
             "get another from",
             credential->name, when);
    return token_failure_new(FAILURE_REFUSED, text);
}

static void static_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct source_static *fixed = CONTAINER_OF(source, struct source_static, source);
    const struct config_credential *credential = fixed->slot->credential;
    struct err err = {0};
    uint64_t lifetime_ms = lifetime_left_ms(credential);
    fixed->is_handed_over = !lifetime_ms && fixed->oauth;
    if (fixed->is_handed_over) {
        fixed->oauth->ops->fetch(fixed->oauth, done, arg);
    } else if (!lifetime_ms) {
        late_fail(&fixed->late, done, arg, expired_failure(credential));
    } else if (!secret_read(credential->token, &fixed->late.value, &err)) {
        late_fail_locally(&fixed->late, done, arg, credential, "cannot read the token", &err);
    } else if (!is_field_value(buf_str(&fixed->late.value))) {
        err_set(&err, "%s holds bytes that a header field must not have",
                secret_origin(credential->token));
        late_fail_locally(&fixed->late, done, arg, credential, "cannot use the token", &err);
    } else {
        hash_token(&fixed->late.value, fixed->hash);
        late_succeed(&fixed->late, done, arg, lifetime_ms);
    }
}

static void static_cancel(struct source *source)
{
    struct source_static *fixed = CONTAINER_OF(source, struct source_static, source);
    late_cancel(&fixed->late);
    if (fixed->oauth)
        fixed->oauth->ops->cancel(fixed->oauth);
}

static bool static_has_changed(struct source *source)
{
    struct source_static *fixed = CONTAINER_OF(source, struct source_static, source);
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct buf value;
    if (fixed->is_handed_over)
        return fixed->oauth->ops->has_changed(fixed->oauth);
    buf_init(&value, SECRET_MAX);
    bool is_read = secret_read(fixed->slot->credential->token, &value, NULL);
    if (is_read)
        hash_token(&value, hash);
    buf_fini(&value);
    return is_read && lifetime_left_ms(fixed->slot->credential) &&
           memcmp(hash, fixed->hash, sizeof hash) != 0;
}

static void static_rebind(struct source *source, const struct config_slot *slot)
{
    struct source_static *fixed = CONTAINER_OF(source, struct source_static, source);
    fixed->slot = slot;
    if (fixed->oauth)
        fixed->oauth->ops->rebind(fixed->oauth, slot);
}

static void static_free(struct source *source)
{
    struct source_static *fixed = CONTAINER_OF(source, struct source_static, source);
    static_cancel(source);
    if (fixed->oauth)
        fixed->oauth->ops->free(fixed->oauth);
    mem_wipe(fixed->hash, sizeof fixed->hash);
    mem_free(fixed);
}

static const struct source_ops static_ops = {
    .fetch = static_fetch,
    .cancel = static_cancel,
    .has_changed = static_has_changed,
    .rebind = static_rebind,
    .free = static_free,
};

struct source *source_static_new(const struct source_context *context,
                                 const struct config_slot *slot)
{
    struct source_static *fixed = mem_alloc(sizeof *fixed);
    fixed->source.ops = &static_ops;
    fixed->slot = slot;
    fixed->oauth = slot->credential->has_endpoint ? source_oauth_new(context, slot) : NULL;
    late_init(&fixed->late, context->loop);
    return &fixed->source;
}
