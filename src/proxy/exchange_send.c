// SPDX-License-Identifier: MIT
// The way out: the tokens of the route, waited for if need be, the head that bears them, and the
// second try after the upstream refused them. No request leaves without all the tokens its route
// asks for.
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "http/server.h"
#include "proxy/exchange_about.h"
#include "proxy/inject.h"
#include "proxy/proxy_private.h"
#include "token/jose.h"

#define BUFFER_MAX ((size_t)64 * 1024)  // request body bytes held for the upstream
#define PROOF_MAX  ((size_t)256 * 1024) // it holds the URL, in base64

static bool is_idempotent(struct str method)
{
    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")) ||
           str_eq(method, STR("PUT")) || str_eq(method, STR("DELETE")) ||
           str_eq(method, STR("OPTIONS"));
}

// -- the head ----------------------------------------------------------------------------------

// With client_authorization = keep the client's own goes on in the place of ours.
static bool is_left_out(const struct exchange *exchange, const struct token *token)
{
    const struct config_route *route = exchange->choice.route;
    return route->client_authorization == CLIENT_AUTH_KEEP &&
           str_eq_nocase(token->header_name, STR("Authorization")) &&
           fields_find(&exchange->request->fields, STR("Authorization"));
}

void exchange_forget_sent(struct exchange *exchange)
{
    struct sent_tokens *sent = &exchange->sent;
    memset(sent->generations, 0, sizeof sent->generations);
    sent->is_any = sent->is_bound = false;
    answer_marks_clear(&sent->marks);
}

static void exchange_note_sent(struct exchange *exchange, const struct token *const *tokens)
{
    const struct config_route *route = exchange->choice.route;
    exchange_forget_sent(exchange);
    for (size_t i = 0; route && i < route->slot_count; i++) {
        if (is_left_out(exchange, tokens[i]))
            continue;
        exchange->sent.generations[i] = tokens[i]->generation;
        exchange->sent.is_any = true;
        answer_marks_add(&exchange->sent.marks, tokens[i]->value);
        exchange->sent.is_bound |= tokens[i]->binding != NULL;
    }
}

// A proof of possession for the token that is bound to a key, if the route has one (RFC 9449 7).
static bool exchange_prove(struct exchange *exchange, struct inject_input *input)
{
    const struct config_route *route = exchange->choice.route;
    const struct token *bound = NULL;
    for (size_t i = 0; route && i < route->slot_count; i++) {
        const struct token *token = input->tokens[i];
        assert(token); // no request gets here without all of them
        if (token->binding && !is_left_out(exchange, token))
            bound = token;
    }
    if (!bound)
        return true;
    struct buf url;
    struct err err = {""};
    buf_init(&url, 2 * (size_t)config_of(exchange)->header_limit);
    buf_clear(&exchange->proof);
    struct jose_proof proof = {
        .method = input->method,
        .access_token = bound->value,
        .nonce = str_of(exchange->proxy->nonces[exchange->choice.upstream->index]),
        .now_s = clock_realtime_s(),
    };
    bool ok = inject_url(input, &url);
    proof.url = buf_str(&url);
    ok = ok && jose_dpop_proof(bound->binding, &proof, &exchange->proof, &err);
    buf_fini(&url);
    if (!ok)
        log_error("request.no_proof", F_TEXT("why", err.text),
                  F_STR("id", exchange_request_id(exchange)));
    input->proof = buf_str(&exchange->proof);
    return ok;
}

static struct pool *exchange_pool(const struct exchange *exchange)
{
    return exchange->proxy->pools[exchange->choice.upstream->index];
}

static void exchange_start_forward(struct exchange *exchange, const struct inject_input *input)
{
    struct request *request = exchange->request;
    struct forward_request forward = {
        .is_chunked = input->is_chunked,
        .is_head = str_eq(request->method, STR("HEAD")),
        .is_idempotent = is_idempotent(request->method),
        .has_body = request_has_body(request),
        .head_is_once = exchange->sent.is_bound, // a proof is (RFC 9449 11.1)
        .may_switch = exchange->offer.len > 0,
    };
    forward_start(&exchange->forward, exchange_pool(exchange), &forward);
    request_accept(request);
}

