// SPDX-License-Identifier: MIT
// /status.json: tokens, one for each slot, with their life on a line from fetch to end; and the
// store.
#include "admin/status.h"

static void write_when(struct json_out *json, const char *name, uint64_t boottime_ms)
{
    json_seconds(json, name, admin_utc_ms(boottime_ms));
}

static void write_token(struct json_out *json, const struct keeper_facts *facts)
{
    const struct token *token = facts->token;
    if (!token) {
        json_null(json, "token");
        return;
    }
    json_open(json, "token", '{');
    json_text(json, "fingerprint", token->fingerprint);
    json_number(json, "generation", token->generation);
    write_when(json, "fetched_at", token->fetched_ms);
    write_when(json, "renew_at", token->soft_ms);
    write_when(json, "unusable_at", facts->dead_ms);
    write_when(json, "expires_at", token->expires_ms);
    json_seconds(json, "fetch_s", (int64_t)(token->fetch_us / 1000));
    json_text(json, "granted_scope", token->granted_scope);
    json_bool(json, "in_use", facts->is_used);
    json_bool(json, "bound", token->binding != NULL);
    json_close(json, '}');
}

static void write_failure(struct json_out *json, const struct keeper_facts *facts)
{
    const struct token_failure *failure = facts->failure;
    if (!failure) {
        json_null(json, "failure");
        return;
    }
    json_open(json, "failure", '{');
    json_text(json, "kind", token_failure_name(failure->kind));
    json_text(json, "error", failure->error[0] ? failure->error : NULL);
    json_text(json, "cause", failure->text);
    if (failure->status)
        json_number(json, "status", (uint64_t)failure->status);
    else
        json_null(json, "status");
    write_when(json, "at", facts->failed_ms);
    write_when(json, "retry_at", failure->retry_at_ms);
    json_number(json, "in_a_row", facts->failed_count);
    json_close(json, '}');
}

static void write_counts(struct json_out *json, const struct keeper_stats *stats)
{
    json_open(json, "counts", '{');
    json_number(json, "requests", stats->fetches);
    json_number(json, "tokens", stats->tokens);
    json_number(json, "from_store", stats->stored);
    json_number(json, "renewals", stats->renewals);
    json_number(json, "failures", stats->failures);
    json_number(json, "refusals", stats->refusals);
    json_close(json, '}');
}

// Which routes use which slot, found in one pass: `first` has for each slot where its routes begin,
// and one place more for where the last one's end.
struct users {
    const struct config_route **routes;
    size_t *first;
};

static void users_find(struct users *users, const struct config *config)
{
    users->first = mem_array(config->slot_count + 2, sizeof *users->first);
    for (size_t i = 0; i < config->route_count; i++)
        for (size_t j = 0; j < config->routes[i]->slot_count; j++)
            users->first[config->routes[i]->slots[j]->index + 2]++;
    for (size_t i = 2; i < config->slot_count + 2; i++)
        users->first[i] += users->first[i - 1];
    // NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what it holds
    users->routes = mem_array(users->first[config->slot_count + 1], sizeof *users->routes);
    for (size_t i = 0; i < config->route_count; i++)
        for (size_t j = 0; j < config->routes[i]->slot_count; j++)
            users->routes[users->first[config->routes[i]->slots[j]->index + 1]++] =
                config->routes[i];
}

static void users_fini(struct users *users)
{
    mem_free(users->routes);
    mem_free(users->first);
}

static void write_routes(struct json_out *json, const struct users *users, size_t slot)
{
    json_open(json, "routes", '[');
    for (size_t i = users->first[slot]; i < users->first[slot + 1]; i++)
        json_text(json, NULL, users->routes[i]->name);
    json_close(json, ']');
}

static void write_hook(struct json_out *json, const struct keeper *keeper,
                       const struct config_credential *credential)
{
    struct hook_stats stats;
    if (!credential->on_token_update || !keeper_hook_stats(keeper, credential->name, &stats)) {
        json_null(json, "hook");
        return;
    }
    json_open(json, "hook", '{');
    json_number(json, "runs", stats.runs);
    json_number(json, "failures", stats.failures);
    json_number(json, "replaced", stats.replaced);
    json_close(json, '}');
}

static void write_identity(struct json_out *json, const struct config_slot *slot)
{
    static const char *const sources[] = {[SOURCE_OAUTH] = "oauth",
                                          [SOURCE_LOGIN] = "login",
                                          [SOURCE_EXEC] = "exec",
                                          [SOURCE_STATIC] = "static"};
    const struct config_credential *credential = slot->credential;
    json_text(json, "credential", credential->name);
    json_text(json, "scope", slot->scope);
    json_text(json, "audience", slot->audience);
    json_open(json, "resource", '[');
    for (size_t i = 0; i < slot->resource.count; i++)
        json_text(json, NULL, slot->resource.items[i]);
    json_close(json, ']');
    json_text(json, "details", slot->authorization_details);
    json_text(json, "source", sources[credential->source]);
    json_text(json, "header", credential->header);
    json_bool(json, "required", credential->required);
}

static void write_store(struct json_out *json, const struct keeper *keeper)
{
    struct store_stats stats;
    if (!keeper_store_stats(keeper, &stats)) {
        json_null(json, "store");
        return;
    }
    json_open(json, "store", '{');
    json_bool(json, "up", !stats.is_away);
    json_number(json, "loads", stats.loads);
    json_number(json, "puts", stats.puts);
    json_number(json, "errors", stats.errors);
    json_number(json, "unreadable", stats.unreadable);
    json_close(json, '}');
}

void status_write_tokens(struct json_out *json, const struct admin *admin)
{
    const struct facts *from = &admin->facts;
    const struct config *config = from->config(from->arg);
    const struct keeper *keeper = from->keeper(from->arg);
    uint64_t now_ms = admin_now_ms();
    struct users users;
    users_find(&users, config);
    json_open(json, "tokens", '[');
    for (size_t i = 0; i < config->slot_count; i++) {
        const struct config_slot *slot = config->slots[i];
        struct keeper_facts facts = keeper_facts(keeper, i);
        struct keeper_stats stats = keeper_stats(keeper, i);
        json_open(json, NULL, '{');
        write_identity(json, slot);
        json_text(json, "state", token_state_name(token_state_of(&facts, now_ms)));
        json_bool(json, "fetching", facts.is_fetching);
        json_number(json, "waiting", from->waiting(from->arg, i));
        write_token(json, &facts);
        write_failure(json, &facts);
        write_counts(json, &stats);
        write_hook(json, keeper, slot->credential);
        write_routes(json, &users, i);
        json_close(json, '}');
    }
    json_close(json, ']');
    users_fini(&users);
    write_store(json, keeper);
}
