// SPDX-License-Identifier: MIT
// One slot of the keeper. Its state is what its fields say; slot_step() is called after every event
// and does what follows from them. Invariants: at most one fetch of a slot is under way; every
// KEEPER_WANT is followed by a publication of a token or a failure; a failure is published only
// when there is no usable token; a refusal (401) is followed by a publication of whatever token
// there is then.
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "token/jose.h"
#include "token/keeper_private.h"

#define NEVER TIMER_NEVER

uint64_t keeper_now_ms(void)
{
    return clock_boottime_us() / 1000;
}

static uint64_t min_ms(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static double jitter(void)
{
    uint32_t bits = 0;
    // Without entropy there is no spreading, and no harm.
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = 0;
    return bits / 4294967296.0;
}

// -- publishing --------------------------------------------------------------------------------

static void slot_answer_gets(struct keeper_slot *slot, const struct token *token,
                             const struct token_failure *failure)
{
    struct list batch, *link;
    list_move_all(&slot->gets, &batch);
    while ((link = list_take_first(&batch))) {
        struct keeper_get *get = CONTAINER_OF(link, struct keeper_get, link);
        get->on_done(get->arg, token, failure);
        keeper_set_unref(get->set);
        mem_free(get);
    }
}

void slot_publish(struct keeper_slot *slot, const struct token *token,
                  const struct token_failure *failure)
{
    for (struct list *link = slot->places.next; link != &slot->places; link = link->next) {
        const struct keeper_place *place = CONTAINER_OF(link, struct keeper_place, link);
        const struct keeper_set *set = place->set;
        for (size_t i = 0; i < set->view_count; i++)
            view_publish(set->views[i], (size_t)(place - set->places), token, failure);
    }
    if (!token && !failure)
        return;
    slot->is_wanted = false;
    slot_answer_gets(slot, token, failure);
}

// -- events of a fetch -------------------------------------------------------------------------

static void slot_log_failure(const struct keeper_slot *slot, uint64_t hold_off_ms)
{
    const struct token_failure *failure = slot->failure;
    log_warn("token.failed", F_TEXT("credential", slot->config->credential->name),
             F_TEXT("scope", slot->config->scope),
             F_TEXT("kind", token_failure_name(failure->kind)), F_TEXT("error", failure->error),
             F_TEXT("text", failure->text), F_NUM("retry_in_ms", hold_off_ms),
             F_TEXT("current", slot->token ? "still valid" : "none"));
}

static void slot_log_token(const struct keeper_slot *slot, const char *scope_before)
{
    const struct token *token = slot->token;
    const char *name = slot->config->credential->name;
    log_info("token.fetched", F_TEXT("credential", name), F_TEXT("scope", slot->config->scope),
             F_TEXT("fingerprint", token->fingerprint),
             F_NUM("lifetime_s", (token->expires_ms - token->fetched_ms + 500) / 1000),
             F_NUM("took_ms", token->fetch_us / 1000), F_TEXT("reason", slot->reason));
    const char *granted = token->granted_scope;
    bool is_accepted = slot->config->credential->granted_scopes == GRANTED_ACCEPT;
    if (granted && !is_accepted && (!scope_before || strcmp(granted, scope_before) != 0))
        log_warn("token.scope", F_TEXT("credential", name), F_TEXT("asked", slot->config->scope),
                 F_TEXT("granted", granted));
    if (slot->failed_count)
        log_info("token.recovered", F_TEXT("credential", name),
                 F_TEXT("scope", slot->config->scope), F_NUM("failures", slot->failed_count));
}

static void slot_take_failure(struct keeper_slot *slot, const struct token_failure *failure,
                              uint64_t retry_after_ms)
{
    slot->failed_count++;
    slot->stats.failures++;
    slot->stats.failures_by_kind[failure->kind]++;
    slot->failed_ms = keeper_now_ms();
    uint64_t hold_off_ms = pace_hold_off_ms(&slot->keeper->pace, failure->kind, slot->failed_count,
                                            jitter(), retry_after_ms);
    struct token_failure *copy = token_failure_new(failure->kind, failure->text);
    copy->status = failure->status;
    memcpy(copy->error, failure->error, sizeof copy->error);
    copy->retry_at_ms = keeper_now_ms() + hold_off_ms;
    token_failure_unref(slot->failure);
    slot->failure = copy;
    if (slot->token && !token_is_usable(slot->token, keeper_now_ms())) {
        token_unref(slot->token);
        slot->token = NULL;
    }
    slot_log_failure(slot, hold_off_ms);
    if (slot->keeper->on_failure)
        slot->keeper->on_failure(slot->keeper->listener, slot->config, slot->failure);
    slot_tell_store(slot, NULL);
    if (!slot->token)
        slot_publish(slot, NULL, slot->failure);
    else if (slot->is_refused)
        slot_publish(slot, slot->token, NULL); // there is none newer
    slot->is_refused = false;
}

static struct token *slot_make_token(const struct keeper_slot *slot,
                                     const struct source_result *result)
{
    const struct config_credential *credential = slot->config->credential;
    struct token_times times = {.sent_ms = result->sent_ms,
                                .lifetime_ms = result->lifetime_ms ? result->lifetime_ms
                                                                   : credential->default_ttl_ms,
                                .clock_skew_ms = credential->clock_skew_ms,
                                .refresh_before_ms = credential->refresh_before_ms,
                                .jitter = jitter()};
    // RFC 9449 7.1: a bound token has a scheme of its own.
    struct token *token =
        token_new(result->value, credential->header, result->binding ? "DPoP" : credential->prefix);
    token_schedule(&times, &token->soft_ms, &token->hard_ms);
    token->sent_ms = times.sent_ms;
    token->expires_ms = times.sent_ms + times.lifetime_ms;
    token->fetched_ms = keeper_now_ms();
    token->fetch_us = clock_boottime_us() - slot->started_us;
    // A server that gives the same token again has not given a newer one.
    bool is_same = strcmp(token->fingerprint, slot->fingerprint) == 0;
    token->generation = slot->generation + !is_same;
    token->granted_scope = mem_strdup(result->granted_scope);
    token->binding = result->binding ? jose_key_ref(result->binding) : NULL;
    token->idle_ttl_ms = credential->idle_ttl_ms;
    return token;
}

// What is in the store has been told of: one that should be, and is not here, is not put there.
static bool is_for_store(const struct keeper_slot *slot, const struct source_result *result)
{
    return !result->is_configured &&
           (slot->keeper->hooks || !slot->config->credential->on_token_update);
}

// What could not be read says nothing.
static void slot_note_identity(struct keeper_slot *slot)
{
    if (slot->asked[0])
        memcpy(slot->identity, slot->asked, sizeof slot->identity);
}

static void slot_take_token(struct keeper_slot *slot, const struct source_result *result,
                            bool is_stored)
{
    struct token *token = slot_make_token(slot, result), *before = slot->token;
    slot->floor_ms = slot->started_us / 1000 +
                     pace_floor_ms(&slot->keeper->pace, token->expires_ms - result->sent_ms);
    if (!token_is_usable(token, token->fetched_ms)) {
        token_unref(token);
        struct token_failure *late =
            token_failure_new(FAILURE_TIMEOUT, "the access token had expired when it arrived");
        slot_take_failure(slot, late, 0);
        token_failure_unref(late);
        return;
    }
    bool is_new = token->generation != slot->generation;
    slot->generation = token->generation;
    memcpy(slot->fingerprint, token->fingerprint, sizeof slot->fingerprint);
    slot->token = token;
    slot_note_identity(slot);
    if (before && token_is_usable(before, token->fetched_ms))
        slot->stats.renewals++;
    slot->stats.stored += is_stored;
    slot->stats.tokens += !is_stored;
    slot_log_token(slot, before ? before->granted_scope : NULL);
    // Those who wait are going to use it; after a renewal, its first user tells.
    slot->is_used = slot->is_wanted;
    slot->used_ms = token->fetched_ms;
    slot->is_due = slot->is_refused = false;
    slot->failed_count = 0;
    token_failure_unref(slot->failure);
    slot->failure = NULL;
    slot_publish(slot, token, NULL);
    if (!is_stored)
        slot_tell_store(slot, is_for_store(slot, result) ? token : NULL);
    // Who fetched it tells of it: not again for one that came from the store, or is told by the
    // configuration.
    if (is_new && !is_stored && !result->is_configured && slot->keeper->hooks)
        hooks_run(slot->keeper->hooks, slot->id, slot->config, token);
    token_unref(before);
}

void slot_take_result(struct keeper_slot *slot, const struct source_result *result, bool is_stored)
{
    slot->is_fetching = false;
    if (result->failure)
        slot_take_failure(slot, result->failure, result->retry_after_ms);
    else
        slot_take_token(slot, result, is_stored);
    slot_step(slot);
}

static void on_fetched(void *arg, const struct source_result *result)
{
    slot_take_result(arg, result, false);
}

void slot_ask_source(struct keeper_slot *slot)
{
    slot->stats.fetches++;
    slot->started_us = clock_boottime_us();
    slot->source->ops->fetch(slot->source, on_fetched, slot);
}

static void slot_fetch(struct keeper_slot *slot)
{
    slot->is_fetching = true;
    slot->started_us = clock_boottime_us();
    slot_identify(slot->config, slot->asked);
    if (!slot->token)
        slot_note_identity(slot);
    slot->reason = !slot->token       ? "cold"
                   : slot->is_refused ? "refused"
                   : slot->is_due     ? "due"
                                      : "renewal";
    if (slot->keeper->store)
        slot_ask_store(slot);
    else
        slot_ask_source(slot);
}

// -- what follows from a slot's state ----------------------------------------------------------

// When the token dies: by its age, or because nobody used it. Reports of use come every quarter of
// the idle lifetime, so an eighth of it is kept as a margin.
uint64_t slot_death_ms(const struct keeper_slot *slot)
{
    const struct token *token = slot->token;
    uint64_t idle_ms = token->idle_ttl_ms - token->idle_ttl_ms / 8;
    return idle_ms ? min_ms(token->hard_ms, slot->used_ms + idle_ms) : token->hard_ms;
}

static void slot_drop_expired(struct keeper_slot *slot, uint64_t now)
{
    if (!slot->token || now < slot_death_ms(slot))
        return;
    token_unref(slot->token);
    slot->token = NULL;
    slot_publish(slot, NULL, NULL);
}

static uint64_t retry_at_ms(const struct keeper_slot *slot)
{
    return slot->failure ? slot->failure->retry_at_ms : 0;
}

// Those who were told to stay away are told that it is over.
void slot_end_hold_off(struct keeper_slot *slot)
{
    struct token_failure *over = token_failure_new(FAILURE_REFUSED, slot->failure->text);
    over->status = slot->failure->status;
    memcpy(over->error, slot->failure->error, sizeof over->error);
    over->retry_at_ms = keeper_now_ms();
    token_failure_unref(slot->failure);
    slot->failure = over;
    if (!slot->token)
        slot_publish(slot, NULL, over);
}

bool slot_is_held_off(const struct keeper_slot *slot)
{
    return slot->failure && slot->failure->kind == FAILURE_REFUSED &&
           keeper_now_ms() < slot->failure->retry_at_ms;
}

// A refusal ends early when the secret it was about has changed.
static void slot_recheck(struct keeper_slot *slot)
{
    const struct source_ops *ops = slot->source->ops;
    if (slot_is_held_off(slot) && ops->has_changed && ops->has_changed(slot->source))
        slot_end_hold_off(slot);
}

// The earliest moment at which a fetch is both wished for and allowed; NEVER if nobody wishes.
static uint64_t slot_fetch_at_ms(const struct keeper_slot *slot)
{
    bool is_kept = slot->is_kept && !slot->is_retired;
    bool is_worth_renewing = slot->token && (slot->is_used || is_kept) && !slot->is_retired;
    uint64_t at = (slot->is_wanted || is_kept) && !slot->token ? 0
                  : is_worth_renewing                          ? slot->token->soft_ms
                                                               : NEVER;
    if (at < slot->floor_ms)
        at = slot->floor_ms;
    if (slot->is_refused) // has a pace of its own
        at = 0;
    return at < retry_at_ms(slot) ? retry_at_ms(slot) : at;
}

static void slot_arm(struct keeper_slot *slot, uint64_t now)
{
    uint64_t at = slot->is_fetching ? NEVER : slot_fetch_at_ms(slot);
    if (slot->token)
        at = min_ms(at, slot_death_ms(slot));
    if (slot->failure && slot->failure->kind == FAILURE_REFUSED && now < retry_at_ms(slot))
        at = min_ms(at, now + slot->keeper->pace.recheck_ms);
    if (at == NEVER)
        timer_disarm(&slot->timer);
    else
        timer_start(slot->keeper->loop, &slot->timer, at > now ? at - now : 0);
}

void slot_step(struct keeper_slot *slot)
{
    uint64_t now = keeper_now_ms();
    slot_drop_expired(slot, now);
    if (slot->is_wanted && slot->token && !slot->is_refused)
        slot_publish(slot, slot->token, NULL); // somebody asked while it was on its way
    else if (slot->is_wanted && !slot->is_fetching && now < retry_at_ms(slot))
        slot_publish(slot, NULL, slot->failure);
    if (!slot->is_fetching && now >= slot_fetch_at_ms(slot))
        slot_fetch(slot);
    slot_arm(slot, now);
}

// An upstream refused the token. The first refusal is worth a token request. That the fresh token
// is refused as well says that the fault is not the token's: then such requests are made ever more
// seldom, until a while passes without a refusal.
static bool slot_may_ask_again(struct keeper_slot *slot, uint64_t now)
{
    const struct pace *pace = &slot->keeper->pace;
    uint64_t ago_ms = now - slot->refused_ms;
    if (ago_ms > 2 * pace->refused_max_ms)
        slot->refused_count = 0;
    if (slot->refused_count && ago_ms < pace_refused_ms(pace, slot->refused_count))
        return false;
    slot->refused_count++;
    slot->refused_ms = now;
    return true;
}

void slot_be_refused(struct keeper_slot *slot, uint64_t generation)
{
    slot->stats.refusals++;
    if (!slot->token) {
        slot->is_wanted = true;
    } else if (slot->token->generation > generation || keeper_now_ms() < retry_at_ms(slot)) {
        slot_publish(slot, slot->token, NULL); // it is there already, or cannot be had for now
    } else if (slot->is_fetching || slot_may_ask_again(slot, keeper_now_ms())) {
        slot->is_refused = true;
    } else {
        log_warn("token.refused_again", F_TEXT("credential", slot->config->credential->name),
                 F_TEXT("scope", slot->config->scope),
                 F_TEXT("fingerprint", slot->token->fingerprint));
        slot_publish(slot, slot->token, NULL);
    }
    slot_step(slot);
}

static void on_slot_timer(struct timer *timer)
{
    struct keeper_slot *slot = CONTAINER_OF(timer, struct keeper_slot, timer);
    slot_recheck(slot);
    slot_step(slot);
}

void slot_init(struct keeper_slot *slot)
{
    timer_init(&slot->timer, on_slot_timer);
    list_init(&slot->gets);
}

void slot_fini(struct keeper_slot *slot)
{
    struct list *link;
    timer_stop(slot->keeper->loop, &slot->timer);
    if (slot->is_fetching && slot->lease != LEASE_ASKED)
        slot->source->ops->cancel(slot->source);
    slot_leave_store(slot);
    slot->source->ops->free(slot->source);
    while ((link = list_take_first(&slot->gets))) {
        struct keeper_get *get = CONTAINER_OF(link, struct keeper_get, link);
        keeper_set_unref(get->set);
        mem_free(get);
    }
    token_unref(slot->token);
    token_failure_unref(slot->failure);
}
