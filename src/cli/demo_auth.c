// SPDX-License-Identifier: MIT
// DEMO ONLY. The built-in authorization server: one client, two scopes, the client-credentials
// grant. It does what a real one does (checks the client's secret, the grant type and every scope;
// issues random tokens that expire), and no more. Knows nothing of the proxy.
#include <stdlib.h>
#include <unistd.h>

#include "cli/demo.h"

const char *demo_scope_text(unsigned scopes)
{
    static const char *const texts[] = {"", "items:read", "items:write", "items:read items:write"};
    return texts[scopes & (DEMO_READ | DEMO_WRITE)];
}

void demo_random_hex(char out[DEMO_SECRET_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[DEMO_SECRET_LEN / 2] = {0};
    if (getentropy(bytes, sizeof(bytes)) != 0) // only a kernel without getrandom(2)
        abort();
    for (size_t i = 0; i < sizeof(bytes); i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[DEMO_SECRET_LEN] = '\0';
}

struct demo_token *demo_tokens_find(struct demo_tokens *tokens, struct str value)
{
    uint64_t now_us = clock_boottime_us();
    if (value.len == 0)
        return NULL;
    for (size_t i = 0; i < DEMO_TOKENS_MAX; i++) {
        struct demo_token *token = &tokens->items[i];
        if (str_eq(str_of(token->value), value))
            return now_us < token->expires_us ? token : NULL;
    }
    return NULL;
}

static struct demo_token *tokens_issue(struct demo_tokens *tokens, unsigned scopes)
{
    struct demo_token *token = &tokens->items[tokens->next++ % DEMO_TOKENS_MAX];
    *token = (struct demo_token){
        .scopes = scopes,
        .expires_us = clock_boottime_us() + DEMO_TOKEN_TTL_S * UINT64_C(1000000),
    };
    demo_random_hex(token->value);
    return token;
}

static bool base64_append(struct buf *out, struct str in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i;
        unsigned group = (unsigned)(unsigned char)in.ptr[i] << 16;
        if (left > 1)
            group |= (unsigned)(unsigned char)in.ptr[i + 1] << 8;
        if (left > 2)
            group |= (unsigned)(unsigned char)in.ptr[i + 2];
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
        if (left > 1)
            quad[2] = digits[group >> 6 & 63];
        if (left > 2)
            quad[3] = digits[group & 63];
        if (!buf_append(out, (struct str){quad, sizeof(quad)}))
            return false;
    }
    return true;
}

// client_secret_basic (RFC 6749 2.3.1). The id and the secret hold no byte that form encoding
// changes.
static bool client_is_known(const struct demo_tokens *tokens, const struct request *request)
{
    const struct field *field = fields_find(&request->fields, STR("Authorization"));
    struct buf pair, expected;
    buf_init(&pair, 256);
    buf_init(&expected, 512);
    bool is_known =
        field && buf_printf(&pair, "%s:%s", DEMO_CLIENT_ID, tokens->client_secret) &&
        buf_append(&expected, STR("Basic ")) && base64_append(&expected, buf_str(&pair)) &&
        !mem_secret_differs(field->value.ptr, field->value.len, expected.ptr, expected.len);
    buf_fini(&pair);
    buf_fini(&expected);
    return is_known;
}

// Finds a parameter of a form and decodes it. False: not there, twice there, or malformed.
static bool form_get(struct str form, struct str name, struct buf *out)
{
    struct str pair;
    bool is_found = false;
    while (str_split(&form, '&', &pair)) {
        size_t eq;
        if (!str_find(pair, '=', &eq) || !str_eq((struct str){pair.ptr, eq}, name))
            continue;
        if (is_found)
            return false;
        is_found = true;
        for (size_t i = eq + 1; i < pair.len; i++) {
            char c = pair.ptr[i];
            if (c == '+')
                c = ' ';
            if (c == '%') {
                int high = i + 2 < pair.len ? str_hex_digit(pair.ptr[i + 1]) : -1;
                int low = high >= 0 ? str_hex_digit(pair.ptr[i + 2]) : -1;
                if (low < 0)
                    return false;
                c = (char)(high * 16 + low);
                i += 2;
            }
            if (!buf_append_char(out, c))
                return false;
        }
    }
    return is_found;
}

// 0: a scope that this server does not know.
static unsigned scopes_parse(struct str text)
{
    unsigned scopes = 0;
    struct str word;
    while (str_word(&text, &word)) {
        if (str_eq(word, STR("items:read")))
            scopes |= DEMO_READ;
        else if (str_eq(word, STR("items:write")))
            scopes |= DEMO_WRITE;
        else
            return 0;
    }
    return scopes;
}

static void answer_error(struct demo_answer *out, int status, const char *error, const char *why)
{
    out->status = status;
    if (!buf_printf(&out->body, "{\"error\":\"%s\",\"error_description\":\"%s\"}\n", error, why))
        out->status = 500;
}

static void answer_grant(struct demo_tokens *tokens, struct str form, struct demo_answer *out)
{
    struct buf grant, scope;
    buf_init(&grant, 256);
    buf_init(&scope, 256);
    bool has_grant = form_get(form, STR("grant_type"), &grant);
    bool has_scope = form_get(form, STR("scope"), &scope);
    unsigned scopes = has_scope ? scopes_parse(buf_str(&scope)) : 0;
    if (!has_grant || !str_eq(buf_str(&grant), STR("client_credentials"))) {
        answer_error(out, 400, "unsupported_grant_type", "only client_credentials");
    } else if (!scopes) {
        answer_error(out, 400, "invalid_scope", "only items:read and items:write, at least one");
    } else {
        const struct demo_token *token = tokens_issue(tokens, scopes);
        out->status = 200;
        if (!buf_printf(&out->body,
                        "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d,"
                        "\"scope\":\"%s\"}\n",
                        token->value, DEMO_TOKEN_TTL_S, demo_scope_text(scopes)))
            out->status = 500;
    }
    buf_fini(&grant);
    buf_fini(&scope);
}

void demo_auth_answer(struct demo_tokens *tokens, const struct request *request, struct str body,
                      struct demo_answer *out)
{
    bool is_whole = fields_add(&out->fields, STR("Content-Type"), STR("application/json")) &&
                    fields_add(&out->fields, STR("Cache-Control"), STR("no-store"));
    if (!str_eq(request->target, STR("/token"))) {
        answer_error(out, 404, "not_found", "the token endpoint is /token");
    } else if (!str_eq(request->method, STR("POST"))) {
        is_whole = is_whole && fields_add(&out->fields, STR("Allow"), STR("POST"));
        answer_error(out, 405, "invalid_request", "POST it");
    } else if (!client_is_known(tokens, request)) {
        is_whole = is_whole && fields_add(&out->fields, STR("WWW-Authenticate"), STR("Basic"));
        answer_error(out, 401, "invalid_client", "unknown client or wrong secret");
    } else {
        answer_grant(tokens, body, out);
    }
    if (!is_whole)
        out->status = 500;
}
