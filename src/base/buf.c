// SPDX-License-Identifier: MIT
// See buf.h.
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    mem_wipe(buf->ptr, buf->cap);
    mem_free(buf->ptr);
    buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

bool buf_reserve(struct buf *buf, size_t more)
{
    if (more <= buf->cap - buf->len)
        return true;
    if (more > buf->max || buf->len > buf->max - more)
        return false;
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap < buf->len + more)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    // Not realloc: it would leave a copy of the old bytes behind in freed memory.
    char *grown = mem_realloc(NULL, cap);
    if (buf->len)
        memcpy(grown, buf->ptr, buf->len);
    mem_wipe(buf->ptr, buf->len);
    mem_free(buf->ptr);
    buf->ptr = grown;
    buf->cap = cap;
    return true;
}

bool buf_append(struct buf *buf, struct str bytes)
{
    if (!buf_reserve(buf, bytes.len))
        return false;
    if (bytes.len)
        memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
    return true;
}

bool buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, (struct str){&c, 1});
}

bool buf_append_u64(struct buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return buf_append(buf, (struct str){digits + at, sizeof digits - at});
}

bool buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    bool ok = need >= 0 && buf_reserve(buf, (size_t)need + 1);
    if (ok) {
        vsnprintf(buf->ptr + buf->len, (size_t)need + 1, fmt, again);
        buf->len += (size_t)need;
    }
    va_end(again);
    return ok;
}

void buf_consume(struct buf *buf, size_t n)
{
    buf->len -= n;
    if (buf->len)
        memmove(buf->ptr, buf->ptr + n, buf->len);
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

char *buf_take(struct buf *buf)
{
    char *text = mem_strndup(buf->ptr, buf->len);
    buf_fini(buf);
    return text;
}
