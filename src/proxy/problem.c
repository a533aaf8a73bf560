// SPDX-License-Identifier: MIT
// See problem.h. The table of kinds is the list that docs/problems.md explains.
#include "proxy/problem.h"

#include <stdio.h>

#include "proxy/page.h"

#define BODY_MAX   4096
#define DETAIL_MAX 900

static const struct problem_kind kinds[] = {
    {"malformed-request", "The request is malformed", "http_request_error"},
    {"bad-target", "The request target is not acceptable", "http_request_error"},
    {"ambiguous-path", "Servers would read this path in different ways", "http_request_error"},
    {"ambiguous-method", "Servers would take this for another method", "http_request_error"},
    {"body-too-large", "The request body is too large", "http_request_denied"},
    {"client-timeout", "The client took too long to send its request", "http_request_error"},
    {"too-many-connections", "This client has too many connections", "http_request_denied"},
    {"overloaded", "bearerd is at its limits", "http_request_denied"},
    {"connect-not-supported", "CONNECT is not supported", "http_request_denied"},
    {"connect-not-allowed", "No tunnel may lead there", "http_request_denied"},
    {"method-not-allowed", "This method is not forwarded", "http_request_denied"},
    {"host-not-allowed", "This Host is not allowed", "http_request_denied"},
    {"origin-not-allowed", "Web pages of this origin may not call", "http_request_denied"},
    {"key-required", "A client key is required", "http_request_denied"},
    {"user-not-allowed", "This user may not call", "http_request_denied"},
    {"client-authorization", "The request has an Authorization of its own", "http_request_denied"},
    {"token-in-query", "The request has an access token in its query", "http_request_denied"},
    {"no-upstream", "Nothing is configured for this address", "destination_not_found"},
    {"no-route", "No route allows this request", "http_request_denied"},
    {"loop", "The request has come round in a circle", "proxy_loop_detected"},
    {"token-unreachable", "The authorization server cannot be reached", "destination_unavailable"},
    {"token-timeout", "No access token came in time", "connection_timeout"},
    {"token-unavailable", "The authorization server has no token for now",
     "destination_unavailable"},
    {"token-refused", "The authorization server refused a token", "http_request_error"},
    {"token-malformed", "The authorization server's answer is malformed", "http_protocol_error"},
    {"token-local", "The access token cannot be requested", "proxy_configuration_error"},
    {"upstream-unreachable", "The upstream cannot be reached", "destination_unavailable"},
    {"upstream-tls", "The upstream's TLS cannot be trusted", "tls_certificate_error"},
    {"upstream-connect-timeout", "The upstream did not accept a connection in time",
     "connection_timeout"},
    {"upstream-busy", "The upstream has no connection to spare", "connection_limit_reached"},
    {"upstream-timeout", "The upstream did not answer in time", "http_response_timeout"},
    {"upstream-closed", "The upstream closed the connection", "http_response_incomplete"},
    {"upstream-malformed", "The upstream's response is malformed", "http_protocol_error"},
    {"upstream-head-too-large", "The upstream's response head is too large",
     "http_response_header_section_size"},
    {"request-timeout", "The request took too long", "http_response_timeout"},
    {"internal", "bearerd could not do its part", "proxy_internal_error"},
};

const struct problem_kind *problem_kind_at(size_t i)
{
    return i < ARRAY_LEN(kinds) ? &kinds[i] : NULL;
}

static const struct problem_kind *kind_find(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(str_of(kinds[i].type), str_of(type)))
            return &kinds[i];
    return &kinds[ARRAY_LEN(kinds) - 1];
}

// Printable ASCII only, with a backslash before quotes and backslashes: right inside a JSON string
// and inside an sf-string (RFC 8941 3.3.3) alike.
static bool append_quoted(struct buf *out, const char *text)
{
    bool ok = buf_append_char(out, '"');
    for (size_t i = 0; text[i] && i < DETAIL_MAX; i++) {
        bool is_plain = text[i] >= ' ' && text[i] < 0x7f;
        char c = '?';
        if (is_plain)
            c = text[i];
        if (c == '"' || c == '\\')
            ok = ok && buf_append_char(out, '\\');
        ok = ok && buf_append_char(out, c);
    }
    return ok && buf_append_char(out, '"');
}

// The id is made of characters that stand for themselves in JSON.
static bool append_id(struct buf *out, struct str id)
{
    return !id.len || (buf_append(out, STR(",\"request_id\":\"")) && buf_append(out, id) &&
                       buf_append(out, STR("\"")));
}

static bool append_body(struct buf *out, const struct problem *problem,
                        const struct problem_kind *kind, struct str id)
{
    return buf_printf(out, "{\"type\":\"urn:bearerd:problem:%s\",\"title\":", kind->type) &&
           append_quoted(out, kind->title) &&
           buf_printf(out, ",\"status\":%d,\"detail\":", problem->status) &&
           append_quoted(out, problem->detail) && append_id(out, id) && buf_append(out, STR("}\n"));
}

static bool add_challenge(struct fields *fields, int status)
{
    if (status == 401)
        // Named after the field to send, as the schemes of Authorization would be of no use.
        return fields_add(fields, STR("WWW-Authenticate"), STR("X-Bearerd-Key realm=\"bearerd\""));
    if (status == 407)
        return fields_add(fields, STR("Proxy-Authenticate"), STR("Basic realm=\"bearerd\""));
    if (status == 405)
        return fields_add(fields, STR("Allow"), STR(PROBLEM_METHODS));
    return true;
}

// What follows a refused CONNECT or Upgrade may be of another protocol: never a request (RFC 9931).
// And who sends nonsense (a CR inside the target, say) may mean something else by what follows,
// too. For HTTP/1.0 see RFC 9112 9.3.
static bool is_last(const struct request *request, const struct problem *problem)
{
    return problem->close || problem->status == 400 || request->minor == 0 ||
           str_eq(request->method, STR("CONNECT")) || fields_find(&request->fields, STR("Upgrade"));
}

void problem_reply(struct request *request, const struct problem *problem,
                   const struct problem_about *about, struct buf *storage)
{
    const struct problem_kind *kind = kind_find(problem->type);
    struct fields *fields = mem_alloc(sizeof *fields);
    char retry_after[24];
    buf_init(storage, BODY_MAX);
    // The body first, then the field's value, in one buffer that cannot grow past its ceiling.
    bool ok = append_body(storage, problem, kind, about->request_id);
    size_t body_len = storage->len;
    ok = ok && buf_printf(storage, "bearerd; error=%s; details=", kind->proxy_error) &&
         append_quoted(storage, problem->detail);
    struct str proxy_status = str_from(buf_str(storage), body_len);
    ok = ok && fields_add(fields, STR("Content-Type"), STR("application/problem+json")) &&
         fields_add(fields, STR("Cache-Control"), STR("no-store")) &&
         fields_add(fields, STR("Proxy-Status"), proxy_status) &&
         add_challenge(fields, problem->status) &&
         (!about->origin.len || page_add(fields, about->origin));
    if (ok && problem->retry_after_s) {
        snprintf(retry_after, sizeof retry_after, "%llu",
                 (unsigned long long)problem->retry_after_s);
        ok = fields_add(fields, STR("Retry-After"), str_of(retry_after));
    }
    struct reply reply = {
        .status = problem->status,
        .fields = fields,
        .is_whole = true,
        .body = {storage->ptr, ok ? body_len : 0},
        .close = is_last(request, problem),
    };
    request_reply(request, &reply);
    mem_free(fields);
}
