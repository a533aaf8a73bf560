// SPDX-License-Identifier: MIT
// Hash map from byte strings (borrowed: they must outlive the map) to pointers. Filled from the
// configuration only, so that a peer cannot make its chains long; looked up with any bytes.
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct map_entry {
    struct str key;
    void *value; // NULL marks a free place
};

struct map {
    struct map_entry *entries;
    size_t count, cap; // cap is 0 or a power of two
};

void map_init(struct map *map);
void map_fini(struct map *map);
void *map_get(const struct map *map, struct str key); // NULL if absent
// Adds or replaces; value must not be NULL. Returns the value that was there before, or NULL.
void *map_put(struct map *map, struct str key, void *value);
// Walks all entries in no order: *cursor starts at 0. False at the end.
bool map_next(const struct map *map, size_t *cursor, struct str *out_key, void **out_value);

#endif
