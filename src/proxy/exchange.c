// SPDX-License-Identifier: MIT
// One request's life, in the order a request meets it: caller, target, route, tokens, head,
// upstream. Each stage either passes the request on or answers it. No request goes on without the
// tokens its route asks for: exchange_send() is reached only with all of them in hand.
#include "base/log.h"
#include "http/server.h"
#include "proxy/exchange_about.h"
#include "proxy/hops.h"
#include "proxy/inject.h"
#include "proxy/override.h"
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

static bool exchange_is_connect(const struct exchange *exchange)
{
    return str_eq(exchange->request->method, STR("CONNECT"));
}

// -- judging -----------------------------------------------------------------------------------

static bool exchange_check_method(struct exchange *exchange)
{
    if (exchange_is_connect(exchange) && config_of(exchange)->connect == CONNECT_TUNNEL)
        return true;
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
        .is_absolute =
            exchange->target.form == TARGET_ABSOLUTE || exchange->target.form == TARGET_AUTHORITY,
        .is_unix = request->is_unix,
        .uid = request->peer_uid,
        .method = request->method,
        .fields = &request->fields,
    };
    struct caller_verdict verdict = caller_check(exchange->proxy->policy->callers, &caller);
    exchange_note_page(exchange);
    if (verdict.status == CALLER_PREFLIGHT)
        exchange_answer_preflight(exchange);
    else if (verdict.status)
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

// RFC 9110 9.3.7: the last one that an OPTIONS request may reach answers it.
static bool exchange_check_hops(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    uint64_t left;
    switch (hops_read(request->method, &request->fields, &left)) {
    case HOPS_MALFORMED:
        exchange_fail(exchange, 400, "malformed-request", "malformed Max-Forwards");
        return false;
    case HOPS_OVER:
        exchange_tell_options(exchange);
        return false;
    case HOPS_UNLIMITED:
    case HOPS_LEFT:
        break;
    }
    return true;
}

struct inject_input exchange_inject_input(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    uint64_t left = 0;
    bool has_hops = hops_read(request->method, &request->fields, &left) == HOPS_LEFT;
    return (struct inject_input){
        .has_hops = has_hops,
        .hops_left = left,
        .offer = buf_str(&exchange->offer),
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
    const struct override_input override = {
        exchange->proxy->policy->routes,
        exchange->request->method,
        &exchange->target,
        exchange->host,
        &exchange->request->fields,
        &exchange->choice,
    };
    exchange->choice = route_find(override.table, override.method, override.target, override.host);
    measure_choose(&exchange->measure, exchange->choice.upstream, exchange->choice.route);
    struct caller_verdict verdict = route_refusal(exchange->choice.verdict);
    if (!verdict.status)
        verdict = override_check(&override);
    if (!verdict.status) {
        struct inject_input input = exchange_inject_input(exchange);
        verdict = inject_check(&input);
    }
    if (verdict.status)
        exchange_fail(exchange, verdict.status, verdict.type, verdict.why);
    return !verdict.status;
}

static bool exchange_check_load(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    if (proxy->requests_max && proxy->request_count >= proxy->requests_max) {
        exchange_problem(exchange, &(struct problem){503, "overloaded",
                                                     "max_requests requests are under way", 1});
        return false;
    }
    proxy->request_count++;
    exchange->is_counted = true;
    return true;
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
    bool is_connect = exchange_is_connect(exchange);
    if (!exchange_check_method(exchange) || !exchange_check_target(exchange) ||
        !exchange_check_caller(exchange) || !exchange_check_size(exchange) ||
        !exchange_check_hops(exchange) || (!is_connect && !exchange_check_route(exchange)) ||
        !exchange_check_load(exchange))
        return;
    const struct config_route *route = exchange->choice.route;
    uint64_t limit_ms =
        route && route->timeout_ms ? route->timeout_ms : proxy->policy->config->request_timeout_ms;
    if (limit_ms)
        timer_start(proxy->loop, &exchange->whole_timer, limit_ms);
    if (is_connect) {
        exchange_connect(exchange);
        return;
    }
    exchange_make_offer(exchange);
    exchange_get_tokens(exchange);
}

void exchange_refuse(struct proxy *proxy, struct request *request, int status, const char *why)
{
    exchange_fail(exchange_begin(proxy, request), status, "malformed-request", why);
}

// -- the body ----------------------------------------------------------------------------------

// For what comes to light with the body: by then the answer may be under way.
static void exchange_stop(struct exchange *exchange, int status, const char *type, const char *why)
{
    const struct problem problem = {.status = status, .type = type, .detail = why, .close = true};
    if (exchange->overlaps)
        request_abort(exchange->request);
    else
        exchange_problem(exchange, &problem);
}

size_t exchange_take_body(struct request *request, struct str bytes)
{
    struct exchange *exchange = request->user;
    uint64_t limit = config_of(exchange)->body_limit;
    if (limit && exchange->body_len + bytes.len > limit) {
        exchange_stop(exchange, 413, "body-too-large", "the body is larger than body_limit");
        return bytes.len;
    }
    size_t taken = forward_write(&exchange->forward, bytes);
    exchange->body_len += taken;
    measure_body_in(&exchange->measure, taken);
    return taken;
}

// False: the upstream must not take it for a whole one.
static bool exchange_finish_body(struct exchange *exchange)
{
    struct request *request = exchange->request;
    if (!request_has_body(request) || (exchange->has_replied && !exchange->overlaps))
        return true;
    struct inject_input input = exchange_inject_input(exchange);
    struct buf lines;
    buf_init(&lines, (size_t)config_of(exchange)->header_limit);
    struct fields *trailers = &exchange->proxy->trailers;
    trailers->count = 0;
    bool ok = request->body != BODY_CHUNKED ||
              (request_trailers(request, trailers) && inject_trailers(&input, trailers, &lines));
    if (ok)
        forward_finish(&exchange->forward, buf_str(&lines));
    buf_fini(&lines);
    return ok;
}

void exchange_end_body(struct request *request)
{
    struct exchange *exchange = request->user;
    exchange->request_is_over = true;
    if (!exchange_finish_body(exchange)) {
        exchange_stop(exchange, 400, "malformed-request", "the trailer section is malformed");
        return;
    }
    if (exchange->reply_is_held)
        exchange_reply(exchange);
}

void exchange_give_up_body(struct request *request)
{
    exchange_fail(request->user, 408, "client-timeout",
                  "the request body came more slowly than body_timeout and body_min_rate allow");
}

// -- what the upstream leg tells ---------------------------------------------------------------

static void on_head(struct forward *forward)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    bool is_early = request_has_body(exchange->request) && !exchange->request_is_over;
    measure_head(&exchange->measure, forward->was_retried);
    // A failure ends the upload. A success that comes early may depend on the rest of it: it is
    // passed on beside that, or behind it if that is short.
    exchange->overlaps =
        is_early && forward->response.status < 300 && request_may_overlap(exchange->request);
    if (is_early && forward->response.status < 300 && !exchange->overlaps)
        exchange->reply_is_held = true;
    else if (!exchange_try_again(exchange))
        exchange_reply(exchange);
}

