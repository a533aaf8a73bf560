// SPDX-License-Identifier: MIT
// See ledger.h. Meters come and go by loop_post(), in this order for each of them, so nothing here
// is touched by two threads. `kept` has the sums of ended meters by the indices of the present
// configuration. A meter of another one has places: tables that tell for an index of the present
// configuration which one of the meter's it is.
#include "proxy/ledger.h"

#include <assert.h>
#include <stdio.h>

#include "base/list.h"
#include "base/map.h"
#include "config/slots.h"

#define WHY_MAX 200
#define NOWHERE SIZE_MAX // it has nothing of that name

struct places {
    size_t *cells, *upstreams, *slots; // NULL: the indices are the same
};

struct sums {
    struct traffic *cells;
    struct traffic_upstream *upstreams;
};

struct entry {
    struct list link;
    struct meter *meter;
    struct places places;
};

struct ledger {
    struct loop *loop;
    struct list entries;
    struct config *config;
    struct sums kept;
    void (*on_failure)(void *arg, const struct ledger_failure *failure);
    void *arg;
};

// -- from one configuration to another ---------------------------------------------------------

static size_t place_of_route(const struct map *names, const struct config_route *route)
{
    const struct config_route *old = map_get(names, str_of(route->name));
    // One that moved to another upstream is another route to whoever looks at the figures.
    bool is_same = old && str_eq(str_of(old->upstream->name), str_of(route->upstream->name));
    return is_same ? old->index : NOWHERE;
}

static size_t place_of_upstream(const struct map *names, const struct config_upstream *upstream)
{
    const struct config_upstream *old = map_get(names, str_of(upstream->name));
    return old ? old->index : NOWHERE;
}

static void places_find(struct places *places, const struct config *config,
                        const struct config *old)
{
    struct map routes = {0}, upstreams = {0};
    for (size_t i = 0; i < old->route_count; i++)
        map_put(&routes, str_of(old->routes[i]->name), old->routes[i]);
    for (size_t i = 0; i < old->upstream_count; i++)
        map_put(&upstreams, str_of(old->upstreams[i]->name), old->upstreams[i]);
    for (size_t i = 0; i < config->route_count; i++)
        places->cells[i] = place_of_route(&routes, config->routes[i]);
    for (size_t i = 0; i < config->upstream_count; i++) {
        size_t place = place_of_upstream(&upstreams, config->upstreams[i]);
        places->upstreams[i] = place;
        places->cells[config->route_count + i] =
            place == NOWHERE ? NOWHERE : old->route_count + place;
    }
    places->cells[meter_cell(config, NULL, NULL)] = meter_cell(old, NULL, NULL);
    map_fini(&routes);
    map_fini(&upstreams);
}

// By what tells their tokens apart: the slots of both may be those of different clients.
static void places_find_slots(struct places *places, const struct config *config,
                              const struct config *old)
{
    struct map slots = {0};
    char **words = mem_array(old->slot_count, sizeof(char *));
    for (size_t i = 0; i < old->slot_count; i++) {
        words[i] = config_slot_identity(old->slots[i]);
        map_put(&slots, str_of(words[i]), old->slots[i]);
    }
    for (size_t i = 0; i < config->slot_count; i++) {
        char *wanted = config_slot_identity(config->slots[i]);
        const struct config_slot *slot = map_get(&slots, str_of(wanted));
        places->slots[i] = slot ? slot->index : NOWHERE;
        mem_free(wanted);
    }
    map_fini(&slots);
    for (size_t i = 0; i < old->slot_count; i++)
        mem_free(words[i]);
    mem_free(words);
}

static struct places places_new(const struct config *config, const struct config *old)
{
    struct places places = {0};
    if (old == config)
        return places;
    places.cells = mem_array(meter_cell_count(config), sizeof *places.cells);
    places.upstreams = mem_array(config->upstream_count, sizeof *places.upstreams);
    places.slots = mem_array(config->slot_count, sizeof *places.slots);
    places_find(&places, config, old);
    places_find_slots(&places, config, old);
    return places;
}

static void places_fini(struct places *places)
{
    mem_free(places->cells);
    mem_free(places->upstreams);
    mem_free(places->slots);
}

static size_t place_at(const size_t *places, size_t index)
{
    return places ? places[index] : index;
}

// -- sums --------------------------------------------------------------------------------------

static struct sums sums_new(const struct config *config)
{
    return (struct sums){
        .cells = mem_array(meter_cell_count(config), sizeof(struct traffic)),
        .upstreams = mem_array(config->upstream_count, sizeof(struct traffic_upstream)),
    };
}

static void sums_fini(struct sums *sums)
{
    mem_free(sums->cells);
    mem_free(sums->upstreams);
}

static void sums_add(struct sums *to, const struct config *config, const struct sums *from,
                     const struct places *places)
{
    for (size_t i = 0; i < meter_cell_count(config); i++) {
        size_t place = place_at(places->cells, i);
        if (place != NOWHERE)
            traffic_sum(&to->cells[i], &from->cells[place]);
    }
    for (size_t i = 0; i < config->upstream_count; i++) {
        size_t place = place_at(places->upstreams, i);
        if (place != NOWHERE)
            traffic_upstream_sum(&to->upstreams[i], &from->upstreams[place]);
    }
}

void ledger_set_config(struct ledger *ledger, struct config *config)
{
    struct config *before = ledger->config;
    struct sums kept = sums_new(config);
    if (before) {
        struct places places = places_new(config, before);
        sums_add(&kept, config, &ledger->kept, &places);
        places_fini(&places);
    }
    for (struct list *link = ledger->entries.next; link != &ledger->entries; link = link->next) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        places_fini(&entry->places);
        entry->places = places_new(config, entry->meter->config);
    }
    sums_fini(&ledger->kept);
    ledger->kept = kept;
    ledger->config = config_ref(config);
    config_unref(before);
}

