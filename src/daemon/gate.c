// SPDX-License-Identifier: MIT
// See gate.h. Two sets of rules: one without the key, which everybody must pass, and one with it,
// which tells who has it. A client shows the key to an admin listener as to a server, in
// Authorization, and to a proxy in Proxy-Authorization: the rules know the latter.
#include "daemon/gate.h"

#include <string.h>

#include "proxy/caller.h"
#include "proxy/target.h"

#define HOST_MAX 280

struct gate {
    struct caller_rules *open, *locked; // locked NULL: there is no key
};

// No upstream's host is a name for it.
struct config gate_config(const struct config *config, struct secret *key)
{
    return (struct config){
        .path = config->path,
        .listen = config->admin.listen,
        .listen_mode = config->admin.socket_mode,
        .expose = config->admin.expose,
        .accept_hosts = config->admin.accept_hosts,
        .client_key = key,
        .workers = 1,
    };
}

// -- its own pages -----------------------------------------------------------------------------
// The status page asks for more of the same listener, and its browser says so (same-origin).

static void origin_add(struct config_strings *origins, const char *host, const char *port)
{
    struct buf text;
    buf_init(&text, HOST_MAX + 16);
    origins->items = mem_realloc(origins->items, (origins->count + 1) * sizeof(char *));
    if (buf_printf(&text, "http://%s%s", host, port))
        origins->items[origins->count++] = buf_take(&text);
    buf_fini(&text);
}

static void own_origins(const struct config *config, const struct config_strings *bound,
                        struct config_strings *out)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < bound->count; i++) {
        const char *port = strrchr(bound->items[i], ':');
        if (listen_path(bound->items[i]) || !port)
            continue;
        origin_add(out, bound->items[i], "");
        for (size_t j = 0; j < ARRAY_LEN(loopback); j++)
            origin_add(out, loopback[j], port);
    }
    for (size_t i = 0; i < config->admin.accept_hosts.count; i++)
        origin_add(out, config->admin.accept_hosts.items[i], "");
}

// -- life --------------------------------------------------------------------------------------

static struct caller_rules *rules_new(const struct config *config,
                                      const struct config_strings *bound, struct secret *key,
                                      struct err *err)
{
    struct config of_admin = gate_config(config, key);
    own_origins(config, bound, &of_admin.allow_origins);
    struct caller_rules *rules = caller_rules_new(&of_admin, bound, err);
    for (size_t i = 0; i < of_admin.allow_origins.count; i++)
        mem_free(of_admin.allow_origins.items[i]);
    mem_free(of_admin.allow_origins.items);
    return rules;
}

struct gate *gate_new(const struct config *config, const struct config_strings *bound,
                      struct err *err)
{
    struct gate *gate = mem_alloc(sizeof *gate);
    gate->open = rules_new(config, bound, NULL, err);
    if (config->admin.key)
        gate->locked = rules_new(config, bound, config->admin.key, err);
    if (gate->open && (gate->locked || !config->admin.key))
        return gate;
    gate_free(gate);
    return NULL;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    caller_rules_free(gate->open);
    caller_rules_free(gate->locked);
    mem_free(gate);
}

static bool has_key(const struct gate *gate, const struct caller *caller)
{
    struct fields *fields = mem_alloc(sizeof *fields);
    struct caller renamed = *caller;
    bool ok = true;
    for (size_t i = 0; ok && i < caller->fields->count; i++) {
        struct field field = caller->fields->items[i];
        if (str_eq_nocase(field.name, STR("Authorization")))
            field.name = STR("Proxy-Authorization");
        ok = fields_add(fields, field.name, field.value);
    }
    renamed.fields = fields;
    ok = ok && !caller_check(gate->locked, &renamed).status;
    mem_free(fields);
    return ok;
}

static void refuse(struct facts_caller *out, int status, const char *type, const char *why)
{
    *out = (struct facts_caller){.status = status, .type = type, .why = why, .uid = -1};
}

void gate_judge(const struct gate *gate, const struct request *request, struct facts_caller *out)
{
    struct target target = {0};
    char host_bytes[HOST_MAX];
    const char *why = "";
    const struct field *field = fields_find(&request->fields, STR("Host"));
    struct str host = {host_bytes, 0}, named = field ? field->value : STR_NONE;
    if (!target_parse(request->target, request->method, &target, &why) ||
        target.form != TARGET_ORIGIN) {
        refuse(out, 400, "bad-target", "the request target must be a path");
        return;
    }
    if (named.len >= HOST_MAX || !target_normal_host(&target, named, host_bytes, &host.len)) {
        refuse(out, 400, "bad-target", "the Host field is malformed");
        return;
    }
    const struct caller caller = {
        .host = host,
        .is_unix = request->is_unix,
        .uid = request->peer_uid,
        .method = request->method,
        .fields = &request->fields,
    };
    struct caller_verdict verdict = caller_check(gate->open, &caller);
    if (verdict.status == CALLER_PREFLIGHT) { // whoever has to ask comes from elsewhere
        refuse(out, 403, "origin-not-allowed", "requests from web pages are refused");
        return;
    }
    if (verdict.status) {
        refuse(out, verdict.status, verdict.type, verdict.why);
        return;
    }
    bool shows_key = gate->locked && has_key(gate, &caller);
    *out = (struct facts_caller){
        .may_read = request->is_unix || shows_key || !gate->locked,
        .may_change = request->is_unix || shows_key,
        .uid =
            request->is_unix && request->peer_uid != UINT32_MAX ? (int64_t)request->peer_uid : -1,
    };
}
