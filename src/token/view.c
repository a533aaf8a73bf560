// SPDX-License-Identifier: MIT
// See view.h. Owns one worker's entries and waiters; refuses to know how tokens are got.
// Invariants: hard_ms is 0 without a token, so that one comparison tells hit from miss; a waiter is
// on exactly one list, its entry's (the keeper was asked) or the view's (it is answered at the end
// of the turn).
//
//   hit:   view_get ── entry ── token
//   miss:  view_wait ── KEEPER_WANT ──> keeper ── view_publish ──post──> view_take ── on_token
#include "token/view.h"

#include <assert.h>

#include "token/keeper.h"

#define NOTHING_TO_TELL UINT64_MAX

struct view_entry {
    const struct token *token; // referenced, or NULL
    uint64_t hard_ms;          // token->hard_ms; 0 without a token
    uint64_t notice_ms;        // from then on a use of the token is news for the keeper
    bool is_used_told, is_due_told;
    bool is_asked;                       // KEEPER_WANT is on its way or being worked on
    uint64_t refused;                    // generation that the keeper was told of as refused
    const struct token_failure *failure; // of the last fetch, referenced, or NULL
    struct list waiters;
};

struct view {
    struct loop *loop;
    struct loop *keeper_loop;
    struct keeper_set *set; // what the keeper knows its slots by
    unsigned refs;          // atomic: the owner's and one for each post on its way
    bool is_closed;         // only posts still hold it
    struct task held_task;
    struct list
        held; // waiters to be answered at the end of this turn, with what the entry says then
    size_t slot_count;
    struct view_entry entries[];
};

