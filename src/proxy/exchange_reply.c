// SPDX-License-Identifier: MIT
// The answer's way back to the client: the upstream's response, its hop-by-hop fields taken off, or
// a problem of our own. A response whose body broke off is broken towards the client, too.
#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "proxy/exchange_about.h"
#include "proxy/proxy_private.h"

// -- problems ----------------------------------------------------------------------------------

void exchange_problem(struct exchange *exchange, const struct problem *problem)
{
    if (exchange->has_replied)
        return;
    exchange->has_replied = true;
    exchange->overlaps = false;
    exchange->status = problem->status;
    exchange->problem = problem->type;
    // Whatever it still waits for must not send the request on its way behind this answer.
    view_cancel(exchange->proxy->view, &exchange->waiter);
    exchange->is_waiting = false;
    measure_waited(&exchange->measure);
    timer_disarm(&exchange->token_timer);
    timer_disarm(&exchange->whole_timer);
    forward_end(&exchange->forward);
    const struct problem_about about = exchange_about(exchange);
    problem_reply(exchange->request, problem, &about, &exchange->problem_body);
}

void exchange_tell_options(struct exchange *exchange)
{
    struct fields *fields = &exchange->proxy->reply_fields;
    fields->count = 0;
    bool ok = fields_add(fields, STR("Allow"), STR(PROBLEM_METHODS)) &&
              fields_add(fields, STR("Proxy-Status"), STR("bearerd"));
    assert(ok);
    (void)ok;
    exchange->has_replied = true;
    exchange->status = 200;
    request_reply(
        exchange->request,
        &(struct reply){.status = 200, .fields = fields, .is_whole = true, .body = STR("")});
}

static uint64_t seconds_until(const struct exchange *exchange, uint64_t at_ms)
{
    uint64_t now = loop_now_ms(exchange->proxy->loop);
    return at_ms > now ? (at_ms - now + 999) / 1000 : 1;
}

void exchange_token_problem(struct exchange *exchange, const struct token_failure *failure)
{
    static const char *const types[] = {
        [FAILURE_UNREACHABLE] = "token-unreachable", [FAILURE_TIMEOUT] = "token-timeout",
        [FAILURE_TRANSIENT] = "token-unavailable",   [FAILURE_REFUSED] = "token-refused",
        [FAILURE_MALFORMED] = "token-malformed",     [FAILURE_LOCAL] = "token-local",
        [FAILURE_WAITED] = "token-timeout",
    };
    struct problem problem = {
        .status = token_failure_status(failure->kind),
        .type = types[failure->kind],
        .detail = failure->text,
    };
    if (problem.status == 503)
        problem.retry_after_s = seconds_until(exchange, failure->retry_at_ms);
    exchange_problem(exchange, &problem);
}

void exchange_upstream_problem(struct exchange *exchange, enum forward_error error, const char *why)
{
    static const struct problem problems[] = {
        [FORWARD_UNREACHABLE] = {502, "upstream-unreachable", "no connection to the upstream", 0},
        [FORWARD_TLS] = {502, "upstream-tls",
                         "the upstream's certificate or TLS handshake was not accepted; the log "
                         "says why",
                         0},
        [FORWARD_CONNECT_TIMEOUT] = {504, "upstream-connect-timeout",
                                     "no connection to the upstream within connect_timeout", 0},
        [FORWARD_BUSY] = {503, "upstream-busy",
                          "all max_connections connections to the upstream are in use", 1},
        [FORWARD_FIRST_BYTE_TIMEOUT] = {504, "upstream-timeout",
                                        "no response from the upstream within first_byte_timeout",
                                        0},
        [FORWARD_IDLE_TIMEOUT] = {504, "upstream-timeout",
                                  "the upstream took no bytes for idle_timeout", 0},
        [FORWARD_CLOSED] = {502, "upstream-closed",
                            "the upstream closed the connection before a whole response head", 0},
        [FORWARD_MALFORMED] = {502, "upstream-malformed",
                               "the upstream's response is not valid HTTP/1.1; the log says why",
                               0},
        [FORWARD_HEAD_TOO_LARGE] = {502, "upstream-head-too-large",
                                    "the upstream's response head does not fit into header_limit",
                                    0},
        [FORWARD_EXHAUSTED] = {503, "overloaded",
                               "there is nothing left to make a connection with; the log says what",
                               1},
        [FORWARD_LOCAL] = {502, "internal",
                           "the connection to the upstream could not be set up; the log says why",
                           0},
    };
    // Words of TLS libraries stay in the log; why there is no connection is for whoever has to mend
    // it.
    bool is_telling =
        error == FORWARD_UNREACHABLE || error == FORWARD_CONNECT_TIMEOUT || error == FORWARD_BUSY;
    struct problem problem = problems[error];
    char detail[512];
    measure_fail(&exchange->measure, error, exchange->forward.was_retried,
                 *why ? why : problem.detail);
    snprintf(detail, sizeof detail, "%s (upstream %s%s%s)", problem.detail,
             exchange->choice.upstream->name, is_telling ? ": " : "", is_telling ? why : "");
    problem.detail = detail;
    exchange_problem(exchange, &problem);
}

