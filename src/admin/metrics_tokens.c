// SPDX-License-Identifier: MIT
// /metrics of tokens, hooks and the store. A token's labels are its identity: credential and set of
// scopes, and where they are set its audience, resources and authorization details.
#include "admin/metrics.h"

#define LABELS       5 // those that a family adds come behind
#define RESOURCE_MAX ((size_t)16 * 1024)

struct slot_facts {
    const struct config_slot *slot;
    struct keeper_facts facts;
    struct keeper_stats stats;
    enum token_state state;
    uint64_t waiting;
    char *resource; // all of them; NULL: none
};

struct slots {
    struct slot_facts *items;
    size_t count;
    uint64_t now_ms;
};

static void slot_read(struct slot_facts *out, const struct admin *admin,
                      const struct config_slot *slot, uint64_t now_ms)
{
    const struct facts *facts = &admin->facts;
    const struct keeper *keeper = facts->keeper(facts->arg);
    struct buf resource;
    out->slot = slot;
    out->facts = keeper_facts(keeper, slot->index);
    out->stats = keeper_stats(keeper, slot->index);
    out->state = token_state_of(&out->facts, now_ms);
    out->waiting = facts->waiting(facts->arg, slot->index);
    buf_init(&resource, RESOURCE_MAX);
    bool fits = true;
    for (size_t i = 0; fits && i < slot->resource.count; i++)
        fits = buf_printf(&resource, "%s%s", i ? " " : "", slot->resource.items[i]);
    out->resource = resource.len ? buf_take(&resource) : NULL;
    buf_fini(&resource);
}

static void label_slot(struct exposition *exposition, const struct slot_facts *slot)
{
    exposition_label(exposition, 0, "credential", slot->slot->credential->name);
    exposition_label(exposition, 1, "scope", slot->slot->scope);
    exposition_label(exposition, 2, "audience", slot->slot->audience);
    exposition_label(exposition, 3, "resource", slot->resource);
    exposition_label(exposition, 4, "details", slot->slot->authorization_details);
}

// -- families ----------------------------------------------------------------------------------

static int64_t micro(uint64_t later_ms, uint64_t earlier_ms)
{
    return ((int64_t)later_ms - (int64_t)earlier_ms) * 1000;
}

static void write_requests(struct exposition *exposition, const struct slots *slots)
{
    exposition_family(exposition, "bearerd_token_requests_total", "counter",
                      "Tokens asked for, by what came of it; store: another process had one.");
    for (size_t i = 0; i < slots->count; i++) {
        const struct slot_facts *slot = &slots->items[i];
        label_slot(exposition, slot);
        exposition_label(exposition, LABELS, "result", "ok");
        exposition_number(exposition, slot->stats.tokens);
        exposition_label(exposition, LABELS, "result", "store");
        exposition_number(exposition, slot->stats.stored);
        for (unsigned kind = 0; kind < FAILURE_WAITED; kind++) {
            exposition_label(exposition, LABELS, "result",
                             token_failure_name((enum token_failure_kind)kind));
            exposition_number(exposition, slot->stats.failures_by_kind[kind]);
        }
    }
}

static void write_state(struct exposition *exposition, const struct slots *slots)
{
    exposition_family(exposition, "bearerd_token_state", "gauge",
                      "1 for the state that the token is in.");
    for (size_t i = 0; i < slots->count; i++)
        for (unsigned state = 0; state < TOKEN_STATES; state++) {
            label_slot(exposition, &slots->items[i]);
            exposition_label(exposition, LABELS, "state",
                             token_state_name((enum token_state)state));
            exposition_number(exposition, slots->items[i].state == state);
        }
}

static void write_times(struct exposition *exposition, const struct slots *slots)
{
    exposition_family(exposition, "bearerd_token_expires_in_seconds", "gauge",
                      "Until the token is not used any more; absent without one.");
    for (size_t i = 0; i < slots->count; i++)
        if (slots->items[i].facts.token) {
            label_slot(exposition, &slots->items[i]);
            exposition_seconds_us(exposition, micro(slots->items[i].facts.dead_ms, slots->now_ms));
        }
    exposition_family(exposition, "bearerd_token_age_seconds", "gauge",
                      "Since the token in use was fetched; absent without one.");
    for (size_t i = 0; i < slots->count; i++)
        if (slots->items[i].facts.token) {
            label_slot(exposition, &slots->items[i]);
            exposition_seconds_us(exposition,
                                  micro(slots->now_ms, slots->items[i].facts.token->fetched_ms));
        }
    exposition_family(exposition, "bearerd_token_fetch_seconds", "gauge",
                      "How long it took to fetch the token in use; absent without one.");
    for (size_t i = 0; i < slots->count; i++)
        if (slots->items[i].facts.token) {
            label_slot(exposition, &slots->items[i]);
            exposition_seconds_us(exposition, (int64_t)slots->items[i].facts.token->fetch_us);
        }
}

static uint64_t value_required(const struct slot_facts *slot)
{
    return slot->slot->credential->required;
}

static uint64_t value_waiting(const struct slot_facts *slot)
{
    return slot->waiting;
}

static uint64_t value_renewals(const struct slot_facts *slot)
{
    return slot->stats.renewals;
}

static uint64_t value_refusals(const struct slot_facts *slot)
{
    return slot->stats.refusals;
}

