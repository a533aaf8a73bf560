// SPDX-License-Identifier: MIT
// See mem.h.
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIPE_MAX ((size_t)4096)

static void *checked(void *ptr)
{
    if (!ptr) {
        static const char line[] = "bearerd: out of memory\n";
        // Nothing is left to do if even this fails.
        if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
            abort();
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *ptr, size_t size)
{
    return checked(realloc(ptr, size ? size : 1));
}

char *mem_strdup(const char *text)
{
    return text ? checked(strdup(text)) : NULL;
}

char *mem_strndup(const char *bytes, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_wipe(void *ptr, size_t len)
{
    if (len)
        explicit_bzero(ptr, len);
}

void mem_free_secret(char *text)
{
    if (!text)
        return;
    mem_wipe(text, strlen(text));
    free(text);
}

void mem_free_wiped(void *ptr)
{
    // Heads and token responses lie at the front; to wipe all of a 16 KiB record with each request
    // costs more than it is worth.
    size_t size = malloc_usable_size(ptr);
    mem_wipe(ptr, size < WIPE_MAX ? size : WIPE_MAX);
    free(ptr);
}

void *mem_realloc_wiped(void *ptr, size_t size)
{
    if (ptr && !size) {
        mem_free_wiped(ptr);
        return NULL;
    }
    // Not realloc: it would leave a copy of the old bytes behind.
    size_t before = malloc_usable_size(ptr);
    void *moved = malloc(size);
    if (!moved || !ptr)
        return moved;
    memcpy(moved, ptr, before < size ? before : size);
    mem_free_wiped(ptr);
    return moved;
}

int mem_secret_differs(const char *a, size_t a_len, const char *b, size_t b_len)
{
    volatile unsigned char diff = a_len != b_len;
    for (size_t i = 0; i < a_len; i++) {
        // b is read modulo its own length, so that the time tells nothing about where they differ.
        unsigned char other = b_len ? (unsigned char)b[i % b_len] : 0;
        diff = (unsigned char)(diff | ((unsigned char)a[i] ^ other));
    }
    return diff;
}
