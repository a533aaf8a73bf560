// SPDX-License-Identifier: MIT
// See keeper.h. Owns the slots: for each a source, the current token, the last failure and a timer.
// It refuses to know how a token is got (source.h) and who uses it (view.h). All of it is on the
// control thread, but for keeper_tell().
//
// A slot's state is what its fields say; slot_step() is called after every event and does what
// follows from them. Invariants: at most one fetch of a slot is under way; every KEEPER_WANT is
// followed by a publication of a token or a failure; a failure is published only when there is no
// usable token.
#include "token/keeper.h"

#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "http/fetch.h"
#include "token/pace.h"
#include "token/source.h"
#include "token/view.h"

#define NEVER TIMER_NEVER

struct keeper_slot {
    struct keeper *keeper;
    const struct config_slot *config;
    struct source *source;
    struct timer timer;            // when something falls due by itself
    struct token *token;           // NULL: none that can be used
    struct token_failure *failure; // of the last fetch; NULL: it was good, or there was none
    bool is_fetching;
    bool is_wanted;      // somebody waits for an answer
    bool is_used;        // since the last token came: worth renewing
    bool is_due;         // a request, not the timer, found it so; for the log
    const char *reason;  // of the fetch under way, for the log
    uint64_t started_us; // of the last fetch
    uint64_t floor_ms;   // no fetch before
    uint64_t generation; // of the last token
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1]; // likewise
    unsigned failed_count;                       // in a row
    struct list gets;
    struct keeper_stats stats;
};

struct keeper_view {
    struct view *view;
};

struct keeper_get {
    struct list link;
    void (*on_done)(void *arg, const struct token *token, const struct token_failure *failure);
    void *arg;
};

struct keeper {
    struct loop *loop;
    struct config *config;
    struct fetcher *fetcher;
    struct pace pace;
    unsigned refs;  // atomic: the owner's and one for each note on its way
    bool is_closed; // only notes still hold it
    struct keeper_view *views;
    size_t view_count;
    size_t slot_count;
    struct keeper_slot slots[];
};

// The clock itself, not the loop's: it is never behind a worker's, so what a view calls expired is
// expired here too.
static uint64_t now_ms(void)
{
    return clock_boottime_us() / 1000;
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
        mem_free(get);
    }
}

static void slot_publish(struct keeper_slot *slot, const struct token *token,
                         const struct token_failure *failure)
{
    struct keeper *keeper = slot->keeper;
    for (size_t i = 0; i < keeper->view_count; i++)
        view_publish(keeper->views[i].view, slot->config->index, token, failure);
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
    if (granted && (!scope_before || strcmp(granted, scope_before) != 0))
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
    uint64_t hold_off_ms = pace_hold_off_ms(&slot->keeper->pace, failure->kind, slot->failed_count,
                                            jitter(), retry_after_ms);
    struct token_failure *copy = token_failure_new(failure->kind, failure->text);
    copy->status = failure->status;
    memcpy(copy->error, failure->error, sizeof copy->error);
    copy->retry_at_ms = now_ms() + hold_off_ms;
    token_failure_unref(slot->failure);
    slot->failure = copy;
    if (slot->token && !token_is_usable(slot->token, now_ms())) {
        token_unref(slot->token);
        slot->token = NULL;
    }
    slot_log_failure(slot, hold_off_ms);
    if (!slot->token)
        slot_publish(slot, NULL, slot->failure);
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
    struct token *token = token_new(result->value, credential->header, credential->prefix);
    token_schedule(&times, &token->soft_ms, &token->hard_ms);
    token->expires_ms = times.sent_ms + times.lifetime_ms;
    token->fetched_ms = now_ms();
    token->fetch_us = clock_boottime_us() - slot->started_us;
    // A server that gives the same token again has not given a newer one.
    bool is_same = strcmp(token->fingerprint, slot->fingerprint) == 0;
    token->generation = slot->generation + !is_same;
    token->granted_scope = mem_strdup(result->granted_scope);
    return token;
}

static void slot_take_token(struct keeper_slot *slot, const struct source_result *result)
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
    slot->generation = token->generation;
    memcpy(slot->fingerprint, token->fingerprint, sizeof slot->fingerprint);
    slot->token = token;
    if (before && token_is_usable(before, token->fetched_ms))
        slot->stats.renewals++;
    slot_log_token(slot, before ? before->granted_scope : NULL);
    // Those who wait are going to use it; after a renewal, its first user tells.
    slot->is_used = slot->is_wanted;
    slot->is_due = false;
    slot->failed_count = 0;
    token_failure_unref(slot->failure);
    slot->failure = NULL;
    slot_publish(slot, token, NULL);
    token_unref(before);
}

