// SPDX-License-Identifier: MIT
// Memory that cannot fail: out of memory ends the program with one line. That is safe only because
// every growable thing has a ceiling given at birth (see buf.h), so no peer can ask for much.
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#define WARN_UNUSED __attribute__((warn_unused_result))

void *mem_alloc(size_t size) WARN_UNUSED;                     // zeroed
void *mem_array(size_t count, size_t size) WARN_UNUSED;       // zeroed; overflow aborts
void *mem_realloc(void *ptr, size_t size) WARN_UNUSED;        // new bytes are not zeroed
char *mem_strdup(const char *text) WARN_UNUSED;               // NULL gives NULL
char *mem_strndup(const char *bytes, size_t len) WARN_UNUSED; // NUL-terminated copy
void mem_free(void *ptr);

// Overwrites len bytes so that the compiler cannot leave it out. ptr may be NULL when len is 0.
void mem_wipe(void *ptr, size_t len);
// Wipes and frees a NUL-terminated secret; NULL is fine.
void mem_free_secret(char *text);
// For libraries that let us provide their memory: what they copied, tokens and secrets among it, is
// wiped whenever they give it back (its first 4 KiB).
void mem_free_wiped(void *ptr);
void *mem_realloc_wiped(void *ptr, size_t size) WARN_UNUSED; // NULL when there is no memory
// Compares secrets in a time that depends on the lengths only.
int mem_secret_differs(const char *a, size_t a_len, const char *b, size_t b_len);

// For interfaces of others that take a plain pointer and do not write through it.
static inline void *mem_unconst(const void *ptr)
{
    union {
        const void *readable;
        void *plain;
    } either = {.readable = ptr};
    return either.plain;
}

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