// -- meters come and go ------------------------------------------------------------------------

struct arrival {
    struct ledger *ledger;
    struct meter *meter;
};

static void on_added(void *arg)
{
    struct arrival *arrival = arg;
    struct ledger *ledger = arrival->ledger;
    struct entry *entry = mem_alloc(sizeof *entry);
    entry->meter = arrival->meter;
    entry->places = places_new(ledger->config, entry->meter->config);
    list_append(&ledger->entries, &entry->link);
    mem_free(arrival);
}

static void ledger_post(struct ledger *ledger, struct meter *meter, void (*fn)(void *arg))
{
    struct arrival *arrival = mem_alloc(sizeof *arrival);
    *arrival = (struct arrival){ledger, meter};
    loop_post(ledger->loop, fn, arrival);
}

void ledger_add(struct ledger *ledger, struct meter *meter)
{
    ledger_post(ledger, meter, on_added);
}

// What is true now of something that has ended is not kept.
static void meter_clear_gauges(struct meter *meter)
{
    for (size_t i = 0; i < meter_cell_count(meter->config); i++) {
        struct traffic *cell = &meter->cells[i];
        if (cell->in_flight || cell->waiting) // else it need not become resident
            cell->in_flight = cell->waiting = 0;
    }
    for (size_t i = 0; i < meter->config->upstream_count; i++) {
        struct traffic_upstream *upstream = &meter->upstreams[i];
        upstream->idle = upstream->in_use = upstream->connecting = upstream->waiting = 0;
    }
}

static void entry_end(struct ledger *ledger, struct entry *entry)
{
    struct meter *meter = entry->meter;
    struct sums sums = {meter->cells, meter->upstreams};
    meter_clear_gauges(meter);
    sums_add(&ledger->kept, ledger->config, &sums, &entry->places);
    list_remove(&entry->link);
    places_fini(&entry->places);
    mem_free(entry);
    meter_dispose(meter);
}

static void on_taken(void *arg)
{
    struct arrival *arrival = arg;
    struct ledger *ledger = arrival->ledger;
    struct list *link = ledger->entries.next;
    while (link != &ledger->entries) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        link = link->next;
        if (entry->meter == arrival->meter)
            entry_end(ledger, entry);
    }
    mem_free(arrival);
}

void ledger_take(struct ledger *ledger, struct meter *meter)
{
    ledger_post(ledger, meter, on_taken);
}

// -- news --------------------------------------------------------------------------------------

struct news {
    struct ledger *ledger;
    struct ledger_failure failure;
    char why[WHY_MAX];
    char *upstream, *route;
};

static void on_news(void *arg)
{
    struct news *news = arg;
    if (news->ledger->on_failure)
        news->ledger->on_failure(news->ledger->arg, &news->failure);
    mem_free(news->upstream);
    mem_free(news->route);
    mem_free(news);
}

void ledger_tell(struct ledger *ledger, const struct ledger_failure *failure)
{
    struct news *news = mem_alloc(sizeof *news);
    news->ledger = ledger;
    news->upstream = mem_strdup(failure->upstream);
    news->route = mem_strdup(failure->route);
    snprintf(news->why, sizeof news->why, "%s", failure->why ? failure->why : "");
    news->failure = *failure;
    news->failure.upstream = news->upstream;
    news->failure.route = news->route;
    news->failure.why = failure->why ? news->why : NULL;
    loop_post(ledger->loop, on_news, news);
}

void ledger_set_listener(struct ledger *ledger,
                         void (*on_failure)(void *arg, const struct ledger_failure *failure),
                         void *arg)
{
    ledger->on_failure = on_failure;
    ledger->arg = arg;
}

// -- reading -----------------------------------------------------------------------------------

void ledger_read_cell(const struct ledger *ledger, size_t cell, struct traffic *out)
{
    *out = ledger->kept.cells[cell];
    for (struct list *link = ledger->entries.next; link != &ledger->entries; link = link->next) {
        const struct entry *entry = CONTAINER_OF(link, struct entry, link);
        size_t place = place_at(entry->places.cells, cell);
        if (place != NOWHERE)
            traffic_sum(out, &entry->meter->cells[place]);
    }
}

void ledger_read_upstream(const struct ledger *ledger, size_t upstream,
                          struct traffic_upstream *out)
{
    *out = ledger->kept.upstreams[upstream];
    for (struct list *link = ledger->entries.next; link != &ledger->entries; link = link->next) {
        const struct entry *entry = CONTAINER_OF(link, struct entry, link);
        size_t place = place_at(entry->places.upstreams, upstream);
        if (place != NOWHERE)
            traffic_upstream_sum(out, &entry->meter->upstreams[place]);
    }
}

uint64_t ledger_read_waiting(const struct ledger *ledger, size_t slot)
{
    uint64_t count = 0;
    for (struct list *link = ledger->entries.next; link != &ledger->entries; link = link->next) {
        const struct entry *entry = CONTAINER_OF(link, struct entry, link);
        size_t place = place_at(entry->places.slots, slot);
        if (place != NOWHERE)
            count += stat_get(&entry->meter->waiting[place]);
    }
    return count;
}

// -- life --------------------------------------------------------------------------------------

struct ledger *ledger_new(struct loop *loop, struct config *config)
{
    struct ledger *ledger = mem_alloc(sizeof *ledger);
    ledger->loop = loop;
    list_init(&ledger->entries);
    ledger_set_config(ledger, config);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    assert(list_is_empty(&ledger->entries));
    sums_fini(&ledger->kept);
    config_unref(ledger->config);
    mem_free(ledger);
}
