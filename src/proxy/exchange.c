// SPDX-License-Identifier: MIT
// One request's life, in the order a request meets it: caller, target, route, tokens, head,
// upstream. Each stage either passes the request on or answers it. No request goes on without the
// tokens its route asks for: exchange_send() is reached only with all of them in hand.
#include "base/log.h"
#include "http/server.h"
#include "proxy/exchange_about.h"
#include "proxy/inject.h"
#include "proxy/proxy_private.h"

const struct config *config_of(const struct exchange *exchange)
{
    return exchange->proxy->policy->config;
}

bool request_has_body(const struct request *request)
{
    return request->body == BODY_CHUNKED ||
           (request->body == BODY_LENGTH && request->content_length);
}

void exchange_fail(struct exchange *exchange, int status, const char *type, const char *why)
{
    exchange_problem(exchange, &(struct problem){.status = status, .type = type, .detail = why});
}

// -- judging -----------------------------------------------------------------------------------

static bool exchange_check_method(struct exchange *exchange)
{
    struct caller_verdict verdict = caller_check_method(exchange->request->method);
    if (verdict.status)
        exchange_fail(exchange, verdict.status, verdict.type, verdict.why);
    return !verdict.status;
}

static bool exchange_check_target(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const char *why = "";
    if (!target_parse(request->target, request->method, &exchange->target, &why)) {
        exchange_fail(exchange, 400, "bad-target", why);
        return false;
    }
    const struct field *field = fields_find(&request->fields, STR("Host"));
    struct str host = field ? field->value : STR_NONE;
    bool fits = host.len < HOST_MAX && exchange->target.host.len < HOST_MAX - 10;
    if (!fits ||
        !target_normal_host(&exchange->target, host, exchange->host_bytes, &exchange->host.len)) {
        exchange_fail(exchange, 400, "bad-target",
                      "the Host field or the target's host is malformed");
        return false;
    }
    exchange->host.ptr = exchange->host_bytes;
    return true;
}

static bool exchange_check_caller(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    struct caller caller = {
        .host = exchange->host,
        .is_absolute = exchange->target.form == TARGET_ABSOLUTE,
        .is_unix = request->is_unix,
        .uid = request->peer_uid,
        .fields = &request->fields,
    };
    struct caller_verdict verdict = caller_check(exchange->proxy->policy->callers, &caller);
    if (verdict.status)
        exchange_fail(exchange, verdict.status, verdict.type, verdict.why);
    return !verdict.status;
}

static bool exchange_check_size(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    uint64_t limit = config_of(exchange)->body_limit;
    bool is_too_large = limit && request->body == BODY_LENGTH && request->content_length > limit;
    if (is_too_large)
        exchange_fail(exchange, 413, "body-too-large", "the body is larger than body_limit");
    return !is_too_large;
}

struct inject_input exchange_inject_input(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    return (struct inject_input){
        .method = request->method,
        .rest = exchange->choice.rest,
        .query = exchange->target.query,
        .has_query = exchange->target.has_query,
        .fields = &request->fields,
        .upstream = exchange->choice.upstream,
        .route = exchange->choice.route,
        .pseudonym = str_of(exchange->proxy->instance),
        .has_length = request->body == BODY_LENGTH,
        .content_length = request->content_length,
        .is_chunked = request->body == BODY_CHUNKED,
        .client_is_http10 = request->minor == 0,
    };
}

static bool exchange_check_route(struct exchange *exchange)
{
    exchange->choice = route_find(exchange->proxy->policy->routes, exchange->request->method,
                                  &exchange->target, exchange->host);
    measure_choose(&exchange->measure, exchange->choice.upstream, exchange->choice.route);
    struct caller_verdict verdict = route_refusal(exchange->choice.verdict);
    if (!verdict.status) {
        struct inject_input input = exchange_inject_input(exchange);
        verdict = inject_check(&input);
    }
    if (verdict.status)
        exchange_fail(exchange, verdict.status, verdict.type, verdict.why);
    return !verdict.status;
}

// -- life ---------------------------------------------------------------------------------------

static void on_whole_timer(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, whole_timer);
    if (exchange->has_replied)
        request_abort(exchange->request);
    else
        exchange_fail(exchange, 504, "request-timeout",
                      "the request took longer than its time limit");
}

static struct exchange *exchange_begin(struct proxy *proxy, struct request *request)
{
    struct exchange *exchange = exchange_new(proxy);
    exchange->request = request;
    request->user = exchange;
    measure_begin(&exchange->measure);
    return exchange;
}