static uint64_t value_failed_count(const struct slot_facts *slot)
{
    return slot->facts.failed_count;
}

static uint64_t value_narrowed(const struct slot_facts *slot)
{
    return slot->facts.token && slot->facts.token->granted_scope;
}

static const struct {
    const char *name, *kind, *help;
    uint64_t (*value)(const struct slot_facts *slot);
} numbers[] = {
    {"bearerd_token_required", "gauge", "Whether bearerd is ready only with this token.",
     value_required},
    {"bearerd_token_waiters", "gauge", "Requests that wait for this token.", value_waiting},
    {"bearerd_token_renewals_total", "counter",
     "Tokens that came while the one before could still be used.", value_renewals},
    {"bearerd_token_refusals_total", "counter",
     "Reports that an upstream refused this token (401).", value_refusals},
    {"bearerd_token_failures_in_a_row", "gauge", "Fetches that failed since the last that did not.",
     value_failed_count},
    {"bearerd_token_scope_differs", "gauge",
     "Whether the authorization server granted other scopes than asked for.", value_narrowed},
};

static void write_numbers(struct exposition *exposition, const struct slots *slots)
{
    for (size_t family = 0; family < ARRAY_LEN(numbers); family++) {
        exposition_family(exposition, numbers[family].name, numbers[family].kind,
                          numbers[family].help);
        for (size_t i = 0; i < slots->count; i++) {
            label_slot(exposition, &slots->items[i]);
            exposition_number(exposition, numbers[family].value(&slots->items[i]));
        }
    }
    exposition_family(exposition, "bearerd_token_retry_in_seconds", "gauge",
                      "Until the authorization server is asked again after a failure; 0 when "
                      "nothing is held off.");
    for (size_t i = 0; i < slots->count; i++) {
        const struct token_failure *failure = slots->items[i].facts.failure;
        bool is_held_off = failure && failure->retry_at_ms > slots->now_ms;
        label_slot(exposition, &slots->items[i]);
        exposition_seconds_us(exposition,
                              is_held_off ? micro(failure->retry_at_ms, slots->now_ms) : 0);
    }
}

// -- hooks and store ---------------------------------------------------------------------------

static uint64_t value_runs(const struct hook_stats *stats)
{
    return stats->runs;
}

static uint64_t value_failures(const struct hook_stats *stats)
{
    return stats->failures;
}

static uint64_t value_replaced(const struct hook_stats *stats)
{
    return stats->replaced;
}

static const struct {
    const char *name, *help;
    uint64_t (*value)(const struct hook_stats *stats);
} hook_numbers[] = {
    {"bearerd_hook_runs_total", "Runs of on_token_update.", value_runs},
    {"bearerd_hook_failures_total", "Runs of on_token_update that failed.", value_failures},
    {"bearerd_hook_replaced_total",
     "Tokens that on_token_update was not run for, because a newer "
     "one came before it was its turn.",
     value_replaced},
};

static void write_hooks(struct exposition *exposition, const struct config *config,
                        const struct keeper *keeper)
{
    for (size_t family = 0; family < ARRAY_LEN(hook_numbers); family++) {
        exposition_family(exposition, hook_numbers[family].name, "counter",
                          hook_numbers[family].help);
        for (size_t i = 0; i < config->credential_count; i++) {
            struct hook_stats stats;
            if (!config->credentials[i]->on_token_update ||
                !keeper_hook_stats(keeper, config->credentials[i]->name, &stats))
                continue;
            exposition_label(exposition, 0, "credential", config->credentials[i]->name);
            exposition_number(exposition, hook_numbers[family].value(&stats));
        }
    }
}

static void write_store(struct exposition *exposition, const struct keeper *keeper)
{
    struct store_stats stats;
    if (!keeper_store_stats(keeper, &stats))
        return;
    exposition_family(exposition, "bearerd_store_up", "gauge", "Whether the store can be reached.");
    exposition_number(exposition, !stats.is_away);
    exposition_family(
        exposition, "bearerd_store_operations_total", "counter",
        "What was done with the store; unreadable: entries that were damaged, foreign "
        "or sealed with another key.");
    const struct {
        const char *name;
        uint64_t value;
    } operations[] = {{"load", stats.loads},
                      {"put", stats.puts},
                      {"error", stats.errors},
                      {"unreadable", stats.unreadable}};
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        exposition_label(exposition, 0, "operation", operations[i].name);
        exposition_number(exposition, operations[i].value);
    }
}

void metrics_write_tokens(struct exposition *exposition, const struct admin *admin)
{
    const struct config *config = admin->facts.config(admin->facts.arg);
    const struct keeper *keeper = admin->facts.keeper(admin->facts.arg);
    struct slots slots = {.count = config->slot_count, .now_ms = admin_now_ms()};
    slots.items = mem_array(slots.count, sizeof *slots.items);
    for (size_t i = 0; i < slots.count; i++)
        slot_read(&slots.items[i], admin, config->slots[i], slots.now_ms);
    write_requests(exposition, &slots);
    write_state(exposition, &slots);
    write_times(exposition, &slots);
    write_numbers(exposition, &slots);
    write_hooks(exposition, config, keeper);
    write_store(exposition, keeper);
    for (size_t i = 0; i < slots.count; i++)
        mem_free(slots.items[i].resource);
    mem_free(slots.items);
}
