// SPDX-License-Identifier: MIT
// Upgrade (RFC 9110 7.8): what the client offers and the configuration allows is offered to the
// upstream; when that agrees, with one of these, both connections become a tunnel. Whatever else it
// answers is an ordinary response.
#include "base/log.h"
#include "proxy/exchange_about.h"
#include "proxy/proxy_private.h"

#define OFFER_MAX ((size_t)256)

// -- the offer ---------------------------------------------------------------------------------

static bool is_allowed(const struct config_upstream *upstream, struct str protocol)
{
    for (size_t i = 0; i < upstream->upgrade.count; i++)
        if (str_eq_nocase(str_of(upstream->upgrade.items[i]), protocol))
            return !str_eq_nocase(protocol, STR("none")); // which stands for an empty list
    return false;
}

void exchange_make_offer(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    // Behind a body its end would have to be agreed upon first.
    if (request->minor == 0 || request->body != BODY_NONE ||
        !fields_find(&request->fields, STR("Upgrade")) ||
        !fields_list_has(&request->fields, STR("Connection"), STR("upgrade")))
        return;
    for (size_t i = 0; i < request->fields.count; i++) {
        struct str protocol, list = request->fields.items[i].value;
        if (!str_eq_nocase(request->fields.items[i].name, STR("Upgrade")))
            continue;
        while (field_list_next(&list, &protocol))
            if (is_allowed(exchange->choice.upstream, protocol) &&
                !buf_printf(&exchange->offer, "%s%.*s", exchange->offer.len ? ", " : "",
                            STR_ARG(protocol)))
                return; // so many protocols nobody speaks
    }
}

static bool is_offered(const struct exchange *exchange, struct str protocol)
{
    struct str item, offer = buf_str(&exchange->offer);
    while (field_list_next(&offer, &item))
        if (str_eq_nocase(item, protocol))
            return true;
    return false;
}

// -- the answer --------------------------------------------------------------------------------

// The one protocol that the upstream switches to, if it is one of those offered.
static bool exchange_agreed(const struct exchange *exchange, struct str *out_protocol)
{
    const struct h1_response *response = &exchange->forward.response;
    const struct field *field = fields_find(&response->fields, STR("Upgrade"));
    *out_protocol = field ? field->value : STR_NONE;
    return response->minor == 1 && fields_count(&response->fields, STR("Upgrade")) == 1 &&
           fields_list_has(&response->fields, STR("Connection"), STR("upgrade")) &&
           is_offered(exchange, *out_protocol);
}

void exchange_switch(struct exchange *exchange)
{
    struct fields *fields = &exchange->proxy->reply_fields;
    struct str protocol;
    if (!exchange_agreed(exchange, &protocol)) {
        log_warn("upstream.failed", F_TEXT("upstream", exchange->choice.upstream->name),
                 F_TEXT("why", "it switches to a protocol that was not offered"),
                 F_STR("id", exchange_request_id(exchange)));
        exchange_upstream_problem(exchange, FORWARD_MALFORMED, "");
        return;
    }
    if (!exchange_copy_fields(exchange) || !fields_add(fields, STR("Upgrade"), protocol)) {
        exchange_upstream_problem(exchange, FORWARD_HEAD_TOO_LARGE, "");
        return;
    }
    timer_disarm(&exchange->whole_timer); // the request is answered; tunnel_idle_timeout takes over
    exchange->has_replied = true;
    exchange->status = 101;
    request_switch(exchange->request, exchange->status, fields);
}

// -- the tunnel --------------------------------------------------------------------------------

static const char *exchange_peer(const struct exchange *exchange)
{
    return exchange->connect ? connect_place(exchange->connect) : exchange->choice.upstream->name;
}

static void on_over(struct tunnel *tunnel, enum tunnel_end end)
{
    struct exchange *exchange = CONTAINER_OF(tunnel, struct exchange, tunnel);
    log_info("tunnel.closed", F_TEXT("to", exchange_peer(exchange)),
             F_TEXT("why", tunnel_end_text(end)), F_NUM("bytes_up", tunnel->up.bytes),
             F_NUM("bytes_down", tunnel->down.bytes), F_STR("id", exchange_request_id(exchange)));
    measure_body_in(&exchange->measure, tunnel->up.bytes);
    measure_body_out(&exchange->measure, tunnel->down.bytes);
    forward_end(&exchange->forward);
    exchange_end_connect(exchange);
    request_close(exchange->request);
}

void exchange_init_switch(struct exchange *exchange)
{
    buf_init(&exchange->offer, OFFER_MAX);
    tunnel_init(&exchange->tunnel, exchange->proxy->loop, on_over);
}

void exchange_on_switched(struct request *request, int fd, struct str early)
{
    struct exchange *exchange = request->user;
    struct tunnel_start start = {.fd = fd, .from_client = early};
    if (exchange->connect) {
        start.link = connect_link(exchange->connect);
        start.idle_ms = config_of(exchange)->tunnel_idle_timeout_ms;
    } else {
        start.link = exchange->forward.lease.link;
        start.from_upstream = forward_early(&exchange->forward);
        start.idle_ms = exchange->choice.upstream->tunnel_idle_timeout_ms;
    }
    log_info("tunnel.opened", F_TEXT("to", exchange_peer(exchange)),
             F_STR("protocol", exchange->connect ? STR("CONNECT") : buf_str(&exchange->offer)),
             F_STR("id", exchange_request_id(exchange)));
    measure_tunnel(&exchange->measure);
    tunnel_start(&exchange->tunnel, &start);
}
