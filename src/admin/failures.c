// SPDX-License-Identifier: MIT
// See failures.h. The remedies are the words of docs/problems.md, for those who look here first.
#include "admin/failures.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

// -- what to do --------------------------------------------------------------------------------

struct advice {
    const char *error, *text;
};

// RFC 6749 5.2, RFC 8707 2, RFC 9396 5.
static const struct advice by_error[] = {
    {"invalid_client", "the authorization server does not accept this client: look at client_id, "
                       "client_secret and auth_method; a changed secret file is noticed by itself"},
    {"unauthorized_client", "this client may not use the client-credentials grant: ask whoever "
                            "registered it"},
    {"invalid_scope", "a scope of the route or the credential is unknown there, or not granted to "
                      "this client"},
    {"invalid_target", "audience or resource is not what this server knows"},
    {"invalid_authorization_details", "authorization_details is not what this server takes"},
    {"unsupported_grant_type", "token_url is not a token endpoint that knows client_credentials"},
    {"invalid_request", "the server misses a parameter, or does not want one: its documentation "
                        "tells which (param, audience, resource)"},
};

static const char *token_remedy(const struct token_failure *failure)
{
    for (size_t i = 0; i < ARRAY_LEN(by_error); i++)
        if (str_eq(str_of(failure->error), str_of(by_error[i].error)))
            return by_error[i].text;
    switch (failure->kind) {
    case FAILURE_UNREACHABLE:
        return "look at token_url, ca_file, proxy and the network; it is tried again by itself";
    case FAILURE_TIMEOUT:
    case FAILURE_WAITED:
        return "the authorization server is slow or gone; timeout says how long to wait for it";
    case FAILURE_TRANSIENT:
        return "the authorization server has trouble of its own; it is tried again by itself";
    case FAILURE_REFUSED:
        return "ask the authorization server's operator; reload when it is mended";
    case FAILURE_MALFORMED:
        return "token_url answers something else than a token response: is it the right one?";
    case FAILURE_LOCAL:
        break;
    }
    return "a secret, key, file or command cannot be used; the log names it";
}

static const char *upstream_remedy(enum traffic_failure failure)
{
    static const char *const texts[TRAFFIC_FAILURES] = {
        [TRAFFIC_UNREACHABLE] = "look at the upstream's url and proxy, and whether it runs",
        [TRAFFIC_TLS] =
            "its certificate is not one that ca_file vouches for, or not for this name; "
            "or it wants a client certificate (cert_file)",
        [TRAFFIC_CONNECT_TIMEOUT] = "it does not answer; connect_timeout says how long to wait",
        [TRAFFIC_BUSY] =
            "it is too slow for so many requests, or max_connections and max_queue are "
            "too small for it",
        [TRAFFIC_FIRST_BYTE_TIMEOUT] = "it is slow or stuck; first_byte_timeout says how long to "
                                       "wait",
        [TRAFFIC_IDLE_TIMEOUT] = "it takes no bytes; idle_timeout says how long to wait",
        [TRAFFIC_CLOSED] = "it closes connections without an answer: its own log may say why",
        [TRAFFIC_MALFORMED] = "it does not speak HTTP/1.1 as it should: is url right?",
        [TRAFFIC_HEAD_TOO_LARGE] = "raise header_limit",
        [TRAFFIC_EXHAUSTED] = "more descriptors (LimitNOFILE) or fewer connections",
        [TRAFFIC_LOCAL] = "the log says what could not be set up",
        [TRAFFIC_CUT] = "it broke off within an answer: its own log may say why; idle_timeout ends "
                        "answers that pause",
    };
    return texts[failure];
}

// -- the list ----------------------------------------------------------------------------------

// The words of a cause are not compared: they hold times and numbers of their own. Nor is the route
// of an upstream's failure: with an upstream that is gone, that of all its routes is one.
static bool is_same(const struct failure *a, const struct failure *b)
{
    return a->is_token == b->is_token && !strcmp(a->subject, b->subject) &&
           (!a->is_token || !strcmp(a->part, b->part)) && !strcmp(a->kind, b->kind) &&
           !strcmp(a->error, b->error);
}

static size_t failures_find(const struct failures *failures, const struct failure *failure)
{
    size_t at = 0;
    while (at < failures->count && !is_same(&failures->items[at], failure))
        at++;
    return at;
}

static void failures_add(struct failures *failures, struct failure *failure)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    failure->at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    failure->first_at_ms = failure->at_ms;
    size_t at = failures_find(failures, failure);
    if (at < failures->count) {
        failure->first_at_ms = failures->items[at].first_at_ms;
        failure->count += failures->items[at].count;
    } else if (failures->count < FAILURES_MAX) {
        failures->count++;
    } else {
        at = FAILURES_MAX - 1; // the oldest goes
    }
    memmove(&failures->items[1], &failures->items[0], at * sizeof failures->items[0]);
    failures->items[0] = *failure;
}

void failures_add_token(struct failures *failures, const char *credential, const char *scope,
                        const struct token_failure *failure)
{
    struct failure entry = {.is_token = true, .count = 1, .remedy = token_remedy(failure)};
    snprintf(entry.subject, sizeof entry.subject, "%s", credential);
    snprintf(entry.part, sizeof entry.part, "%s", scope ? scope : "");
    snprintf(entry.kind, sizeof entry.kind, "%s", token_failure_name(failure->kind));
    snprintf(entry.error, sizeof entry.error, "%s", failure->error);
    snprintf(entry.cause, sizeof entry.cause, "%s", failure->text);
    failures_add(failures, &entry);
}

void failures_add_upstream(struct failures *failures, const char *upstream, const char *route,
                           enum traffic_failure failure, const char *why, uint64_t count)
{
    struct failure entry = {.count = count, .remedy = upstream_remedy(failure)};
    snprintf(entry.subject, sizeof entry.subject, "%s", upstream);
    snprintf(entry.kind, sizeof entry.kind, "%s", traffic_failure_name(failure));
    if (!why) { // of one that is known, unless others have taken its place since
        size_t at = failures_find(failures, &entry);
        if (at < failures->count)
            failures->items[at].count += count;
        return;
    }
    snprintf(entry.part, sizeof entry.part, "%s", route ? route : "");
    snprintf(entry.cause, sizeof entry.cause, "%s", why);
    failures_add(failures, &entry);
}