static void slot_step(struct keeper_slot *slot);

static void on_fetched(void *arg, const struct source_result *result)
{
    struct keeper_slot *slot = arg;
    slot->is_fetching = false;
    if (result->failure)
        slot_take_failure(slot, result->failure, result->retry_after_ms);
    else
        slot_take_token(slot, result);
    slot_step(slot);
}

static void slot_fetch(struct keeper_slot *slot)
{
    slot->is_fetching = true;
    slot->stats.fetches++;
    slot->started_us = clock_boottime_us();
    slot->reason = !slot->token ? "cold" : slot->is_due ? "due" : "renewal";
    slot->source->ops->fetch(slot->source, on_fetched, slot);
}

// -- what follows from a slot's state ----------------------------------------------------------

static void slot_drop_expired(struct keeper_slot *slot, uint64_t now)
{
    if (!slot->token || token_is_usable(slot->token, now))
        return;
    token_unref(slot->token);
    slot->token = NULL;
    slot_publish(slot, NULL, NULL);
}

static uint64_t retry_at_ms(const struct keeper_slot *slot)
{
    return slot->failure ? slot->failure->retry_at_ms : 0;
}

// A refusal ends early when the secret it was about has changed. Those who were told to stay away
// are told that it is over.
static void slot_recheck(struct keeper_slot *slot, uint64_t now)
{
    const struct source_ops *ops = slot->source->ops;
    if (!slot->failure || slot->failure->kind != FAILURE_REFUSED || now >= retry_at_ms(slot) ||
        !ops->has_changed || !ops->has_changed(slot->source))
        return;
    struct token_failure *over = token_failure_new(FAILURE_REFUSED, slot->failure->text);
    over->status = slot->failure->status;
    memcpy(over->error, slot->failure->error, sizeof over->error);
    over->retry_at_ms = now;
    token_failure_unref(slot->failure);
    slot->failure = over;
    if (!slot->token)
        slot_publish(slot, NULL, over);
}

