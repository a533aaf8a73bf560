// SPDX-License-Identifier: MIT
// See reserve.h. An eventfd is the cheapest thing with a descriptor.
#include "http/reserve.h"

#include <sys/eventfd.h>
#include <unistd.h>

void reserve_init(struct reserve *reserve, size_t wanted)
{
    *reserve = (struct reserve){.wanted = wanted < RESERVE_MAX ? wanted : RESERVE_MAX};
    reserve_fill(reserve);
}

void reserve_fini(struct reserve *reserve)
{
    while (reserve_give(reserve))
        continue;
}

void reserve_fill(struct reserve *reserve)
{
    while (reserve->count < reserve->wanted) {
        int fd = eventfd(0, EFD_CLOEXEC);
        if (fd < 0)
            return;
        reserve->fds[reserve->count++] = fd;
    }
}

bool reserve_give(struct reserve *reserve)
{
    if (!reserve->count)
        return false;
    close(reserve->fds[--reserve->count]);
    return true;
}
