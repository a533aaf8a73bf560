// SPDX-License-Identifier: MIT
// DEMO ONLY. The built-in upstream: an API that wants a bearer token with the right scope and
// answers with what it got. The token itself is never in an answer, only its fingerprint. For the
// demo's own client it adds Demo-… fields: what arrived, when, and whether the token was seen
// before.
#include <inttypes.h>
#include <stdio.h>

#include "cli/demo.h"

static bool json_append(struct buf *out, struct str text)
{
    bool is_whole = buf_append_char(out, '"');
    for (size_t i = 0; i < text.len && is_whole; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            is_whole = buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            is_whole = buf_printf(out, "\\u%04x", c);
        else
            is_whole = buf_append_char(out, (char)c);
    }
    return is_whole && buf_append_char(out, '"');
}

static struct str bearer_token(const struct request *request)
{
    const struct field *field = fields_find(&request->fields, STR("Authorization"));
    if (!field || !str_starts(field->value, STR("Bearer ")))
        return STR_NONE;
    return str_from(field->value, 7);
}

static bool echo_fields(const struct request *request, struct buf *out)
{
    bool is_whole = true;
    for (size_t i = 0; i < request->fields.count && is_whole; i++) {
        const struct field *field = &request->fields.items[i];
        is_whole = buf_append(out, i ? STR(",\n    [") : STR("\n    [")) &&
                   json_append(out, field->name) && buf_append(out, STR(", "));
        if (str_eq_nocase(field->name, STR("Authorization"))) {
            char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
            token_fingerprint(bearer_token(request), fingerprint);
            is_whole = is_whole && buf_printf(out, "\"Bearer [%s]\"", fingerprint);
        } else {
            is_whole = is_whole && json_append(out, field->value);
        }
        is_whole = is_whole && buf_append_char(out, ']');
    }
    return is_whole;
}

static bool echo(const struct request *request, size_t body_len, struct buf *out)
{
    return buf_append(out, STR("{\n  \"method\": ")) && json_append(out, request->method) &&
           buf_append(out, STR(",\n  \"path\": ")) && json_append(out, request->target) &&
           buf_append(out, STR(",\n  \"headers\": [")) && echo_fields(request, out) &&
           buf_printf(out, "\n  ],\n  \"body_bytes\": %zu\n}\n", body_len);
}

static bool add_evidence(const struct request *request, struct demo_token *token,
                         struct demo_answer *out)
{
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    token_fingerprint(str_of(token->value), fingerprint);
    snprintf(out->texts[0], sizeof(out->texts[0]), "%.*s %.*s", STR_ARG(request->method),
             STR_ARG(request->target));
    snprintf(out->texts[1], sizeof(out->texts[1]), "%s", fingerprint);
    snprintf(out->texts[2], sizeof(out->texts[2]), "%u", token->uses++);
    snprintf(out->texts[3], sizeof(out->texts[3]), "%" PRIu64, clock_boottime_us());
    return fields_add(&out->fields, STR("Demo-Request"), str_of(out->texts[0])) &&
           fields_add(&out->fields, STR("Demo-Token"), str_of(out->texts[1])) &&
           fields_add(&out->fields, STR("Demo-Token-Uses"), str_of(out->texts[2])) &&
           fields_add(&out->fields, STR("Demo-Arrived-Us"), str_of(out->texts[3])) &&
           fields_add(&out->fields, STR("Demo-Scope"), str_of(demo_scope_text(token->scopes)));
}

void demo_upstream_answer(struct demo_tokens *tokens, const struct request *request,
                          struct str body, struct demo_answer *out)
{
    struct demo_token *token = demo_tokens_find(tokens, bearer_token(request));
    bool is_read = str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD"));
    unsigned wanted = is_read ? DEMO_READ : DEMO_WRITE;
    bool is_whole = fields_add(&out->fields, STR("Content-Type"), STR("application/json"));
    if (!token) {
        out->status = 401;
        is_whole = is_whole &&
                   fields_add(&out->fields, STR("WWW-Authenticate"),
                              STR("Bearer error=\"invalid_token\"")) &&
                   buf_append(&out->body, STR("{\"error\": \"this API wants a bearer token\"}\n"));
    } else if (!(token->scopes & wanted)) {
        out->status = 403;
        is_whole = is_whole &&
                   fields_add(&out->fields, STR("WWW-Authenticate"),
                              STR("Bearer error=\"insufficient_scope\"")) &&
                   buf_append(&out->body, STR("{\"error\": \"the token lacks the scope\"}\n"));
    } else {
        out->status = 200;
        is_whole =
            is_whole && add_evidence(request, token, out) && echo(request, body.len, &out->body);
    }
    if (!is_whole)
        out->status = 500;
}
