// SPDX-License-Identifier: MIT
// What operators can tell a running bearerd to do. Each order leaves a line in the log.
#include <inttypes.h>
#include <stdio.h>

#include "admin/admin_private.h"
#include "base/log.h"

static void log_order(const struct visit *visit, const char *what, const char *result)
{
    char who[24] = "-"; // over TCP: whoever has the key
    if (visit->uid >= 0)
        snprintf(who, sizeof who, "%" PRId64, visit->uid);
    log_info("admin.order", F_TEXT("what", what), F_TEXT("result", result), F_TEXT("uid", who));
}

static int not_supported(struct buf *out)
{
    return admin_problem(out, 501, "not-supported", "This is not supported",
                         "this bearerd cannot do that while it runs");
}

static void write_faults(struct buf *out, const struct config_faults *faults)
{
    bool fits = true;
    for (size_t i = 0; fits && i < faults->count; i++) {
        const struct config_fault *fault = &faults->items[i];
        fits = fault->line
                   ? buf_printf(out, "%s:%u: %s\n", fault->file, fault->line, fault->message)
                   : buf_printf(out, "%s: %s\n", fault->file, fault->message);
    }
}

static void on_reloaded(struct facts_order *order, const struct config_faults *faults)
{
    struct visit *visit = CONTAINER_OF(order, struct visit, order);
    log_order(visit, "reload", faults->count ? "refused" : "done");
    if (!faults->count) {
        visit_finish(visit, buf_printf(&visit->body, "{\"status\":\"reloaded\"}\n") ? 200 : 0);
        return;
    }
    struct buf text;
    buf_init(&text, (size_t)256 * 1024);
    write_faults(&text, faults);
    char *detail = buf_take(&text);
    visit_finish(visit, admin_problem(&visit->body, 500, "reload-refused",
                                      "The configuration was refused; the one before is in force",
                                      detail));
    mem_free(detail);
}

int order_reload(const struct admin_call *call, struct buf *out)
{
    const struct facts *facts = &call->admin->facts;
    if (!facts->reload)
        return not_supported(out);
    struct facts_process process;
    facts->process(facts->arg, &process);
    if (process.phase != FACTS_RUNNING)
        return admin_problem(out, 503, "draining", "The process is about to end",
                             "a reload would come too late");
    call->visit->order.on_done = on_reloaded;
    facts->reload(facts->arg, &call->visit->order);
    return PAGE_LATER;
}

int order_drain(const struct admin_call *call, struct buf *out)
{
    const struct facts *facts = &call->admin->facts;
    if (!facts->drain)
        return not_supported(out);
    log_order(call->visit, "drain", "begun");
    facts->drain(facts->arg);
    return buf_printf(out, "{\"status\":\"draining\"}\n") ? 202 : 0;
}

static struct str query_value(struct str query, struct str name)
{
    struct str pair, key;
    while (str_split(&query, '&', &pair))
        if (str_split(&pair, '=', &key) && str_eq(key, name))
            return pair;
    return STR_NONE;
}

int order_log_level(const struct admin_call *call, struct buf *out)
{
    enum log_level level;
    if (!log_level_parse(query_value(call->query, STR("level")), &level))
        return admin_problem(out, 400, "bad-parameter", "A parameter is missing or not known",
                             "level must be debug, info, warn or error, as in "
                             "/log-level?level=debug");
    if (level > LOG_INFO) // while that line is still written
        log_order(call->visit, "log-level", log_level_name(level));
    log_set_level(level);
    if (level <= LOG_INFO)
        log_order(call->visit, "log-level", log_level_name(level));
    return buf_printf(out, "{\"level\":\"%s\"}\n", log_level_name(level)) ? 200 : 0;
}
