// SPDX-License-Identifier: MIT
// See keeper.h. Owns the slots (keeper_slot.c), the sets they are in (keeper_set.c) and the notes
// from their views. It refuses to know how a token is got (source.h) and who uses it (view.h). All
// of it is on the control thread, but for the keeper_tell… functions.
#include "token/keeper.h"

#include <string.h>

#include "token/client.h"
#include "token/keeper_private.h"

// -- notes -------------------------------------------------------------------------------------

struct note {
    struct keeper_set *set; // referenced
    size_t slot;
    enum keeper_note what;
    uint64_t generation;    // KEEPER_REFUSED
    struct keeper_get *get; // likewise; whose it is to be answered; NULL: the views alone
};

static void keeper_get_drop(struct keeper_get *get)
{
    if (get)
        keeper_set_unref(get->set);
    mem_free(get);
}

static void keeper_take_note(struct keeper_slot *slot, const struct note *note)
{
    switch (note->what) {
    case KEEPER_REFUSED:
        // Only now, so that no answer to somebody else is taken for one to this.
        if (note->get)
            list_append(&slot->gets, &note->get->link);
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
    if (!note->set->keeper->is_closed)
        keeper_take_note(note->set->places[note->slot].slot, note);
    else
        keeper_get_drop(note->get);
    keeper_set_unref(note->set);
    mem_free(note);
}

static void keeper_send_note(struct keeper_set *set, const struct note *content)
{
    struct note *note = mem_alloc(sizeof *note);
    *note = *content;
    note->set = keeper_set_ref(set);
    loop_post(set->keeper->loop, on_note, note);
}

void keeper_tell(struct keeper_set *set, size_t slot, enum keeper_note what)
{
    keeper_send_note(set, &(struct note){.slot = slot, .what = what});
}

void keeper_tell_refused(struct keeper_set *set, size_t slot, uint64_t generation)
{
    keeper_send_note(
        set, &(struct note){.slot = slot, .what = KEEPER_REFUSED, .generation = generation});
}

// -- asking ------------------------------------------------------------------------------------

static struct keeper_get *keeper_get_new(struct keeper_set *set, token_done_fn *on_done, void *arg)
{
    struct keeper_get *get = mem_alloc(sizeof *get);
    *get = (struct keeper_get){.set = keeper_set_ref(set), .on_done = on_done, .arg = arg};
    return get;
}

// newer_than: a generation that was refused; 0: any token will do.
static void place_get(struct keeper_place *place, uint64_t newer_than, token_done_fn *on_done,
                      void *arg)
{
    struct keeper_get *get = keeper_get_new(place->set, on_done, arg);
    struct note note = {.slot = (size_t)(place - place->set->places), .what = KEEPER_WANT};
    if (newer_than) {
        note.what = KEEPER_REFUSED;
        note.generation = newer_than;
        note.get = get;
    } else {
        list_append(&place->slot->gets, &get->link);
    }
    keeper_send_note(place->set, &note);
}

void keeper_get(struct keeper *keeper, size_t slot, token_done_fn *on_done, void *arg)
{
    place_get(&keeper->set->places[slot], 0, on_done, arg);
}

void keeper_get_newer(struct keeper *keeper, size_t slot, uint64_t generation,
                      token_done_fn *on_done, void *arg)
{
    place_get(&keeper->set->places[slot], generation, on_done, arg);
}

// A source's slot is of the newest set that its own slot is in, and so is the one it asks for.
static void keeper_get_for_source(void *arg, const struct config_slot *slot, uint64_t newer_than,
                                  token_done_fn *on_done, void *done_arg)
{
    place_get(keeper_find(arg, slot), newer_than, on_done, done_arg);
}

// -- life --------------------------------------------------------------------------------------

static struct source *keeper_new_source(const struct keeper *keeper, const struct config_slot *slot)
{
    if (keeper->parts.source_new)
        return keeper->parts.source_new(keeper->loop, keeper->fetcher, slot);
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

struct keeper_slot *keeper_slot_new(struct keeper *keeper, const struct config_slot *config)
{
    struct keeper_slot *slot = mem_alloc(sizeof *slot);
    slot->keeper = keeper;
    slot->id = ++keeper->last_id;
    slot->config = config;
    slot->source = keeper_new_source(keeper, config);
    list_init(&slot->places);
    slot_init(slot);
    return slot;
}

void keeper_slot_free(struct keeper_slot *slot)
{
    slot_fini(slot);
    mem_free(slot);
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
    struct keeper *keeper = mem_alloc(sizeof *keeper);
    keeper->loop = loop;
    keeper->fetcher = fetcher;
    keeper->store = store;
    store_mark(config, keeper->store_mark);
    keeper->parts = *parts;
    keeper->pace = parts->pace ? *parts->pace : pace_default;
    keeper->refs = 1;
    keeper->hooks = parts->no_hooks ? NULL : hooks_new(loop);
    keeper->source_context = (struct source_context){.loop = loop,
                                                     .fetcher = fetcher,
                                                     .clients = clients_new(loop, fetcher),
                                                     .get_token = keeper_get_for_source,
                                                     .arg = keeper};
    clients_turn_to(keeper->source_context.clients, config);
    list_init(&keeper->sets);
    keeper->set = keeper_set_new(keeper, config);
    for (size_t i = 0; i < config->slot_count; i++)
        keeper_set_put(keeper->set, i, keeper_slot_new(keeper, config->slots[i]));
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    keeper->is_closed = true;
    keeper_set_close_all(keeper);
    keeper_set_unref(keeper->set);
    hooks_free(keeper->hooks);
    store_close(keeper->store);
    clients_free(keeper->source_context.clients);
    fetcher_free(keeper->fetcher);
    if (--keeper->refs == 0)
        mem_free(keeper);
}
