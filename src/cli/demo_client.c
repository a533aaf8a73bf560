// SPDX-License-Identifier: MIT
// The demo's legacy client: plain HTTP, no idea of OAuth. Sends one request to the proxy and judges
// the answer by what the upstream says it got. Knows neither server: all it has is what came back.
#include <inttypes.h>

#include "base/loop.h"
#include "cli/demo.h"
#include "cli/probe.h"
#include "http/h1.h"

#define ANSWER_MAX 65536
#define TIMEOUT_MS 15000

static bool render(const struct demo_request *request, struct buf *out)
{
    size_t body_len = str_of(request->body).len;
    return buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: legacy-client/1.0\r\n",
                      request->method, request->target, request->host) &&
           (!request->authorization ||
            buf_printf(out, "Authorization: %s\r\n", request->authorization)) &&
           (!request->body ||
            buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                       body_len)) &&
           buf_printf(out, "Connection: close\r\n\r\n%s", request->body ? request->body : "");
}

static void field_copy(const struct h1_response *response, struct str name, char *out, size_t max)
{
    const struct field *field = fields_find(&response->fields, name);
    snprintf(out, max, "%.*s", field ? (int)field->value.len : 0, field ? field->value.ptr : "");
}

static uint64_t field_number(const struct h1_response *response, struct str name)
{
    const struct field *field = fields_find(&response->fields, name);
    uint64_t number = 0;
    return field && str_to_u64(field->value, &number) ? number : UINT64_MAX;
}

// Says in result->problem what is not as it should be; leaves it empty otherwise.
static void judge(const struct demo_request *request, struct str body, struct demo_result *result)
{
    char *problem = result->problem;
    size_t max = sizeof(result->problem);
    const char *scope = demo_scope_text(request->expected_scopes);
    if (result->status != 200)
        snprintf(problem, max, "answered with %d: %.*s", result->status,
                 body.len < 120 ? (int)body.len : 120, body.len ? body.ptr : "");
    else if (!str_eq(str_of(result->upstream_line), str_of(request->expected_line)))
        snprintf(problem, max, "the upstream got \"%s\"", result->upstream_line);
    else if (!str_eq(str_of(result->scope), str_of(scope)))
        snprintf(problem, max, "the token has the scope \"%s\", not \"%s\"", result->scope, scope);
    else if (result->is_new != request->expected_new)
        snprintf(problem, max, "the token was %s", result->is_new ? "fetched" : "not fetched");
    else if (result->took_us > TIMEOUT_MS * UINT64_C(1000))
        snprintf(problem, max, "no time of arrival");
}

static void read_answer(const struct demo_request *request, struct str answer, uint64_t sent_us,
                        struct demo_result *out)
{
    struct h1_response response;
    const char *why = "it ends before its head does";
    if (h1_parse_response(answer, false, &response, &why) != H1_DONE) {
        snprintf(out->problem, sizeof(out->problem), "malformed answer: %s", why);
        return;
    }
    out->status = response.status;
    field_copy(&response, STR("Demo-Request"), out->upstream_line, sizeof(out->upstream_line));
    field_copy(&response, STR("Demo-Token"), out->fingerprint, sizeof(out->fingerprint));
    field_copy(&response, STR("Demo-Scope"), out->scope, sizeof(out->scope));
    out->is_new = field_number(&response, STR("Demo-Token-Uses")) == 0;
    out->took_us = field_number(&response, STR("Demo-Arrived-Us")) - sent_us;
    judge(request, str_from(answer, response.head_len), out);
}

void demo_client_send(const char *address, const struct demo_request *request,
                      struct demo_result *out)
{
    struct buf bytes, answer;
    struct err err;
    *out = (struct demo_result){0};
    buf_init(&bytes, 4096);
    buf_init(&answer, ANSWER_MAX);
    bool is_rendered = render(request, &bytes);
    uint64_t sent_us = clock_boottime_us();
    if (!is_rendered)
        snprintf(out->problem, sizeof(out->problem), "the request is too large");
    else if (probe_exchange(address, buf_str(&bytes), TIMEOUT_MS, &answer, &err))
        read_answer(request, buf_str(&answer), sent_us, out);
    else
        snprintf(out->problem, sizeof(out->problem), "%.150s", err.text);
    out->is_right = !out->problem[0];
    buf_fini(&bytes);
    buf_fini(&answer);
}