static uint64_t min_ms(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// The earliest moment at which a fetch is both wished for and allowed; NEVER if nobody wishes.
static uint64_t slot_fetch_at_ms(const struct keeper_slot *slot)
{
    uint64_t at = slot->is_wanted && !slot->token ? 0
                  : slot->token && slot->is_used  ? slot->token->soft_ms
                                                  : NEVER;
    if (at < slot->floor_ms)
        at = slot->floor_ms;
    return at < retry_at_ms(slot) ? retry_at_ms(slot) : at;
}

static void slot_arm(struct keeper_slot *slot, uint64_t now)
{
    uint64_t at = slot->is_fetching ? NEVER : slot_fetch_at_ms(slot);
    if (slot->token)
        at = min_ms(at, slot->token->hard_ms);
    if (slot->failure && slot->failure->kind == FAILURE_REFUSED && now < retry_at_ms(slot))
        at = min_ms(at, now + slot->keeper->pace.recheck_ms);
    if (at == NEVER)
        timer_disarm(&slot->timer);
    else
        timer_start(slot->keeper->loop, &slot->timer, at > now ? at - now : 0);
}

static void slot_step(struct keeper_slot *slot)
{
    uint64_t now = now_ms();
    slot_drop_expired(slot, now);
    if (slot->is_wanted && slot->token)
        slot_publish(slot, slot->token, NULL); // somebody asked while it was on its way
    else if (slot->is_wanted && !slot->is_fetching && now < retry_at_ms(slot))
        slot_publish(slot, NULL, slot->failure);
    if (!slot->is_fetching && now >= slot_fetch_at_ms(slot))
        slot_fetch(slot);
    slot_arm(slot, now);
}

static void on_slot_timer(struct timer *timer)
{
    struct keeper_slot *slot = CONTAINER_OF(timer, struct keeper_slot, timer);
    slot_recheck(slot, now_ms());
    slot_step(slot);
}

// -- notes -------------------------------------------------------------------------------------

struct note {
    struct keeper *keeper;
    size_t slot;
    enum keeper_note what;
};

static void keeper_unref(struct keeper *keeper)
{
    if (__atomic_sub_fetch(&keeper->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(keeper);
}

static void on_note(void *arg)
{
    struct note *note = arg;
    struct keeper *keeper = note->keeper;
    if (!keeper->is_closed) {
        struct keeper_slot *slot = &keeper->slots[note->slot];
        slot->is_wanted |= note->what == KEEPER_WANT;
        slot->is_used |= note->what != KEEPER_WANT;
        slot->is_due |= note->what == KEEPER_DUE;
        slot_step(slot);
    }
    mem_free(note);
    keeper_unref(keeper);
}

void keeper_tell(struct keeper *keeper, size_t slot, enum keeper_note what)
{
    struct note *note = mem_alloc(sizeof *note);
    *note = (struct note){.keeper = keeper, .slot = slot, .what = what};
    __atomic_add_fetch(&keeper->refs, 1, __ATOMIC_RELAXED);
    loop_post(keeper->loop, on_note, note);
}

void keeper_get(struct keeper *keeper, size_t slot,
                void (*on_done)(void *arg, const struct token *token,
                                const struct token_failure *failure),
                void *arg)
{
    struct keeper_get *get = mem_alloc(sizeof *get);
    *get = (struct keeper_get){.on_done = on_done, .arg = arg};
    list_append(&keeper->slots[slot].gets, &get->link);
    keeper_tell(keeper, slot, KEEPER_WANT);
}

struct keeper_stats keeper_stats(const struct keeper *keeper, size_t slot)
{
    return keeper->slots[slot].stats;
}

// -- views -------------------------------------------------------------------------------------

void keeper_attach(struct keeper *keeper, struct view *view)
{
    keeper->views = mem_realloc(keeper->views, (keeper->view_count + 1) * sizeof *keeper->views);
    keeper->views[keeper->view_count++].view = view;
    for (size_t i = 0; i < keeper->slot_count; i++)
        if (keeper->slots[i].token)
            view_publish(view, i, keeper->slots[i].token, NULL);
}

void keeper_detach(struct keeper *keeper, struct view *view)
{
    for (size_t i = 0; i < keeper->view_count; i++)
        if (keeper->views[i].view == view)
            keeper->views[i--] = keeper->views[--keeper->view_count];
}

// -- life --------------------------------------------------------------------------------------

struct keeper *keeper_new(struct loop *loop, struct config *config, struct err *err)
{
    return keeper_new_of(loop, config, &(struct keeper_parts){0}, err);
}

struct keeper *keeper_new_of(struct loop *loop, struct config *config,
                             const struct keeper_parts *parts, struct err *err)
{
    struct fetcher *fetcher = fetcher_new(loop, err);
    if (!fetcher)
        return NULL;
    size_t slot_count = config->slot_count;
    struct keeper *keeper = mem_alloc(sizeof *keeper + slot_count * sizeof keeper->slots[0]);
    keeper->loop = loop;
    keeper->config = config_ref(config);
    keeper->fetcher = fetcher;
    keeper->pace = parts->pace ? *parts->pace : pace_default;
    keeper->refs = 1;
    keeper->slot_count = slot_count;
    for (size_t i = 0; i < slot_count; i++) {
        struct keeper_slot *slot = &keeper->slots[i];
        slot->keeper = keeper;
        slot->config = config->slots[i];
        slot->source = (parts->source_new ? parts->source_new : source_oauth_new)(loop, fetcher,
                                                                                  config->slots[i]);
        timer_init(&slot->timer, on_slot_timer);
        list_init(&slot->gets);
    }
    return keeper;
}

static void slot_fini(struct keeper_slot *slot)
{
    struct list *link;
    timer_stop(slot->keeper->loop, &slot->timer);
    if (slot->is_fetching)
        slot->source->ops->cancel(slot->source);
    slot->source->ops->free(slot->source);
    while ((link = list_take_first(&slot->gets)))
        mem_free(CONTAINER_OF(link, struct keeper_get, link));
    token_unref(slot->token);
    token_failure_unref(slot->failure);
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    for (size_t i = 0; i < keeper->slot_count; i++)
        slot_fini(&keeper->slots[i]);
    fetcher_free(keeper->fetcher);
    config_unref(keeper->config);
    mem_free(keeper->views);
    keeper->is_closed = true;
    keeper_unref(keeper);
}
