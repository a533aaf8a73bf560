// SPDX-License-Identifier: MIT
// CONNECT where it is allowed: a connection to the place that was asked for, and a tunnel to it.
// The same checks of the caller as for any request; no route, no token.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "proxy/connect.h"
#include "proxy/exchange_about.h"
#include "proxy/proxy_private.h"

struct connect {
    struct exchange *exchange;
    const char *place; // host:port
    char host[256];
    struct link_target target;
    struct link *link;
};

const char *connect_place(const struct connect *connect)
{
    return connect->place;
}

static void on_connect(struct link *link, enum link_error error, const char *why)
{
    const struct connect *connect = link_owner(link);
    struct exchange *exchange = connect->exchange;
    if (exchange->has_replied) // its time was over
        return;
    if (error != LINK_OK) {
        log_warn("tunnel.failed", F_TEXT("to", connect->place), F_TEXT("why", why),
                 F_STR("id", exchange_request_id(exchange)));
        exchange_fail(exchange, error == LINK_TIMEOUT ? 504 : 502,
                      error == LINK_TIMEOUT ? "upstream-connect-timeout" : "upstream-unreachable",
                      why);
        return;
    }
    timer_disarm(&exchange->whole_timer);
    struct fields *fields = &exchange->proxy->reply_fields;
    fields->count = 0;
    if (!fields_add(fields, STR("Via"), STR("1.1 bearerd")))
        return; // cannot happen: it was empty
    exchange->has_replied = true;
    exchange->status = 200;
    request_switch(exchange->request, exchange->status, fields);
}

static void on_ready(struct link *link, bool is_hangup)
{
    (void)is_hangup; // the reads find out
    const struct connect *connect = link_owner(link);
    tunnel_look(&connect->exchange->tunnel);
}

// host:port, as the configuration writes it.
static void connect_set_target(struct connect *connect, const struct config *config)
{
    const char *colon = strrchr(connect->place, ':');
    struct str host = {connect->place, (size_t)(colon - connect->place)};
    uint64_t port = 0;
    if (host.ptr[0] == '[')
        host = (struct str){host.ptr + 1, host.len - 2};
    snprintf(connect->host, sizeof connect->host, "%.*s", STR_ARG(host));
    if (!str_to_u64(str_of(colon + 1), &port))
        port = 0; // cannot happen: it was checked
    connect->target = (struct link_target){
        .host = connect->host,
        .port = (uint16_t)port,
        .connect_timeout_ms = config->connect_timeout_ms,
    };
}

void exchange_connect(struct exchange *exchange)
{
    static const struct link_ops ops = {.on_connect = on_connect, .on_ready = on_ready};
    const char *place = NULL;
    struct caller_verdict verdict = connect_check(config_of(exchange), &exchange->target, &place);
    if (!verdict.status && !exchange->request->may_tunnel)
        verdict = (struct caller_verdict){501, "connect-not-supported",
                                          "CONNECT must be the first request of its connection"};
    if (verdict.status) {
        exchange_fail(exchange, verdict.status, verdict.type, verdict.why);
        return;
    }
    struct connect *connect = mem_alloc(sizeof *connect);
    *connect = (struct connect){.exchange = exchange, .place = place};
    connect_set_target(connect, config_of(exchange));
    exchange->connect = connect;
    connect->link = link_new(exchange->proxy->links, &connect->target, &ops, connect);
}

struct link *connect_link(const struct connect *connect)
{
    return connect->link;
}

void exchange_end_connect(struct exchange *exchange)
{
    if (!exchange->connect)
        return;
    link_close(exchange->connect->link);
    mem_free(exchange->connect);
    exchange->connect = NULL;
}