static struct buf *exchange_first_head(struct exchange *exchange)
{
    const struct config_upstream *upstream = exchange->choice.upstream;
    const struct config_route *route = exchange->choice.route;
    size_t replay_max = route ? (size_t)route->replay_limit : 0;
    struct forward_limits limits = {
        .head_max = (size_t)config_of(exchange)->header_limit,
        .buffer_max = replay_max > BUFFER_MAX ? replay_max : BUFFER_MAX,
        .connect_timeout_ms = upstream->connect_timeout_ms,
        .queue_timeout_ms = upstream->queue_timeout_ms,
        .first_byte_timeout_ms = upstream->first_byte_timeout_ms,
        .idle_timeout_ms = upstream->idle_timeout_ms,
    };
    return forward_head(&exchange->forward, &limits);
}

// The tokens are borrowed for this turn only: the head that holds them is written here and now.
static void exchange_send(struct exchange *exchange, const struct token *const *tokens)
{
    bool is_again = exchange->is_again;
    struct inject_input input = exchange_inject_input(exchange);
    input.tokens = tokens;
    exchange_describe(exchange, &input);
    exchange->is_again = false;
    if (!exchange_prove(exchange, &input)) {
        exchange_fail(exchange, 502, "internal", "the proof of possession could not be made");
        return;
    }
    struct buf *head =
        is_again ? forward_resend_head(&exchange->forward) : exchange_first_head(exchange);
    if (!inject_head(&input, head)) {
        exchange_fail(exchange, 431, "malformed-request",
                      "with the fields that are added the request head is too large");
        return;
    }
    exchange_note_sent(exchange, tokens);
    measure_sent(&exchange->measure);
    if (!is_again) {
        exchange_start_forward(exchange, &input);
        return;
    }
    if (exchange->has_newer)
        measure_replay(&exchange->measure, TRAFFIC_REPLAY_TAKEN);
    log_info("request.replayed", F_TEXT("route", exchange->choice.route->name),
             F_TEXT("with", exchange->has_newer ? "a newer token" : "a nonce"),
             F_STR("id", exchange_request_id(exchange)));
    forward_resend(&exchange->forward);
}

bool exchange_write_again(struct forward *forward, struct buf *head)
{
    struct exchange *exchange = CONTAINER_OF(forward, struct exchange, forward);
    const struct config_route *route = exchange->choice.route;
    const struct token *tokens[ROUTE_TOKENS_MAX] = {NULL};
    struct inject_input input = exchange_inject_input(exchange);
    input.tokens = tokens;
    for (size_t i = 0; i < route->slot_count; i++)
        if (!(tokens[i] = view_get(exchange->proxy->view, route->slots[i]->index)))
            return false;
    if (!exchange_prove(exchange, &input) || !inject_head(&input, head))
        return false;
    exchange_note_sent(exchange, tokens);
    return true;
}

// -- the tokens --------------------------------------------------------------------------------

static void exchange_start_token_timer(struct exchange *exchange)
{
    exchange->is_waiting = true;
    measure_wait(&exchange->measure, exchange->waiter.slot);
    if (exchange->token_timer.due_ms == TIMER_NEVER) // one limit for all of the route's tokens
        timer_start(exchange->proxy->loop, &exchange->token_timer,
                    config_of(exchange)->token_timeout_ms);
}

// The upstream is as far away as the authorization server: both are connected to at once.
static void exchange_await_token(struct exchange *exchange, size_t slot)
{
    exchange->waiting_slot = slot;
    bool is_coming = view_wait(exchange->proxy->view, slot, &exchange->waiter);
    exchange_start_token_timer(exchange);
    if (is_coming)
        forward_announce(&exchange->forward, exchange_pool(exchange));
}