static void on_interim(struct forward *forward)
{
    exchange_pass_interim(CONTAINER_OF(forward, struct exchange, forward));
}

static void on_switch(struct forward *forward)
{
    exchange_switch(CONTAINER_OF(forward, struct exchange, forward));
}

static void on_link(struct forward *forward)
{
    tunnel_look(&CONTAINER_OF(forward, struct exchange, forward)->tunnel);
}

static void on_failed(struct forward *forward, enum forward_error error, const char *why)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    log_warn("upstream.failed", F_TEXT("upstream", exchange->choice.upstream->name),
             F_TEXT("why", why), F_STR("id", exchange_request_id(exchange)));
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
    else
        request_resume(exchange->request); // the rest of it is swallowed
}

const struct forward_ops exchange_forward_ops = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_switch = on_switch,
    .on_link = on_link,
    .on_failed = on_failed,
    .on_room = on_room,
    .on_data = on_data,
    .on_refusal = on_refusal,
    .on_retry = exchange_write_again,
};

// -- life --------------------------------------------------------------------------------------

void exchange_init(struct exchange *exchange, struct proxy *proxy)
{
    exchange->proxy = proxy;
    measure_init(&exchange->measure, proxy->loop, proxy->meter);
    exchange_init_send(exchange);
    exchange_init_switch(exchange);
    timer_init(&exchange->whole_timer, on_whole_timer);
    forward_init(&exchange->forward, proxy->loop, &exchange_forward_ops);
}

void exchange_free(struct exchange *exchange)
{
    timer_stop(exchange->proxy->loop, &exchange->token_timer);
    timer_stop(exchange->proxy->loop, &exchange->whole_timer);
    tunnel_fini(&exchange->tunnel);
    forward_fini(&exchange->forward);
    buf_fini(&exchange->offer);
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
    tunnel_stop(&exchange->tunnel);
    exchange_end_connect(exchange);
    forward_end(&exchange->forward);
    buf_clear(&exchange->offer);
    if (exchange->problem_body.ptr)
        buf_fini(&exchange->problem_body);
    exchange->proxy->request_count -= exchange->is_counted;
    exchange->is_counted = false;
    exchange->request = NULL;
    exchange->choice = (struct route_choice){0};
    exchange->target = (struct target){0};
    exchange->host = STR_NONE;
    exchange->is_waiting = exchange->request_is_over = false;
    exchange->is_again = exchange->was_replayed = exchange->had_nonce = false;
    exchange->is_asking = exchange->has_newer = false;
    exchange_forget_sent(exchange);
    exchange->reply_is_held = exchange->has_replied = exchange->passes_trailers = false;
    exchange->overlaps = false;
    exchange->body_len = 0;
    exchange->status = 0;
    exchange->problem = NULL;
    exchange_forget(exchange);
    exchange_release(exchange);
}
