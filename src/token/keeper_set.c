// SPDX-License-Identifier: MIT
// The slots of one configuration, and the views of the proxies that run on it. Two configurations
// live at once while requests of the older one are under way: each has a set of its own, and a slot
// that is the same in both is in both. So a view can reach no slot but those of its configuration,
// whatever the others call theirs. A set goes when nobody looks at it any more, and with it the
// slots that are in no other.
#include "config/config.h"
#include "token/keeper_private.h"

static void keeper_release(struct keeper *keeper)
{
    if (--keeper->refs == 0)
        mem_free(keeper);
}

// -- places ------------------------------------------------------------------------------------

void keeper_set_put(struct keeper_set *set, size_t index, struct keeper_slot *slot)
{
    struct keeper_place *place = &set->places[index];
    place->set = set;
    place->slot = slot;
    list_append(&slot->places, &place->link);
}

// A slot that another set has as well goes on as that one describes it.
static void place_leave(struct keeper_place *place, const struct config_slot *config)
{
    struct keeper_slot *slot = place->slot;
    list_remove(&place->link);
    place->slot = NULL;
    if (list_is_empty(&slot->places)) {
        keeper_slot_free(slot);
        return;
    }
    if (slot->config != config)
        return;
    const struct keeper_place *other = CONTAINER_OF(slot->places.prev, struct keeper_place, link);
    slot->config = other->set->config->slots[other - other->set->places];
    if (slot->source->ops->rebind)
        slot->source->ops->rebind(slot->source, slot->config);
}

static void keeper_set_clear(struct keeper_set *set)
{
    list_remove(&set->link);
    for (size_t i = 0; i < set->count; i++)
        if (set->places[i].slot)
            place_leave(&set->places[i], set->config->slots[i]);
}

struct keeper_place *keeper_find(struct keeper *keeper, const struct config_slot *config)
{
    for (struct list *link = keeper->sets.next; link != &keeper->sets; link = link->next) {
        struct keeper_set *set = CONTAINER_OF(link, struct keeper_set, link);
        if (config->index < set->count && set->config->slots[config->index] == config)
            return &set->places[config->index];
    }
    return NULL;
}

// -- life --------------------------------------------------------------------------------------

static void keeper_set_free(struct keeper_set *set)
{
    struct keeper *keeper = set->keeper;
    config_unref(set->config);
    mem_free(set->views);
    mem_free(set);
    keeper_release(keeper);
}

static void on_free_task(struct task *task)
{
    struct keeper_set *set = CONTAINER_OF(task, struct keeper_set, free_task);
    keeper_set_clear(set);
    keeper_set_free(set);
}

struct keeper_set *keeper_set_new(struct keeper *keeper, struct config *config)
{
    size_t count = config->slot_count;
    struct keeper_set *set = mem_alloc(sizeof *set + count * sizeof set->places[0]);
    set->keeper = keeper;
    set->config = config_ref(config);
    set->refs = 1;
    set->count = count;
    task_init(&set->free_task, on_free_task);
    list_append(&keeper->sets, &set->link);
    keeper->refs++;
    return set;
}

struct keeper_set *keeper_set_ref(struct keeper_set *set)
{
    __atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
    return set;
}

void keeper_set_unref(struct keeper_set *set)
{
    if (__atomic_sub_fetch(&set->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    // Not here and now: one of its slots may be on the stack.
    if (set->keeper->is_closed)
        keeper_set_free(set);
    else
        loop_defer(set->keeper->loop, &set->free_task);
}

void keeper_set_close_all(struct keeper *keeper)
{
    struct list sets, *link;
    // Each is held until all are empty: a slot's end may let go of another set.
    for (link = keeper->sets.next; link != &keeper->sets; link = link->next) {
        struct keeper_set *set = CONTAINER_OF(link, struct keeper_set, link);
        keeper_set_ref(set);
        task_cancel(&set->free_task);
    }
    list_init(&sets);
    while ((link = list_take_first(&keeper->sets))) {
        keeper_set_clear(CONTAINER_OF(link, struct keeper_set, link));
        list_append(&sets, link);
    }
    while ((link = list_take_first(&sets)))
        keeper_set_unref(CONTAINER_OF(link, struct keeper_set, link));
}

// -- views -------------------------------------------------------------------------------------

size_t keeper_slot_count(const struct keeper *keeper)
{
    return keeper->set->count;
}

struct loop *keeper_loop(const struct keeper *keeper)
{
    return keeper->loop;
}

struct keeper_set *keeper_attach(struct keeper *keeper, struct view *view)
{
    struct keeper_set *set = keeper_set_ref(keeper->set);
    set->views = mem_realloc(set->views, (set->view_count + 1) * sizeof(struct view *));
    set->views[set->view_count++] = view;
    for (size_t i = 0; i < set->count; i++)
        if (set->places[i].slot->token)
            view_publish(view, i, set->places[i].slot->token, NULL);
    return set;
}

void keeper_detach(struct keeper_set *set, struct view *view)
{
    for (size_t i = 0; i < set->view_count; i++)
        if (set->views[i] == view)
            set->views[i--] = set->views[--set->view_count];
    keeper_set_unref(set);
}
