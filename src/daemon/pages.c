// SPDX-License-Identifier: MIT
// Starting touches most of the pages of two dozen libraries: relocations, tables, initialisers,
// self-tests. Few of them are used again. They are unmapped once everything stands; what is needed
// comes back from the page cache, a few microseconds for sixteen pages.
// Only segments that are not writable: those have nothing to lose (what the dynamic linker wrote
// and then protected lies in the writable ones).
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/daemon.h"

static int let_go(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    const uintptr_t page = *(const uintptr_t *)arg;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        to = (to + page - 1) & ~(page - 1);
        // Of no consequence when it fails.
        madvise((void *)from, to - from, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
    }
    return 0;
}

void daemon_let_pages_go(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dl_iterate_phdr(let_go, &page);
}