static void view_unref(struct view *view)
{
    if (__atomic_sub_fetch(&view->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(view);
}

// -- hits --------------------------------------------------------------------------------------

// Twice per token at most: for its first use, and for its first use past the soft expiry. A token
// that dies when it is not used is reported four times within its idle lifetime.
static void view_notice(struct view *view, size_t slot, uint64_t now_ms)
{
    struct view_entry *entry = &view->entries[slot];
    uint64_t idle_ms = entry->token->idle_ttl_ms;
    if (!entry->is_used_told || idle_ms)
        keeper_tell(view->set, slot, KEEPER_USED);
    entry->is_used_told = true;
    uint64_t next_ms = entry->token->soft_ms;
    if (token_is_due(entry->token, now_ms)) {
        next_ms = NOTHING_TO_TELL;
        if (!entry->is_due_told)
            keeper_tell(view->set, slot, KEEPER_DUE);
        entry->is_due_told = true;
    }
    entry->notice_ms = idle_ms && now_ms + idle_ms / 4 < next_ms ? now_ms + idle_ms / 4 : next_ms;
}

const struct token *view_get(struct view *view, size_t slot)
{
    const struct view_entry *entry = &view->entries[slot];
    // Not the loop's time, which is that of the turn's start: a process held still within a turn
    // would send a token that died meanwhile (T37).
    uint64_t now_ms = clock_boottime_us() / 1000;
    if (now_ms >= entry->hard_ms)
        return NULL;
    if (now_ms >= entry->notice_ms)
        view_notice(view, slot, now_ms);
    return entry->token;
}

// -- misses ------------------------------------------------------------------------------------

static void view_ask(struct view *view, size_t slot)
{
    struct view_entry *entry = &view->entries[slot];
    if (entry->is_asked)
        return;
    entry->is_asked = true;
    keeper_tell(view->set, slot, KEEPER_WANT);
}

static bool is_held_off(const struct view_entry *entry, uint64_t now_ms)
{
    return entry->failure && now_ms < entry->failure->retry_at_ms;
}

bool view_wait(struct view *view, size_t slot, struct view_waiter *waiter)
{
    struct view_entry *entry = &view->entries[slot];
    assert(!list_is_linked(&waiter->link));
    waiter->slot = slot;
    waiter->newer_than = 0;
    if (is_held_off(entry, loop_now_ms(view->loop))) {
        // Answered here: requests that hammer a broken slot must not hammer the keeper as well.
        list_append(&view->held, &waiter->link);
        loop_defer(view->loop, &view->held_task);
        return false;
    }
    list_append(&entry->waiters, &waiter->link);
    view_ask(view, slot);
    return true;
}

static bool is_newer(const struct token *token, uint64_t generation)
{
    return token && token->generation > generation;
}

void view_refuse(struct view *view, size_t slot, uint64_t generation)
{
    struct view_entry *entry = &view->entries[slot];
    // Once for each generation: a hundred refusals at a time are one piece of news.
    if (entry->refused != generation && !is_newer(entry->token, generation))
        keeper_tell_refused(view->set, slot, generation);
    entry->refused = generation;
}

void view_wait_newer(struct view *view, size_t slot, uint64_t generation,
                     struct view_waiter *waiter)
{
    struct view_entry *entry = &view->entries[slot];
    assert(!list_is_linked(&waiter->link));
    waiter->slot = slot;
    waiter->newer_than = generation;
    if (is_newer(entry->token, generation)) {
        list_append(&view->held, &waiter->link);
        loop_defer(view->loop, &view->held_task);
        return;
    }
    list_append(&entry->waiters, &waiter->link);
    view_refuse(view, slot, generation);
}

void view_cancel(struct view *view, struct view_waiter *waiter)
{
    (void)view;
    list_remove(&waiter->link);
}

const struct token_failure *view_failure(const struct view *view, size_t slot)
{
    return view->entries[slot].failure;
}

static void view_answer_newer(struct view_waiter *waiter, const struct token *token)
{
    waiter->on_token(waiter, is_newer(token, waiter->newer_than) ? token : NULL, NULL);
}

static void on_held_task(struct task *task)
{
    struct view *view = CONTAINER_OF(task, struct view, held_task);
    struct list batch, *link;
    list_move_all(&view->held, &batch);
    while ((link = list_take_first(&batch))) {
        struct view_waiter *waiter = CONTAINER_OF(link, struct view_waiter, link);
        const struct view_entry *entry = &view->entries[waiter->slot];
        const struct token *token = view_get(view, waiter->slot);
        if (waiter->newer_than) {
            view_answer_newer(waiter, token);
            continue;
        }
        // Things may have changed since view_wait(): a token may have come, or the failure be over.
        if (token || is_held_off(entry, loop_now_ms(view->loop)))
            waiter->on_token(waiter, token, token ? NULL : entry->failure);
        else
            view_wait(view, waiter->slot, waiter);
    }
}

// -- publications ------------------------------------------------------------------------------

struct publication {
    struct view *view;
    size_t slot;
    const struct token *token;
    const struct token_failure *failure;
};

static void entry_set(struct view_entry *entry, const struct token *token,
                      const struct token_failure *failure)
{
    // The same token again, for somebody who asked late: what was told of it stays told.
    if (token != entry->token && !failure) {
        token_unref(entry->token);
        entry->token = token ? token_ref(token) : NULL;
        entry->hard_ms = token ? token->hard_ms : 0;
        entry->notice_ms = 0;
        entry->is_used_told = entry->is_due_told = false;
    }
    if (!token && !failure)
        return; // expired: that says nothing about the last fetch
    token_failure_unref(entry->failure);
    entry->failure = failure ? token_failure_ref(failure) : NULL;
}

static void entry_answer(struct view *view, size_t slot, const struct token_failure *failure)
{
    struct view_entry *entry = &view->entries[slot];
    struct list batch, *link;
    list_move_all(&entry->waiters, &batch);
    while ((link = list_take_first(&batch))) {
        struct view_waiter *waiter = CONTAINER_OF(link, struct view_waiter, link);
        const struct token *token = failure ? NULL : view_get(view, slot);
        if (waiter->newer_than)
            view_answer_newer(waiter, token);
        else if (token || failure)
            waiter->on_token(waiter, token, failure);
        else
            view_wait(view, slot, waiter); // the token has expired on its way here
    }
}

static void view_take(void *arg)
{
    struct publication *news = arg;
    struct view *view = news->view;
    if (!view->is_closed) {
        struct view_entry *entry = &view->entries[news->slot];
        entry_set(entry, news->token, news->failure);
        if (news->token || news->failure) {
            entry->is_asked = false;
            entry->refused = 0;
            entry_answer(view, news->slot, news->failure);
        }
    }
    token_unref(news->token);
    token_failure_unref(news->failure);
    mem_free(news);
    view_unref(view);
}

void view_publish(struct view *view, size_t slot, const struct token *token,
                  const struct token_failure *failure)
{
    struct publication *news = mem_alloc(sizeof *news);
    *news = (struct publication){.view = view,
                                 .slot = slot,
                                 .token = token ? token_ref(token) : NULL,
                                 .failure = failure ? token_failure_ref(failure) : NULL};
    __atomic_add_fetch(&view->refs, 1, __ATOMIC_RELAXED);
    loop_post(view->loop, view_take, news);
}

// -- life --------------------------------------------------------------------------------------

struct view *view_new(struct loop *loop, struct keeper *keeper)
{
    size_t slot_count = keeper_slot_count(keeper);
    struct view *view = mem_alloc(sizeof *view + slot_count * sizeof view->entries[0]);
    view->loop = loop;
    view->keeper_loop = keeper_loop(keeper);
    view->refs = 1;
    view->slot_count = slot_count;
    list_init(&view->held);
    task_init(&view->held_task, on_held_task);
    for (size_t i = 0; i < slot_count; i++)
        list_init(&view->entries[i].waiters);
    view->set = keeper_attach(keeper, view);
    return view;
}

static void view_close(struct view *view)
{
    task_cancel(&view->held_task);
    assert(list_is_empty(&view->held));
    for (size_t i = 0; i < view->slot_count; i++) {
        struct view_entry *entry = &view->entries[i];
        assert(list_is_empty(&entry->waiters));
        token_unref(entry->token);
        token_failure_unref(entry->failure);
    }
    view->is_closed = true;
}

void view_free(struct view *view)
{
    if (!view)
        return;
    keeper_detach(view->set, view);
    view_close(view);
    view_unref(view);
}

static void on_retired(void *arg)
{
    struct view *view = arg;
    keeper_detach(view->set, view);
    view_unref(view);
}

void view_retire(struct view *view)
{
    view_close(view);
    loop_post(view->keeper_loop, on_retired, view);
}
