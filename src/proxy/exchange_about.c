// SPDX-License-Identifier: MIT
// What a request is called and where it comes from: its id, its trace, its client's address, the
// web page that sent it. Nothing of it is worked out unless somebody wants it.
#include <string.h>

#include "proxy/exchange_about.h"
#include "proxy/page.h"
#include "proxy/proxy_private.h"
#include "proxy/trace.h"

static const struct str id_name = {"X-Request-Id", 12};

struct str exchange_request_id(struct exchange *exchange)
{
    const struct fields *fields = &exchange->request->fields;
    if (exchange->id.len)
        return exchange->id;
    const struct field *given = fields_find(fields, id_name);
    if (given && ids_is_fit(given->value) && fields_count(fields, id_name) == 1) {
        exchange->id = given->value;
    } else {
        ids_make(&exchange->proxy->ids, exchange->id_bytes);
        exchange->id = (struct str){exchange->id_bytes, sizeof exchange->id_bytes};
    }
    return exchange->id;
}

static void describe_trace(struct exchange *exchange, struct inject_input *input)
{
    char *out = exchange->trace_bytes;
    if (!exchange->trace.len) { // else it is sent again
        switch (trace_parent(input->fields, out)) {
        case TRACE_VALID:
            input->drops_tracestate = !trace_state_fits(input->fields);
            return;
        case TRACE_LATER:
            exchange->drops_tracestate = !trace_state_fits(input->fields);
            break;
        case TRACE_BROKEN:
            ids_start_trace(&exchange->proxy->ids, out);
            exchange->drops_tracestate = true;
            break;
        }
        exchange->trace = (struct str){out, sizeof exchange->trace_bytes};
    }
    input->traceparent = exchange->trace;
    input->drops_tracestate = exchange->drops_tracestate;
}

void exchange_describe(struct exchange *exchange, struct inject_input *input)
{
    const struct config *config = config_of(exchange);
    const struct config_upstream *upstream = input->upstream;
    if (upstream->forwarded != FORWARDED_OFF || upstream->x_forwarded != FORWARDED_OFF) {
        input->host = exchange->host;
        input->peer = request_peer(exchange->request, exchange->peer_bytes);
    }
    if (config->request_id == REQUEST_ID_MAKE) {
        struct str id = exchange_request_id(exchange);
        if (id.ptr == exchange->id_bytes)
            input->request_id = id;
    }
    if (config->trace)
        describe_trace(exchange, input);
}

struct problem_about exchange_about(struct exchange *exchange)
{
    return (struct problem_about){exchange_request_id(exchange), exchange->origin};
}

void exchange_note_page(struct exchange *exchange)
{
    exchange->origin = caller_origin(exchange->proxy->policy->callers, &exchange->request->fields);
}

void exchange_answer_preflight(struct exchange *exchange)
{
    struct fields *fields = &exchange->proxy->reply_fields;
    fields->count = 0;
    if (!page_add_preflight(fields, exchange->origin, &exchange->request->fields) ||
        !fields_add(fields, STR("Proxy-Status"), STR("bearerd"))) {
        exchange_fail(exchange, 431, "malformed-request", "too many header fields");
        return;
    }
    exchange->has_replied = true;
    exchange->status = CALLER_PREFLIGHT;
    request_reply(exchange->request,
                  &(struct reply){.status = CALLER_PREFLIGHT, .fields = fields, .is_whole = true});
}

void exchange_forget(struct exchange *exchange)
{
    exchange->id = exchange->trace = exchange->origin = STR_NONE;
    exchange->drops_tracestate = false;
}
