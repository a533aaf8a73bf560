// SPDX-License-Identifier: MIT
// A growable run of bytes with a ceiling given at birth. Append fails, changing nothing, when the
// ceiling would be passed; the caller must say what that means.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len; // bytes in use
    size_t cap; // bytes allocated
    size_t max; // ceiling for cap
};

void buf_init(struct buf *buf, size_t max); // allocates nothing
void buf_fini(struct buf *buf);  // wipes, for most of what passes here is somebody's data
void buf_clear(struct buf *buf); // len = 0, memory kept

// Makes room for `more` bytes behind len. False if the ceiling forbids it.
bool buf_reserve(struct buf *buf, size_t more) WARN_UNUSED;
bool buf_append(struct buf *buf, struct str bytes) WARN_UNUSED;
bool buf_append_char(struct buf *buf, char c) WARN_UNUSED;
bool buf_append_u64(struct buf *buf, uint64_t number) WARN_UNUSED; // decimal
bool buf_printf(struct buf *buf, const char *fmt, ...) WARN_UNUSED
    __attribute__((format(printf, 2, 3)));
// Drops the first n bytes (n <= len); the rest moves to the front.
void buf_consume(struct buf *buf, size_t n);
struct str buf_str(const struct buf *buf);
// Hands the bytes over as a NUL-terminated string the caller frees; buf is empty afterwards.
char *buf_take(struct buf *buf) WARN_UNUSED;

#endif