// -- the upstream's response -------------------------------------------------------------------

// May the names of the trailers that are to come go in front?
static bool exchange_tells_trailers(const struct exchange *exchange)
{
    return exchange->request->minor == 1 && exchange->forward.response.framing == H1_CHUNKED;
}

// The token that went there, if it is to be kept from coming back; NULL: it may.
static const struct answer_marks *exchange_marks(const struct exchange *exchange)
{
    const struct answer_marks *marks = &exchange->sent.marks;
    return exchange->choice.upstream->scrub && marks->count ? marks : NULL;
}

bool exchange_copy_fields(struct exchange *exchange)
{
    const struct config_upstream *upstream = exchange->choice.upstream;
    const struct answer_input input = {
        .fields = &exchange->forward.response.fields,
        .upstream = upstream,
        .route = exchange->choice.route,
        .marks = exchange_marks(exchange),
        .origin = exchange->origin,
        .drops_cors = config_of(exchange)->cors == CORS_ANSWER,
        .drops_nonce = exchange->sent.is_bound,
        .adds_via = exchange->target.form == TARGET_ABSOLUTE,
        .was_injected = exchange->sent.is_any,
        .tells_trailers = exchange_tells_trailers(exchange),
    };
    struct fields *out = &exchange->proxy->reply_fields;
    struct answer_made made;
    out->count = 0;
    if (!answer_fields(&input, out, &made))
        return false;
    // The head is gone when trailers come, and with it the names of those that would be hop-by-hop.
    exchange->passes_trailers = exchange->request->minor == 1 && !made.connection_names;
    if (made.scrubbed.len)
        log_warn("response.token_dropped", F_TEXT("upstream", upstream->name),
                 F_STR("field", made.scrubbed), F_STR("id", exchange_request_id(exchange)));
    return made.len <= request_reply_room(exchange->request);
}

void exchange_pass_interim(struct exchange *exchange)
{
    int status = exchange->forward.response.status;
    // A 100 answers an expectation, which never goes upstream: bearerd has answered it.
    if (status != 100 && exchange_copy_fields(exchange))
        request_inform(exchange->request, status, &exchange->proxy->reply_fields);
}

static void exchange_set_body(struct exchange *exchange, struct reply *reply)
{
    const struct h1_response *response = &exchange->forward.response;
    struct str body;
    bool is_whole = forward_take_whole(&exchange->forward, &body);
    reply->length = response->has_length ? response->content_length : REPLY_LENGTH_UNKNOWN;
    if (is_whole && response->framing == H1_LENGTH) {
        reply->is_whole = true;
        reply->body = body;
        measure_body_out(&exchange->measure, body.len);
    }
}

// RFC 9112 9.3: another proxy in between, which knows nothing of keep-alive, may have passed that
// wish on.
static bool is_http10_proxying(const struct exchange *exchange)
{
    return exchange->request->minor == 0 && exchange->target.form == TARGET_ABSOLUTE;
}

