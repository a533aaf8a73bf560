// SPDX-License-Identifier: MIT
// See token.h. Owns the two refcounted values that cross threads. It refuses to know clocks, logs
// and the network. Invariant: a token's fields never change once a second thread may see it; its
// bytes are overwritten before the memory goes back.
#include "token/token.h"

#include <openssl/evp.h>
#include <string.h>

#include "token/jose.h"

uint64_t token_skew_ms(uint64_t clock_skew_ms, uint64_t lifetime_ms)
{
    return clock_skew_ms < lifetime_ms / 2 ? clock_skew_ms : lifetime_ms / 2;
}

void token_schedule(const struct token_times *times, uint64_t *out_soft_ms, uint64_t *out_hard_ms)
{
    uint64_t skew = token_skew_ms(times->clock_skew_ms, times->lifetime_ms);
    uint64_t ahead = times->refresh_before_ms;
    if (ahead > times->lifetime_ms / 4)
        ahead = times->lifetime_ms / 4;
    ahead += (uint64_t)((double)ahead / 10 * times->jitter);
    *out_hard_ms = times->sent_ms + times->lifetime_ms - skew;
    *out_soft_ms = *out_hard_ms - ahead;
}

struct token *token_new(struct str value, const char *header, const char *prefix)
{
    size_t prefix_len = prefix && prefix[0] ? strlen(prefix) + 1 : 0;
    size_t len = prefix_len + value.len;
    char *line = mem_alloc(len + 1);
    if (prefix_len) {
        memcpy(line, prefix, prefix_len - 1);
        line[prefix_len - 1] = ' ';
    }
    if (value.len)
        memcpy(line + prefix_len, value.ptr, value.len);
    struct token *token = mem_alloc(sizeof *token);
    token->refs = 1;
    token->name_bytes = mem_strdup(header);
    token->value_bytes = line;
    token->header_name = str_of(token->name_bytes);
    token->header_value = (struct str){line, len};
    token->value = str_from(token->header_value, prefix_len);
    token_fingerprint(token->value, token->fingerprint);
    return token;
}

// The count is bookkeeping, not part of the value: it alone may change behind a const pointer.
static struct token *token_counted(const struct token *token)
{
    union {
        const struct token *value;
        struct token *counted;
    } either = {.value = token};
    return either.counted;
}

struct token *token_ref(const struct token *token)
{
    struct token *counted = token_counted(token);
    __atomic_add_fetch(&counted->refs, 1, __ATOMIC_RELAXED);
    return counted;
}

void token_unref(const struct token *token)
{
    struct token *counted = token_counted(token);
    if (!counted || __atomic_sub_fetch(&counted->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mem_wipe(counted->value_bytes, counted->header_value.len);
    mem_free(counted->value_bytes);
    mem_free(counted->name_bytes);
    mem_free(counted->granted_scope);
    jose_key_unref(counted->binding);
    mem_free(counted);
}

void token_fingerprint(struct str value, char out[TOKEN_FINGERPRINT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(value.ptr, value.len, hash, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < TOKEN_FINGERPRINT_LEN; i++)
        out[i] = digits[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    out[TOKEN_FINGERPRINT_LEN] = '\0';
    mem_wipe(hash, sizeof hash);
}

static bool is_b64token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~+/", c));
}

bool token_value_is_valid(struct str value)
{
    size_t end = value.len;
    while (end > 0 && value.ptr[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++)
        if (!is_b64token_char(value.ptr[i]))
            return false;
    return end > 0;
}

// -- failures ----------------------------------------------------------------------------------

struct token_failure *token_failure_new(enum token_failure_kind kind, const char *text)
{
    struct token_failure *failure = mem_alloc(sizeof *failure);
    failure->refs = 1;
    failure->kind = kind;
    // Whatever went into the text, what comes out of here cannot break a header or a log line.
    for (size_t i = 0; text[i] && i < sizeof failure->text - 1; i++)
        if (text[i] >= ' ' && text[i] <= '~')
            failure->text[i] = text[i];
        else
            failure->text[i] = '?';
    return failure;
}

static struct token_failure *failure_counted(const struct token_failure *failure)
{
    union {
        const struct token_failure *value;
        struct token_failure *counted;
    } either = {.value = failure};
    return either.counted;
}

struct token_failure *token_failure_ref(const struct token_failure *failure)
{
    struct token_failure *counted = failure_counted(failure);
    __atomic_add_fetch(&counted->refs, 1, __ATOMIC_RELAXED);
    return counted;
}

void token_failure_unref(const struct token_failure *failure)
{
    struct token_failure *counted = failure_counted(failure);
    if (counted && __atomic_sub_fetch(&counted->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(counted);
}

int token_failure_status(enum token_failure_kind kind)
{
    switch (kind) {
    case FAILURE_REFUSED:
    case FAILURE_MALFORMED:
        return 502;
    case FAILURE_TIMEOUT:
    case FAILURE_WAITED:
        return 504;
    case FAILURE_UNREACHABLE:
    case FAILURE_TRANSIENT:
    case FAILURE_LOCAL:
        break;
    }
    return 503;
}

const char *token_failure_name(enum token_failure_kind kind)
{
    static const char *const names[] = {
        [FAILURE_UNREACHABLE] = "unreachable", [FAILURE_TIMEOUT] = "timeout",
        [FAILURE_TRANSIENT] = "transient",     [FAILURE_REFUSED] = "refused",
        [FAILURE_MALFORMED] = "malformed",     [FAILURE_LOCAL] = "local",
        [FAILURE_WAITED] = "waited",
    };
    return names[kind];
}
