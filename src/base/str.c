// SPDX-License-Identifier: MIT
// See str.h.
#include "base/str.h"

#include <string.h>

#include "base/mem.h"

struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : STR_NONE;
}

struct str str_from(struct str s, size_t start)
{
    if (start >= s.len)
        return (struct str){s.ptr ? s.ptr + s.len : NULL, 0};
    return (struct str){s.ptr + start, s.len - start};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

char str_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i] && str_lower(a.ptr[i]) != str_lower(b.ptr[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){s.ptr, prefix.len}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

bool str_find(struct str s, char c, size_t *out_at)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    if (at && out_at)
        *out_at = (size_t)(at - s.ptr);
    return at != NULL;
}

bool str_has(struct str s, char c)
{
    return str_find(s, c, NULL);
}

int str_cmp(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len && is_blank(s.ptr[0]))
        s = str_from(s, 1);
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool str_split(struct str *rest, char sep, struct str *out_piece)
{
    if (!rest->ptr)
        return false;
    size_t at;
    if (str_find(*rest, sep, &at)) {
        *out_piece = (struct str){rest->ptr, at};
        *rest = str_from(*rest, at + 1);
    } else {
        *out_piece = *rest;
        *rest = STR_NONE; // a NULL pointer is "nothing left"; an empty last piece still counts
    }
    return true;
}

bool str_word(struct str *rest, struct str *out_word)
{
    size_t start = 0;
    while (start < rest->len && is_blank(rest->ptr[start]))
        start++;
    size_t end = start;
    while (end < rest->len && !is_blank(rest->ptr[end]))
        end++;
    if (end == start)
        return false;
    *out_word = (struct str){rest->ptr + start, end - start};
    *rest = str_from(*rest, end);
    return true;
}

bool str_to_u64(struct str s, uint64_t *out)
{
    if (!s.len)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

char *str_dup(struct str s)
{
    return mem_strndup(s.ptr, s.len);
}

int str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = str_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 9110 5.6.2. A look into a table is less than any reckoning, and each name has many of them.
static const bool tchars[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool str_is_tchar(char c)
{
    return tchars[(unsigned char)c];
}

bool str_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!tchars[(unsigned char)s.ptr[i]])
            return false;
    return s.len > 0;
}

unsigned str_distance(struct str a, struct str b, unsigned limit)
{
    unsigned row[65];
    if (a.len > 64 || b.len > 64)
        return limit + 1;
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned cost = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            unsigned gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = cost < gap ? cost : gap;
        }
    }
    return row[b.len] > limit ? limit + 1 : row[b.len];
}
