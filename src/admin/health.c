// SPDX-License-Identifier: MIT
// Is it alive, has it started, is it ready? Ready means: it takes requests, and every credential
// that is required has a usable token for each of its sets of scopes. The body says what is
// missing, and why.
#include "admin/admin_private.h"

static int answer(struct buf *out, bool ok, const char *word)
{
    return buf_printf(out, "{\"status\":\"%s\"}\n", word) ? (ok ? 200 : 503) : 0;
}

static enum facts_phase phase_of(const struct admin *admin)
{
    struct facts_process process;
    admin->facts.process(admin->facts.arg, &process);
    return process.phase;
}

// That this is answered is all there is to say; one that drains lives.
int health_live(const struct admin_call *call, struct buf *out)
{
    (void)call;
    return answer(out, true, "alive");
}

// Likewise: the listener answers when all that is to be started is.
int health_started(const struct admin_call *call, struct buf *out)
{
    (void)call;
    return answer(out, true, "started");
}

static bool is_missing(const struct admin *admin, const struct config_slot *slot,
                       struct keeper_facts *out)
{
    if (!slot->credential->required)
        return false;
    *out = keeper_facts(admin->facts.keeper(admin->facts.arg), slot->index);
    return !out->token;
}

bool health_is_ready(const struct admin *admin)
{
    const struct config *config = admin->facts.config(admin->facts.arg);
    struct keeper_facts facts;
    for (size_t i = 0; i < config->slot_count; i++)
        if (is_missing(admin, config->slots[i], &facts))
            return false;
    return phase_of(admin) == FACTS_RUNNING;
}

static void write_missing(struct json_out *json, const struct config_slot *slot,
                          const struct keeper_facts *facts)
{
    uint64_t now_ms = admin_now_ms();
    const struct token_failure *failure = facts->failure;
    json_open(json, NULL, '{');
    json_text(json, "credential", slot->credential->name);
    json_text(json, "scope", slot->scope);
    json_text(json, "state", token_state_name(token_state_of(facts, now_ms)));
    json_text(json, "cause", failure ? failure->text : NULL);
    if (failure)
        json_seconds(json, "retry_in_s",
                     failure->retry_at_ms > now_ms ? (int64_t)(failure->retry_at_ms - now_ms) : 0);
    json_close(json, '}');
}

int health_ready(const struct admin_call *call, struct buf *out)
{
    static const char *const words[] = {
        [FACTS_RUNNING] = "not ready", [FACTS_DRAINING] = "draining"};
    const struct admin *admin = call->admin;
    const struct config *config = admin->facts.config(admin->facts.arg);
    if (health_is_ready(admin))
        return answer(out, true, "ready");
    struct json_out json;
    json_out_init(&json, out);
    json_open(&json, NULL, '{');
    json_text(&json, "status", words[phase_of(admin)]);
    json_open(&json, "missing", '[');
    for (size_t i = 0; i < config->slot_count; i++) {
        struct keeper_facts facts;
        if (is_missing(admin, config->slots[i], &facts))
            write_missing(&json, config->slots[i], &facts);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return json_end(&json) ? 503 : 0;
}