void exchange_get_tokens(struct exchange *exchange)
{
    const struct config_route *route = exchange->choice.route;
    const struct token *tokens[ROUTE_TOKENS_MAX] = {NULL};
    size_t count = route ? route->slot_count : 0;
    for (size_t i = 0; i < count; i++) {
        tokens[i] = view_get(exchange->proxy->view, route->slots[i]->index);
        if (!tokens[i]) {
            exchange_await_token(exchange, route->slots[i]->index);
            return;
        }
    }
    timer_disarm(&exchange->token_timer);
    exchange_send(exchange, tokens);
}

// A 401 does not say which token it is about: all that were sent are asked for anew, one after the
// other; the keeper knows when that is in vain. Then the request is sent again, if there is
// anything new to send.
static void exchange_ask_newer(struct exchange *exchange)
{
    const struct config_route *route = exchange->choice.route;
    while (exchange->asked < route->slot_count && !exchange->sent.generations[exchange->asked])
        exchange->asked++;
    if (exchange->asked < route->slot_count) {
        view_wait_newer(exchange->proxy->view, route->slots[exchange->asked]->index,
                        exchange->sent.generations[exchange->asked], &exchange->waiter);
        exchange_start_token_timer(exchange);
        return;
    }
    exchange->is_asking = false;
    timer_disarm(&exchange->token_timer);
    if (!exchange->has_newer) {
        exchange->is_again = false;
        exchange_reply(exchange); // none better is to be had: the upstream's 401 stands
        return;
    }
    exchange_get_tokens(exchange);
}

static void on_token(struct view_waiter *waiter, const struct token *token,
                     const struct token_failure *failure)
{
    struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);
    exchange->is_waiting = false;
    measure_waited(&exchange->measure);
    if (exchange->is_asking) {
        exchange->has_newer |= token != NULL;
        exchange->asked++;
        exchange_ask_newer(exchange);
        return;
    }
    if (token) {
        exchange_get_tokens(exchange);
        return;
    }
    timer_disarm(&exchange->token_timer);
    if (exchange->is_again)
        exchange_reply(exchange); // none better is to be had: the upstream's 401 stands
    else
        exchange_token_problem(exchange, failure);
}

static void on_token_timer(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, token_timer);
    view_cancel(exchange->proxy->view, &exchange->waiter);
    exchange->is_waiting = false;
    measure_waited(&exchange->measure);
    if (exchange->is_asking && exchange->has_newer) { // what there is may do
        exchange->is_asking = false;
        exchange_get_tokens(exchange);
        return;
    }
    if (exchange->is_again) {
        exchange->is_asking = exchange->is_again = false;
        exchange_reply(exchange);
        return;
    }
    const struct token_failure *last = view_failure(exchange->proxy->view, exchange->waiting_slot);
    struct token_failure *waited = token_failure_new(
        FAILURE_WAITED, last ? last->text : "the authorization server did not answer in time");
    exchange_token_problem(exchange, waited);
    token_failure_unref(waited);
}

void exchange_init_send(struct exchange *exchange)
{
    exchange->waiter.on_token = on_token;
    timer_init(&exchange->token_timer, on_token_timer);
    buf_init(&exchange->proof, PROOF_MAX);
}

// -- once more ---------------------------------------------------------------------------------

static bool is_safe(struct str method)
{
    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")) ||
           str_eq(method, STR("OPTIONS"));
}

static bool exchange_may_replay(const struct exchange *exchange)
{
    const struct config_route *route = exchange->choice.route;
    if (!exchange->sent.is_any || exchange->body_len > route->replay_limit ||
        !forward_may_resend(&exchange->forward))
        return false;
    return route->replay_on_401 == REPLAY_YES ||
           (route->replay_on_401 == REPLAY_SAFE_METHODS && is_safe(exchange->request->method));
}

