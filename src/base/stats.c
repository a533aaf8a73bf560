// SPDX-License-Identifier: MIT
// See stats.h.
#include "base/stats.h"

#define MS UINT64_C(1000)

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    MS / 2,   MS,       MS * 5 / 2, MS * 5,    MS * 10,   MS * 25,    MS * 50,    MS * 100,
    MS * 250, MS * 500, MS * 1000,  MS * 2500, MS * 5000, MS * 10000, MS * 30000,
};

void stats_sum(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += stat_get(&from[i]);
}

void histogram_add(struct histogram *histogram, uint64_t took_us)
{
    size_t at = 0;
    while (at < HISTOGRAM_BOUNDS && took_us > histogram_bounds_us[at])
        at++;
    stat_add(&histogram->buckets[at], 1);
    stat_add(&histogram->sum_us, took_us);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += histogram->buckets[i];
    return count;
}

uint64_t histogram_quantile_us(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram_count(histogram), below = 0;
    if (wanted <= 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double here = (double)histogram->buckets[i];
        if (here > 0 && below + here >= wanted) {
            uint64_t from = i ? histogram_bounds_us[i - 1] : 0;
            double width = (double)(histogram_bounds_us[i] - from);
            return from + (uint64_t)(width * (wanted - below) / here);
        }
        below += here;
    }
    return histogram_bounds_us[HISTOGRAM_BOUNDS - 1];
}
