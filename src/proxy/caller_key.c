// SPDX-License-Identifier: MIT
// client_key: did the caller present it? Compared in constant time.
#include "proxy/caller_private.h"

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Into out (room for text.len * 3 / 4 bytes). Padding may be missing; anything else odd is refused.
static bool base64_decode(struct str text, char *out, size_t *out_len)
{
    for (int pad = 0; pad < 2 && text.len && text.ptr[text.len - 1] == '='; pad++)
        text.len--;
    unsigned bits = 0, held = 0;
    *out_len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        held = held << 6 | (unsigned)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[(*out_len)++] = (char)(held >> bits & 0xff);
        }
    }
    return bits < 6;
}

static bool key_is(const struct caller_rules *rules, struct str key)
{
    return !mem_secret_differs(key.ptr, key.len, rules->key.ptr, rules->key.len);
}

// Basic: the user's name may be anything, the key is the password.
static bool basic_is_key(const struct caller_rules *rules, struct str text)
{
    char plain[CALLER_KEY_MAX * 2];
    size_t len, colon;
    if (text.len / 4 * 3 + 3 > sizeof plain)
        return false;
    bool is_key = base64_decode(text, plain, &len) &&
                  str_find((struct str){plain, len}, ':', &colon) &&
                  key_is(rules, str_from((struct str){plain, len}, colon + 1));
    mem_wipe(plain, sizeof plain);
    return is_key;
}

bool caller_has_key(const struct caller_rules *rules, const struct fields *fields)
{
    const struct field *field = fields_find(fields, STR("X-Bearerd-Key"));
    if (field && key_is(rules, field->value))
        return true;
    field = fields_find(fields, STR("Proxy-Authorization"));
    struct str scheme, rest = field ? field->value : STR_NONE;
    if (!str_word(&rest, &scheme))
        return false;
    rest = str_trim(rest);
    if (str_eq_nocase(scheme, STR("Bearer")))
        return key_is(rules, rest);
    return str_eq_nocase(scheme, STR("Basic")) && basic_is_key(rules, rest);
}
