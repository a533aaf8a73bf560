// SPDX-License-Identifier: MIT
// Counters that one thread writes and any other may read at the same time: plain loads and stores
// of whole words, no lock and no read-modify-write. What a reader sees of several counters need not
// be of one moment. Two threads never write to the same counter; to the same cache line they should
// not.
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_LINE 64 // bytes of a cache line

static inline uint64_t stat_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// The writing thread alone.
static inline void stat_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline void stat_add(uint64_t *counter, uint64_t more)
{
    stat_set(counter, stat_get(counter) + more);
}

static inline void stat_sub(uint64_t *counter, uint64_t less)
{
    stat_set(counter, stat_get(counter) - less);
}

// Adds `count` counters that somebody else writes to as many of the caller's own.
void stats_sum(uint64_t *to, const uint64_t *from, size_t count);

// How long things took, in fixed buckets: up to and including each bound, and beyond the last.
#define HISTOGRAM_BOUNDS 15
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS]; // 0.5 ms to 30 s

struct histogram { // of counters alone: stats_sum() sums it
    uint64_t buckets[HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, uint64_t took_us);
uint64_t histogram_count(const struct histogram *histogram);
// The bound below which that share of all lie, by interpolation within a bucket; 0 of none, the
// last bound when it lies beyond.
uint64_t histogram_quantile_us(const struct histogram *histogram, double share);

#endif
