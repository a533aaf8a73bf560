// SPDX-License-Identifier: MIT
// See ids.h. A counter, stirred (splitmix64) with two seeds of this process: each half of an id is
// a permutation of the counter, so none comes twice, and no request costs a system call.
#include "proxy/ids.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

void ids_init(struct ids *ids)
{
    *ids = (struct ids){.count = 0};
    if (getrandom(ids->seeds, sizeof ids->seeds, GRND_NONBLOCK) == (ssize_t)sizeof ids->seeds)
        return;
    struct timespec now; // before the kernel has random numbers: better than the same each time
    clock_gettime(CLOCK_REALTIME, &now);
    ids->seeds[0] = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    ids->seeds[1] = (uint64_t)(uintptr_t)ids;
}

static uint64_t stir(uint64_t seed, uint64_t count)
{
    uint64_t word = seed + count * 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static void put_hex(uint64_t word, char out[16])
{
    for (int i = 15; i >= 0; i--, word >>= 4)
        out[i] = "0123456789abcdef"[word & 15];
}

void ids_make(struct ids *ids, char out[IDS_LEN])
{
    ids->count++;
    put_hex(stir(ids->seeds[0], ids->count), out);
    put_hex(stir(ids->seeds[1], ids->count), out + 16);
}

void ids_start_trace(struct ids *ids, char out[IDS_TRACE_LEN])
{
    char parent[IDS_LEN];
    // The length of each part is known, and no NUL ends it.
    static const char version[3] = {'0', '0', '-'}, flags[3] = {'-', '0', '1'};
    memcpy(out, version, sizeof version);
    ids_make(ids, out + 3);
    // All zeros would be no id.
    if (out[3 + IDS_LEN - 1] == '0')
        out[3 + IDS_LEN - 1] = '1';
    ids_make(ids, parent);
    if (parent[15] == '0')
        parent[15] = '1';
    out[35] = '-';
    memcpy(out + 36, parent, 16);
    memcpy(out + 52, flags, sizeof flags);
}

bool ids_is_fit(struct str given)
{
    for (size_t i = 0; i < given.len; i++) {
        char c = given.ptr[i], low = (char)(c | 0x20);
        bool is_plain = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9');
        if (!is_plain && !str_has(STR("-._~+/=:@"), c))
            return false;
    }
    return given.len > 0 && given.len <= IDS_GIVEN_MAX;
}