void exchange_start(struct proxy *proxy, struct request *request)
{
    struct exchange *exchange = exchange_begin(proxy, request);
    if (!exchange_check_method(exchange) || !exchange_check_target(exchange) ||
        !exchange_check_caller(exchange) || !exchange_check_size(exchange) ||
        !exchange_check_route(exchange))
        return;
    const struct config_route *route = exchange->choice.route;
    uint64_t limit_ms =
        route && route->timeout_ms ? route->timeout_ms : proxy->policy->config->request_timeout_ms;
    if (limit_ms)
        timer_start(proxy->loop, &exchange->whole_timer, limit_ms);
    exchange_get_tokens(exchange);
}

void exchange_refuse(struct proxy *proxy, struct request *request, int status, const char *why)
{
    exchange_fail(exchange_begin(proxy, request), status, "malformed-request", why);
}

// -- the body ----------------------------------------------------------------------------------

size_t exchange_take_body(struct request *request, struct str bytes)
{
    struct exchange *exchange = request->user;
    uint64_t limit = config_of(exchange)->body_limit;
    if (limit && exchange->body_len + bytes.len > limit) {
        exchange_fail(exchange, 413, "body-too-large", "the body is larger than body_limit");
        return bytes.len;
    }
    size_t taken = forward_write(&exchange->forward, bytes);
    exchange->body_len += taken;
    measure_body_in(&exchange->measure, taken);
    return taken;
}

void exchange_end_body(struct request *request)
{
    struct exchange *exchange = request->user;
    exchange->request_is_over = true;
    if (request_has_body(request))
        forward_finish(&exchange->forward);
    if (exchange->reply_is_held)
        exchange_reply(exchange);
}

// -- what the upstream leg tells ---------------------------------------------------------------

static void on_head(struct forward *forward)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    bool has_body = request_has_body(exchange->request);
    measure_head(&exchange->measure, forward->was_retried);
    // A response cannot be sent before the request is over. A failure ends the upload; a success
    // that comes early may depend on the rest of it.
    if (has_body && !exchange->request_is_over && forward->response.status < 300)
        exchange->reply_is_held = true;
    else if (!exchange_try_again(exchange))
        exchange_reply(exchange);
}

static void on_failed(struct forward *forward, enum forward_error error, const char *why)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    log_warn("upstream.failed", F_TEXT("upstream", exchange->choice.upstream->name),
             F_TEXT("why", why), F_STR("id", exchange_request_id(exchange)));
    measure_fail(&exchange->measure, error, forward->was_retried, why);
    exchange_upstream_problem(exchange, error, why);
}

static void on_room(struct forward *forward)
{
    request_resume(CONTAINER_OF(forward, struct exchange, forward)->request);
}

static void on_data(struct forward *forward)
{
    request_wake(CONTAINER_OF(forward, struct exchange, forward)->request);
}

static void on_refusal(struct forward *forward)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    if (exchange->reply_is_held)
        exchange_reply(exchange);
}

const struct forward_ops exchange_forward_ops = {
    .on_head = on_head,
    .on_failed = on_failed,
    .on_room = on_room,
    .on_data = on_data,
    .on_refusal = on_refusal,
};

// -- life --------------------------------------------------------------------------------------

void exchange_init(struct exchange *exchange, struct proxy *proxy)
{
    exchange->proxy = proxy;
    measure_init(&exchange->measure, proxy->loop, proxy->meter);
    exchange_init_send(exchange);
    timer_init(&exchange->whole_timer, on_whole_timer);
    forward_init(&exchange->forward, proxy->loop, &exchange_forward_ops);
}

void exchange_free(struct exchange *exchange)
{
    timer_stop(exchange->proxy->loop, &exchange->token_timer);
    timer_stop(exchange->proxy->loop, &exchange->whole_timer);
    forward_fini(&exchange->forward);
    buf_fini(&exchange->proof);
    mem_free(exchange);
}

void exchange_end(struct request *request, bool is_complete)
{
    struct exchange *exchange = request->user;
    measure_end(&exchange->measure, exchange->status, exchange->problem, is_complete);
    exchange_log(exchange, is_complete);
    if (exchange->is_waiting)
        view_cancel(exchange->proxy->view, &exchange->waiter);
    timer_disarm(&exchange->token_timer);
    timer_disarm(&exchange->whole_timer);
    forward_end(&exchange->forward);
    if (exchange->problem_body.ptr)
        buf_fini(&exchange->problem_body);
    exchange->request = NULL;
    exchange->choice = (struct route_choice){0};
    exchange->target = (struct target){0};
    exchange->host = STR_NONE;
    exchange->is_waiting = exchange->request_is_over = false;
    exchange->is_again = exchange->was_replayed = exchange->had_nonce = false;
    exchange->is_asking = exchange->has_newer = false;
    exchange->sent = (struct sent_tokens){0};
    exchange->reply_is_held = exchange->has_replied = false;
    exchange->body_len = 0;
    exchange->status = 0;
    exchange->problem = NULL;
    exchange_forget(exchange);
    exchange_release(exchange);
}
