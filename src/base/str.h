// SPDX-License-Identifier: MIT
// A view of bytes somebody else owns: not NUL-terminated, may hold any byte. All ASCII; no locale.
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
// For printf: "%.*s", STR_ARG(s)
#define STR_ARG(s) (int)(s).len, (s).len ? (s).ptr : ""

struct str str_of(const char *text);             // NULL gives an empty view
struct str str_from(struct str s, size_t start); // the rest of s from start on
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_has(struct str s, char c);
bool str_find(struct str s, char c, size_t *out_at);
int str_cmp(struct str a, struct str b); // memcmp order, shorter first
struct str str_trim(struct str s);       // without SP and HTAB at both ends

// Cuts the next token that ends before `sep` (or at the end) off *rest. False when nothing is left.
bool str_split(struct str *rest, char sep, struct str *out_piece);
// Cuts the next word (separated by SP, HTAB) off *rest. False when no word is left.
bool str_word(struct str *rest, struct str *out_word);

// Whole string as an unsigned decimal, no sign, no spaces. False on anything else and on overflow.
bool str_to_u64(struct str s, uint64_t *out);

char *str_dup(struct str s) __attribute__((warn_unused_result)); // NUL-terminated copy

int str_hex_digit(char c); // 0-15, or -1
bool str_is_tchar(char c); // RFC 9110 5.6.2 token character
bool str_is_token(struct str s);
char str_lower(char c);

// Levenshtein distance for "did you mean": cut off at `limit` + 1.
unsigned str_distance(struct str a, struct str b, unsigned limit);

#endif
