// SPDX-License-Identifier: MIT
// A source whose fetches end when and how the test says, a configuration made by hand, and two
// loops' worth of patience: what the tests of the keeper and of views share.
#ifndef SUPPORT_FAKE_SOURCE_H
#define SUPPORT_FAKE_SOURCE_H

#include <stdio.h>
#include <string.h>

#include "token/keeper.h"
#include "token/pace.h"
#include "token/source.h"
#include "token/view.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))
#define FAKE_SLOTS    2

struct fake_source {
    struct source source;
    source_done_fn *done; // NULL: no fetch is under way
    void *arg;
    uint64_t sent_ms;
    unsigned fetches, cancels;
    bool has_changed;
};

static struct fake_source fakes[FAKE_SLOTS];

static void fake_fetch(struct source *source, source_done_fn *done, void *arg)
{
    struct fake_source *fake = CONTAINER_OF(source, struct fake_source, source);
    assert_null(fake->done); // T07: never two at once
    fake->done = done;
    fake->arg = arg;
    fake->fetches++;
    fake->sent_ms = clock_boottime_us() / 1000;
}

static void fake_cancel(struct source *source)
{
    struct fake_source *fake = CONTAINER_OF(source, struct fake_source, source);
    fake->done = NULL;
    fake->cancels++;
}

static bool fake_has_changed(struct source *source)
{
    return CONTAINER_OF(source, struct fake_source, source)->has_changed;
}

static void fake_free(struct source *source)
{
    (void)source;
}

static const struct source_ops fake_ops = {
    .fetch = fake_fetch, .cancel = fake_cancel, .has_changed = fake_has_changed, .free = fake_free};

static struct source *fake_new(struct loop *loop, struct fetcher *fetcher,
                               const struct config_slot *slot)
{
    (void)loop;
    (void)fetcher;
    fakes[slot->index] = (struct fake_source){.source.ops = &fake_ops};
    return &fakes[slot->index].source;
}

static void fake_end(size_t slot, const struct source_result *result)
{
    struct fake_source *fake = &fakes[slot];
    source_done_fn *done = fake->done;
    assert_non_null(done);
    fake->done = NULL;
    struct source_result copy = *result;
    copy.sent_ms = fake->sent_ms;
    done(fake->arg, &copy);
}

static void fake_succeed(size_t slot, const char *value, uint64_t lifetime_ms)
{
    fake_end(slot, &(struct source_result){.value = str_of(value), .lifetime_ms = lifetime_ms});
}

static void fake_fail(size_t slot, enum token_failure_kind kind, const char *text,
                      uint64_t retry_after_ms)
{
    struct token_failure *failure = token_failure_new(kind, text);
    snprintf(failure->error, sizeof failure->error, "%s", "some_error");
    fake_end(slot, &(struct source_result){.failure = failure, .retry_after_ms = retry_after_ms});
    token_failure_unref(failure);
}

// -- configuration -----------------------------------------------------------------------------

static struct config_credential fake_credential = {.name = TEXT("main"),
                                                   .header = TEXT("Authorization"),
                                                   .prefix = TEXT("Bearer"),
                                                   .default_ttl_ms = 300,
                                                   .clock_skew_ms = 0,
                                                   .refresh_before_ms = 100000};
static struct config_slot fake_slots[FAKE_SLOTS] = {
    {.index = 0, .credential = &fake_credential, .scope = TEXT("a b")},
    {.index = 1, .credential = &fake_credential, .scope = TEXT("")},
};
static struct config_slot *fake_slot_list[FAKE_SLOTS] = {&fake_slots[0], &fake_slots[1]};
static struct config fake_config = {.refs = 1,
                                    .slots = fake_slot_list,
                                    .slot_count = FAKE_SLOTS}; // this reference is never given back

// Numbers small enough to wait for.
static struct pace fake_pace = {.floor_min_ms = 1,
                                .floor_max_ms = 1000,
                                .backoff_min_ms = 40,
                                .backoff_max_ms = 160,
                                .refused_min_ms = 1000,
                                .refused_max_ms = 1000,
                                .local_max_ms = 40,
                                .recheck_ms = 20};
static const struct keeper_parts fake_parts = {.source_new = fake_new, .pace = &fake_pace};

// -- waiting -----------------------------------------------------------------------------------

struct fake_waiter {
    struct view_waiter waiter;
    unsigned calls;
    char value[32]; // of the token, when it was one
    enum token_failure_kind kind;
    char text[64]; // of the failure, when it was one
};

static void on_fake_token(struct view_waiter *waiter, const struct token *token,
                          const struct token_failure *failure)
{
    struct fake_waiter *fake = CONTAINER_OF(waiter, struct fake_waiter, waiter);
    assert_true((token == NULL) != (failure == NULL));
    fake->calls++;
    fake->value[0] = fake->text[0] = '\0';
    if (token)
        snprintf(fake->value, sizeof fake->value, "%.*s", STR_ARG(token->value));
    if (failure) {
        fake->kind = failure->kind;
        snprintf(fake->text, sizeof fake->text, "%s", failure->text);
    }
}

// Two turns of each loop: a note to the keeper and its answer, or the other way round.
static inline void settle(struct loop *loop, struct loop *other)
{
    for (int i = 0; i < 2; i++) {
        loop_turn(loop, 0);
        loop_turn(other, 0);
    }
    loop_turn(loop, 0);
}

#endif
