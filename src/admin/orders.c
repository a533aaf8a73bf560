// SPDX-License-Identifier: MIT
// What operators can tell a running bearerd to do. Each order leaves a line in the log.
#include <inttypes.h>
#include <stdio.h>

#include "admin/admin_private.h"
#include "base/log.h"

static void log_order(const struct admin_call *call, const char *what, const char *result)
{
    char who[24] = "-"; // over TCP: whoever has the key
    if (call->uid >= 0)
        snprintf(who, sizeof who, "%" PRId64, call->uid);
    log_info("admin.order", F_TEXT("what", what), F_TEXT("result", result), F_TEXT("uid", who));
}

static int not_supported(struct buf *out)
{
    return admin_problem(out, 501, "not-supported", "This is not supported",
                         "this bearerd cannot do that while it runs");
}

int order_reload(const struct admin_call *call, struct buf *out)
{
    const struct facts *facts = &call->admin->facts;
    struct buf said;
    if (!facts->reload)
        return not_supported(out);
    buf_init(&said, (size_t)64 * 1024);
    bool ok = facts->reload(facts->arg, &said);
    log_order(call, "reload", ok ? "done" : "failed");
    char *text = buf_take(&said);
    int status =
        ok ? buf_printf(out, "{\"status\":\"reloaded\"}\n") ? 200 : 0
           : admin_problem(out, 500, "reload-failed",
                           "The configuration was not loaded; the old one is in force", text);
    mem_free(text);
    return status;
}

int order_drain(const struct admin_call *call, struct buf *out)
{
    const struct facts *facts = &call->admin->facts;
    if (!facts->drain)
        return not_supported(out);
    log_order(call, "drain", "begun");
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
        log_order(call, "log-level", log_level_name(level));
    log_set_level(level);
    if (level <= LOG_INFO)
        log_order(call, "log-level", log_level_name(level));
    return buf_printf(out, "{\"level\":\"%s\"}\n", log_level_name(level)) ? 200 : 0;
}