// Is this word in a challenge to the client (WWW-Authenticate)?
static bool challenge_has(const struct fields *fields, struct str word)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (!str_eq_nocase(fields->items[i].name, STR("WWW-Authenticate")))
            continue;
        for (struct str rest = fields->items[i].value; rest.len >= word.len;
             rest = str_from(rest, 1))
            if (str_starts(rest, word))
                return true;
    }
    return false;
}

// The server's latest nonce is for all requests to it from now on (RFC 9449 8.2, 9).
static bool exchange_take_nonce(struct exchange *exchange)
{
    const struct fields *fields = &exchange->forward.response.fields;
    const struct field *field = fields_find(fields, STR("DPoP-Nonce"));
    char **nonce = &exchange->proxy->nonces[exchange->choice.upstream->index];
    if (!exchange->sent.is_bound || !field || !jose_nonce_is_valid(field->value) ||
        fields_count(fields, STR("DPoP-Nonce")) > 1)
        return false;
    if (*nonce && str_eq(str_of(*nonce), field->value))
        return true;
    mem_free(*nonce);
    *nonce = str_dup(field->value);
    return true;
}

// RFC 6750 3.1 gives it 403; some send 401. Another token would not help.
static bool exchange_lacks_scope(struct exchange *exchange)
{
    const struct config_route *route = exchange->choice.route;
    const struct h1_response *response = &exchange->forward.response;
    if (!exchange->sent.is_any || (response->status != 401 && response->status != 403) ||
        !challenge_has(&response->fields, STR("insufficient_scope")))
        return false;
    for (size_t i = 0; i < route->slot_count; i++) {
        const struct config_slot *slot = route->slots[i];
        const struct token *token = view_get(exchange->proxy->view, slot->index);
        if (!str_eq_nocase(str_of(slot->credential->header), STR("Authorization")))
            continue;
        log_warn(
            "request.insufficient_scope", F_TEXT("route", route->name),
            F_TEXT("credential", slot->credential->name), F_TEXT("asked", slot->scope),
            F_TEXT("granted", token && token->granted_scope ? token->granted_scope : slot->scope),
            F_STR("id", exchange_request_id(exchange)));
    }
    return true;
}

// A challenge to prove with a nonce is no refusal of the token (RFC 9449 9).
static bool exchange_retry_with_nonce(struct exchange *exchange, bool has_nonce)
{
    if (!has_nonce || exchange->had_nonce || !forward_may_resend(&exchange->forward))
        return false;
    exchange->had_nonce = exchange->is_again = true;
    measure_replay(&exchange->measure, TRAFFIC_REPLAY_NONCE);
    exchange_get_tokens(exchange);
    return true;
}

// This request cannot be sent again; the next one shall have newer tokens.
static void exchange_refuse_tokens(struct exchange *exchange)
{
    const struct config_route *route = exchange->choice.route;
    for (size_t i = 0; route && i < route->slot_count; i++)
        if (exchange->sent.generations[i])
            view_refuse(exchange->proxy->view, route->slots[i]->index,
                        exchange->sent.generations[i]);
}

bool exchange_try_again(struct exchange *exchange)
{
    const struct h1_response *response = &exchange->forward.response;
    bool has_nonce = exchange_take_nonce(exchange);
    if (exchange_lacks_scope(exchange) || response->status != 401)
        return false;
    if (exchange->sent.is_bound && challenge_has(&response->fields, STR("use_dpop_nonce")))
        return exchange_retry_with_nonce(exchange, has_nonce);
    if (exchange->was_replayed)
        return false;
    if (!exchange_may_replay(exchange)) {
        exchange_refuse_tokens(exchange);
        if (exchange->sent.is_any)
            measure_replay(&exchange->measure, TRAFFIC_REPLAY_NOT_POSSIBLE);
        return false;
    }
    exchange->was_replayed = exchange->is_again = exchange->is_asking = true;
    exchange->has_newer = false;
    measure_replay(&exchange->measure, TRAFFIC_REPLAY_NONE_NEWER);
    exchange->asked = 0;
    exchange_ask_newer(exchange);
    return true;
}
