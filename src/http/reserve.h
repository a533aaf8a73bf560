// SPDX-License-Identifier: MIT
// Descriptors held back, to be given up when there are none left: for a server that must answer
// then, too.
#ifndef HTTP_RESERVE_H
#define HTTP_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

#define RESERVE_MAX 8

struct reserve {
    int fds[RESERVE_MAX];
    size_t count, wanted;
};

void reserve_init(struct reserve *reserve, size_t wanted); // at most RESERVE_MAX; fills it
void reserve_fini(struct reserve *reserve);
void reserve_fill(struct reserve *reserve); // as far as that works; cheap when it is full
bool reserve_give(struct reserve *reserve); // one is free now; false: none was left

#endif