void exchange_reply(struct exchange *exchange)
{
    if (exchange->has_replied)
        return;
    exchange->reply_is_held = false;
    if (!exchange->request_is_over && !exchange->overlaps && exchange->request->body != BODY_NONE)
        forward_drop_request(&exchange->forward);
    if (!exchange_copy_fields(exchange)) {
        exchange_upstream_problem(exchange, FORWARD_HEAD_TOO_LARGE, "");
        return;
    }
    struct reply reply = {
        .status = exchange->forward.response.status,
        .fields = &exchange->proxy->reply_fields,
        // Upgrades are not passed on; what the client sent behind one may be of the other protocol.
        .close = fields_find(&exchange->request->fields, STR("Upgrade")) != NULL ||
                 is_http10_proxying(exchange),
        .overlaps = exchange->overlaps,
    };
    exchange->has_replied = true;
    exchange->status = reply.status;
    exchange_set_body(exchange, &reply);
    request_reply(exchange->request, &reply);
}

_Static_assert((int)FORWARD_WAIT == (int)PULL_WAIT && (int)FORWARD_END == (int)PULL_END &&
                   (int)FORWARD_CUT == (int)PULL_ABORT,
               "what the upstream leg says is passed on to the server as it is");

static void exchange_pass_trailers(struct exchange *exchange)
{
    struct str section = forward_trailers(&exchange->forward);
    const struct answer_input input = {.upstream = exchange->choice.upstream,
                                       .route = exchange->choice.route,
                                       .marks = exchange_marks(exchange)};
    struct fields *trailers = &exchange->proxy->trailers;
    if (!exchange->passes_trailers || !section.len)
        return;
    h1_parse_trailers(section, trailers);
    for (size_t i = 0; i < trailers->count; i++)
        if (answer_trailer_may_pass(&input, &trailers->items[i]))
            request_add_trailer(exchange->request, &trailers->items[i]);
}

ssize_t exchange_pull(struct request *request, char *out, size_t out_max)
{
    struct exchange *exchange = request->user;
    ssize_t got = forward_pull(&exchange->forward, out, out_max);
    if (got > 0)
        measure_body_out(&exchange->measure, (uint64_t)got);
    if (got == FORWARD_CUT) {
        measure_cut(&exchange->measure, exchange->forward.cut_why);
        log_warn("upstream.cut", F_TEXT("upstream", exchange->choice.upstream->name),
                 F_TEXT("why", exchange->forward.cut_why),
                 F_STR("id", exchange_request_id(exchange)));
    }
    if (got == FORWARD_END)
        exchange_pass_trailers(exchange);
    return got;
}

static bool exchange_is_logged(const struct exchange *exchange, bool is_complete)
{
    const struct config *config = config_of(exchange);
    bool is_bad = !is_complete || exchange->status >= 400;
    if (config->log_access == ACCESS_NO || !log_is_on(LOG_INFO))
        return false;
    if (is_bad || config->log_access == ACCESS_ERRORS)
        return is_bad;
    return exchange->proxy->logged_count++ % config->log_access_sample == 0;
}

void exchange_log(struct exchange *exchange, bool is_complete)
{
    const struct request *request = exchange->request;
    const struct route_choice *choice = &exchange->choice;
    const struct measure *measure = &exchange->measure;
    if (!exchange_is_logged(exchange, is_complete))
        return;
    log_info("request", F_STR("id", exchange_request_id(exchange)),
             F_STR("method", request->method), F_STR("path", exchange->target.path),
             F_TEXT("upstream", choice->upstream ? choice->upstream->name : "-"),
             F_TEXT("route", choice->route ? choice->route->name : "-"),
             F_NUM("status", exchange->status), F_TEXT("end", is_complete ? "complete" : "broken"),
             F_TEXT("problem", exchange->problem ? exchange->problem : "-"),
             F_NUM("took_us", measure->total_us), F_NUM("first_byte_us", measure->first_byte_us),
             F_NUM("token_wait_us", measure->waited_us), F_NUM("in", measure->body_in),
             F_NUM("out", measure->body_out));
}
