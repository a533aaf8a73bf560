// SPDX-License-Identifier: MIT
// Counts who allocates and who locks: preloaded into bearerd (LD_PRELOAD), it stands before the C
// library's functions and tells calls that bearerd's own code makes from those that its libraries
// make, by the address they return to. The counters lie in a file that the test reads (PROBE_FILE),
// so that asking changes nothing. It refuses to know what the calls are for.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// What the test reads; keep in step with COUNTERS in test_hot_path.py.
enum counter { ALLOC, FREE, LOCK, COUNTER_COUNT };
enum who { OWN, LIBRARY, WHO_COUNT };

struct counts {
    uint64_t calls[WHO_COUNT][COUNTER_COUNT];
    uint64_t is_ready;
};

// The C library's own names for its allocator: no look-up, so no recursion through dlsym().
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);

static struct counts before_start; // until the file is there
static struct counts *counts = &before_start;
static uintptr_t own_from, own_to;
static int (*real_lock)(pthread_mutex_t *mutex);

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        own_from = info->dlpi_addr + part->p_vaddr;
        own_to = own_from + part->p_memsz;
    }
    return 1; // the first object is the program
}

__attribute__((constructor)) static void probe_start(void)
{
    const char *path = getenv("PROBE_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = MAP_FAILED;
    if (fd >= 0) {
        memory = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    dl_iterate_phdr(on_object, NULL);
    if (memory == MAP_FAILED)
        return;
    counts = memory;
    counts->is_ready = 1;
}

static void note(enum counter counter, const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    enum who who = at >= own_from && at < own_to ? OWN : LIBRARY;
    __atomic_add_fetch(&counts->calls[who][counter], 1, __ATOMIC_RELAXED);
}

#define NOTE(counter) note((counter), __builtin_return_address(0))

void *malloc(size_t size)
{
    NOTE(ALLOC);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    NOTE(ALLOC);
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    NOTE(ALLOC);
    return __libc_realloc(ptr, size);
}

void free(void *ptr)
{
    if (ptr) // freeing nothing is nothing
        NOTE(FREE);
    __libc_free(ptr);
}

char *strdup(const char *text)
{
    NOTE(ALLOC);
    size_t size = strlen(text) + 1;
    char *copy = __libc_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    NOTE(LOCK);
    if (!real_lock) // racing threads find the same
        real_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    return real_lock(mutex);
}
