// SPDX-License-Identifier: MIT
// /status.json: everything the status page and `bearerd status` show, in one document. Its members
// are an interface; docs/admin.md describes them. No token, secret, query string or value that a
// client sent has a place in it; what peers said stands in it as text, escaped.
#include "admin/status.h"

#include "base/log.h"
#include "http/multi.h"

#define SCHEMA 1

static void write_reloads(struct json_out *json, const struct facts_reloads *reloads)
{
    json_open(json, "reloads", '{');
    json_number(json, "done", reloads->done);
    json_number(json, "failed", reloads->failed);
    json_bool(json, "last_failed", reloads->last_failed);
    json_text(json, "last_error", reloads->last_error);
    json_close(json, '}');
}

static void write_process(struct json_out *json, const struct admin *admin)
{
    static const char *const phases[] = {
        [FACTS_RUNNING] = "running", [FACTS_DRAINING] = "draining"};
    struct facts_process process;
    struct process_facts machine;
    admin->facts.process(admin->facts.arg, &process);
    process_read(admin->process, &machine);
    json_open(json, "process", '{');
    json_text(json, "version", BEARERD_VERSION);
    json_text(json, "libmicrohttpd", server_library_version());
    json_text(json, "libcurl", multi_library_version());
    json_text(json, "instance", process.instance);
    json_number(json, "pid", (uint64_t)machine.pid);
    json_text(json, "phase", phases[process.phase]);
    json_bool(json, "ready", health_is_ready(admin));
    json_signed(json, "started_at", process.started_at_s);
    json_number(json, "workers", process.workers);
    json_open(json, "listen", '[');
    for (size_t i = 0; i < process.listen->count; i++)
        json_text(json, NULL, process.listen->items[i]);
    json_close(json, ']');
    json_text(json, "log_level", log_level_name(log_level()));
    json_seconds(json, "cpu_s", (int64_t)(machine.cpu_us / 1000));
    json_number(json, "resident_bytes", machine.resident_bytes);
    json_number(json, "open_fds", machine.open_fds);
    json_number(json, "max_fds", machine.max_fds);
    json_close(json, '}');
    json_open(json, "config", '{');
    json_text(json, "path", admin->facts.config(admin->facts.arg)->path);
    json_signed(json, "loaded_at", process.reloads.done_at_s);
    write_reloads(json, &process.reloads);
    json_close(json, '}');
}

static void write_clients(struct json_out *json, const struct admin *admin)
{
    struct traffic_clients clients = {0};
    struct facts_process process;
    admin->facts.clients(admin->facts.arg, &clients);
    admin->facts.process(admin->facts.arg, &process);
    json_open(json, "clients", '{');
    json_number(json, "open", clients.open);
    json_number(json, "accepted", clients.accepted);
    json_number(json, "max", process.clients_max);
    json_close(json, '}');
}

static void write_failures(struct json_out *json, const struct admin *admin)
{
    json_open(json, "failures", '[');
    for (size_t i = 0; i < admin->failures.count; i++) {
        const struct failure *failure = &admin->failures.items[i];
        json_open(json, NULL, '{');
        json_text(json, "of", failure->is_token ? "token" : "upstream");
        json_text(json, failure->is_token ? "credential" : "upstream", failure->subject);
        if (failure->is_token || failure->part[0])
            json_text(json, failure->is_token ? "scope" : "route", failure->part);
        json_text(json, "kind", failure->kind);
        if (failure->is_token)
            json_text(json, "error", failure->error[0] ? failure->error : NULL);
        json_text(json, "cause", failure->cause);
        json_text(json, "remedy", failure->remedy);
        json_number(json, "count", failure->count);
        json_seconds(json, "first_at", failure->first_at_ms);
        json_seconds(json, "at", failure->at_ms);
        json_close(json, '}');
    }
    json_close(json, ']');
}

int status_write(const struct admin_call *call, struct buf *out)
{
    struct json_out json;
    json_out_init(&json, out);
    json_open(&json, NULL, '{');
    json_number(&json, "schema", SCHEMA);
    json_seconds(&json, "now", admin_utc_ms(admin_now_ms()));
    write_process(&json, call->admin);
    write_clients(&json, call->admin);
    status_write_tokens(&json, call->admin);
    status_write_traffic(&json, call->admin);
    write_failures(&json, call->admin);
    json_close(&json, '}');
    return json_end(&json) ? 200 : 0;
}
