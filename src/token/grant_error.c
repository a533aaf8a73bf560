// SPDX-License-Identifier: MIT
// See grant_error.h. Owns the table of error codes and the sentences users read; refuses to pass on
// anything unprintable, a URL's query or a secret. Invariant: a failure's text names the status and
// the server, so that nobody has to guess who said no.
#include "token/grant_error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define HIDDEN_MIN 4 // shorter ones are found in every other word

void grant_error_clean(struct str text, char *out, size_t out_size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < out_size - 1; i++) {
        char c = text.ptr[i];
        if (((unsigned char)c & 0xc0) == 0x80)
            continue; // the rest of a UTF-8 character: one '?' for all of it
        if (c == '"')
            c = '\'';
        else if (c == '\\')
            c = '/';
        else if (c < ' ' || c > '~')
            c = '?';
        out[len++] = c;
    }
    out[len] = '\0';
}

static bool repeats_secret(const struct grant_answer *answer, struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(answer->hidden); i++) {
        struct str hidden = answer->hidden[i];
        if (hidden.len >= HIDDEN_MIN && text.len &&
            memmem(text.ptr, text.len, hidden.ptr, hidden.len))
            return true;
    }
    return false;
}

// What error codes mean for asking again. Those of passing failures are other servers' words for
// "not now". RFC 6749 5.2, RFC 8707 2, RFC 9396 5, RFC 9449 5.
static const struct {
    const char *error;
    enum token_failure_kind kind;
} error_kinds[] = {
    {"invalid_request", FAILURE_REFUSED},
    {"invalid_client", FAILURE_REFUSED},
    {"invalid_grant", FAILURE_REFUSED},
    {"unauthorized_client", FAILURE_REFUSED},
    {"unsupported_grant_type", FAILURE_REFUSED},
    {"invalid_scope", FAILURE_REFUSED},
    {"invalid_target", FAILURE_REFUSED},
    {"invalid_authorization_details", FAILURE_REFUSED},
    {"invalid_dpop_proof", FAILURE_REFUSED},
    {"use_dpop_nonce", FAILURE_TRANSIENT},
    {"temporarily_unavailable", FAILURE_TRANSIENT},
    {"server_error", FAILURE_TRANSIENT},
    {"slow_down", FAILURE_TRANSIENT},
};

static enum token_failure_kind kind_of(int status, struct str error)
{
    // A server in trouble is in trouble, whatever it says about us.
    if (status >= 500 || status == 429 || status == 408 || status == 425)
        return FAILURE_TRANSIENT;
    for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++)
        if (str_eq(error, str_of(error_kinds[i].error)))
            return error_kinds[i].kind;
    return status >= 400 || error.len ? FAILURE_REFUSED : FAILURE_MALFORMED;
}

// "HTTP 400 from SERVER"; without the status when it was not HTTP.
static void answer_origin(const struct grant_answer *answer, char *out, size_t out_size)
{
    char url[160];
    if (!answer->server)
        grant_url_label(&answer->slot->credential->token_url, url, sizeof url);
    const char *server = answer->server ? answer->server : url;
    if (answer->status)
        snprintf(out, out_size, "HTTP %d from %s", answer->status, server);
    else
        snprintf(out, out_size, "from %s", server);
}

struct token_failure *grant_error_failure(const struct grant_answer *answer,
                                          const struct grant_error *error)
{
    char code[64], description[256], origin[200], text[600];
    bool is_hidden = repeats_secret(answer, error->error);
    grant_error_clean(is_hidden ? STR("(withheld)") : error->error, code, sizeof code);
    if (repeats_secret(answer, error->description))
        snprintf(description, sizeof description, "(withheld: it repeats the client secret)");
    else
        grant_error_clean(error->description, description, sizeof description);
    answer_origin(answer, origin, sizeof origin);
    bool is_redirect = answer->status >= 300 && answer->status < 400;
    if (code[0])
        snprintf(text, sizeof text, "%s%s%s (%s)", code, description[0] ? ": " : "", description,
                 origin);
    else
        snprintf(text, sizeof text, "%s%s", origin,
                 is_redirect ? ": redirects are never followed" : "");
    struct token_failure *failure = token_failure_new(kind_of(answer->status, error->error), text);
    failure->status = answer->status;
    snprintf(failure->error, sizeof failure->error, "%s", code);
    return failure;
}

struct token_failure *grant_error_malformed(const struct grant_answer *answer, const char *why)
{
    char origin[200], text[512];
    answer_origin(answer, origin, sizeof origin);
    snprintf(text, sizeof text, "the token response cannot be used: %s (%s)", why, origin);
    struct token_failure *failure = token_failure_new(FAILURE_MALFORMED, text);
    failure->status = answer->status;
    return failure;
}

int64_t grant_error_date(struct str field)
{
    char text[40];
    struct tm when = {0};
    field = str_trim(field);
    if (field.len >= sizeof text)
        return 0;
    grant_error_clean(field, text, sizeof text);
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when);
    return end && !*end ? (int64_t)timegm(&when) : 0;
}

uint64_t grant_error_retry_after(struct str field, int64_t now_s)
{
    uint64_t seconds = 0;
    field = str_trim(field);
    if (!str_to_u64(field, &seconds)) {
        int64_t then_s = grant_error_date(field);
        seconds = then_s > now_s ? (uint64_t)(then_s - now_s) : 0;
    }
    return seconds < GRANT_RETRY_MAX_MS / 1000 ? seconds * 1000 : GRANT_RETRY_MAX_MS;
}
