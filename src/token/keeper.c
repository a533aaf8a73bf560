// SPDX-License-Identifier: MIT
// See keeper.h. Owns the slots (keeper_slot.c), the views and the notes between them. It refuses to
// know how a token is got (source.h) and who uses it (view.h). All of it is on the control thread,
// but for the keeper_tell… functions.
#include "token/keeper.h"

#include <string.h>

#include "token/client.h"
#include "token/keeper_private.h"

// -- notes -------------------------------------------------------------------------------------

struct note {
    struct keeper *keeper;
    size_t slot;
    enum keeper_note what;
    uint64_t generation; // KEEPER_REFUSED
};

static void keeper_unref(struct keeper *keeper)
{
    if (__atomic_sub_fetch(&keeper->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(keeper);
}

static void keeper_take_note(struct keeper_slot *slot, const struct note *note)
{
    switch (note->what) {
    case KEEPER_REFUSED:
        slot_be_refused(slot, note->generation);
        return;
    case KEEPER_WANT:
        slot->is_wanted = true;
        break;
    case KEEPER_DUE:
        slot->is_due = true;
        slot->is_used = true;
        break;
    case KEEPER_USED:
        slot->is_used = true;
        slot->used_ms = keeper_now_ms();
        break;
    }
    slot_step(slot);
}

static void on_note(void *arg)
{
    struct note *note = arg;
    struct keeper *keeper = note->keeper;
    if (!keeper->is_closed) {
        keeper_take_note(&keeper->slots[note->slot], note);
    }
    mem_free(note);
    keeper_unref(keeper);
}

static void keeper_send_note(struct keeper *keeper, const struct note *content)
{
    struct note *note = mem_alloc(sizeof *note);
    *note = *content;
    __atomic_add_fetch(&keeper->refs, 1, __ATOMIC_RELAXED);
    loop_post(keeper->loop, on_note, note);
}

void keeper_tell(struct keeper *keeper, size_t slot, enum keeper_note what)
{
    keeper_send_note(keeper, &(struct note){.keeper = keeper, .slot = slot, .what = what});
}

void keeper_tell_refused(struct keeper *keeper, size_t slot, uint64_t generation)
{
    keeper_send_note(keeper, &(struct note){.keeper = keeper,
                                            .slot = slot,
                                            .what = KEEPER_REFUSED,
                                            .generation = generation});
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

static void keeper_get_for_source(void *arg, const struct config_slot *slot,
                                  void (*on_done)(void *done_arg, const struct token *token,
                                                  const struct token_failure *failure),
                                  void *done_arg)
{
    keeper_get(arg, slot->index, on_done, done_arg);
}

static struct source *keeper_new_source(const struct keeper *keeper, const struct config_slot *slot)
{
    switch ((enum config_source)slot->credential->source) {
    case SOURCE_LOGIN:
        return source_login_new(&keeper->source_context, slot);
    case SOURCE_EXEC:
        return source_exec_new(&keeper->source_context, slot);
    case SOURCE_STATIC:
        return source_static_new(&keeper->source_context, slot);
    case SOURCE_OAUTH:
        break;
    }
    return source_oauth_new(&keeper->source_context, slot);
}

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
    struct err store_err = {""};
    struct store *store = parts->no_store ? NULL : store_open(loop, config, &store_err);
    if (!store && store_err.text[0]) {
        err_set(err, "%s", store_err.text);
        fetcher_free(fetcher);
        return NULL;
    }
    size_t slot_count = config->slot_count;
    struct keeper *keeper = mem_alloc(sizeof *keeper + slot_count * sizeof keeper->slots[0]);
    keeper->loop = loop;
    keeper->config = config_ref(config);
    keeper->fetcher = fetcher;
    keeper->store = store;
    keeper->pace = parts->pace ? *parts->pace : pace_default;
    keeper->refs = 1;
    keeper->hooks = parts->no_hooks ? NULL : hooks_new(loop);
    keeper->source_context = (struct source_context){.loop = loop,
                                                     .fetcher = fetcher,
                                                     .clients = clients_new(loop, fetcher),
                                                     .get_token = keeper_get_for_source,
                                                     .arg = keeper};
    keeper->slot_count = slot_count;
    for (size_t i = 0; i < slot_count; i++) {
        struct keeper_slot *slot = &keeper->slots[i];
        slot->keeper = keeper;
        slot->config = config->slots[i];
        slot->source = parts->source_new ? parts->source_new(loop, fetcher, config->slots[i])
                                         : keeper_new_source(keeper, config->slots[i]);
        slot_init(slot);
    }
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    for (size_t i = 0; i < keeper->slot_count; i++)
        slot_fini(&keeper->slots[i]);
    hooks_free(keeper->hooks);
    store_close(keeper->store);
    clients_free(keeper->source_context.clients);
    fetcher_free(keeper->fetcher);
    config_unref(keeper->config);
    mem_free(keeper->views);
    keeper->is_closed = true;
    keeper_unref(keeper);
}
