// SPDX-License-Identifier: MIT
// See map.h. Open addressing, linear probing, at most half full, FNV-1a.
#include "base/map.h"

#include "base/mem.h"

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    mem_free(map->entries);
    map_init(map);
}

static size_t map_hash(struct str key)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32);
}

static struct map_entry *map_place(const struct map *map, struct str key)
{
    size_t at = map_hash(key) & (map->cap - 1);
    while (map->entries[at].value && !str_eq(map->entries[at].key, key))
        at = (at + 1) & (map->cap - 1);
    return &map->entries[at];
}

void *map_get(const struct map *map, struct str key)
{
    return map->cap ? map_place(map, key)->value : NULL;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->cap = old.cap ? old.cap * 2 : 8;
    map->entries = mem_array(map->cap, sizeof *map->entries);
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].value)
            *map_place(map, old.entries[i].key) = old.entries[i];
    mem_free(old.entries);
}

void *map_put(struct map *map, struct str key, void *value)
{
    if (map->count * 2 >= map->cap)
        map_grow(map);
    struct map_entry *place = map_place(map, key);
    void *before = place->value;
    map->count += !before;
    *place = (struct map_entry){key, value};
    return before;
}

bool map_next(const struct map *map, size_t *cursor, struct str *out_key, void **out_value)
{
    while (*cursor < map->cap) {
        const struct map_entry *entry = &map->entries[(*cursor)++];
        if (!entry->value)
            continue;
        *out_key = entry->key;
        *out_value = entry->value;
        return true;
    }
    return false;
}
