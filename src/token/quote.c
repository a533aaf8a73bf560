// SPDX-License-Identifier: MIT
// See quote.h.
#include "token/quote.h"

#include <stdint.h>

// Length of the UTF-8 character at the front; 0: there is none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
static size_t utf8_len(struct str text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text.ptr[0];
    size_t len = first < 0x80           ? 1
                 : (first >> 5) == 0x06 ? 2
                 : (first >> 4) == 0x0e ? 3
                 : (first >> 3) == 0x1e ? 4
                                        : 0;
    if (!len || len > text.len)
        return 0;
    uint32_t code = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (c & 0x3f);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code >= least[len] && code <= 0x10ffff && !is_surrogate ? len : 0;
}

static bool quote_control(char c, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    return buf_append(out, STR("\\u00")) && buf_append_char(out, digits[(c >> 4) & 15]) &&
           buf_append_char(out, digits[c & 15]);
}

bool quote_json(struct str text, struct buf *out)
{
    bool ok = true;
    while (ok && text.len) {
        size_t len = utf8_len(text);
        char c = text.ptr[0];
        if (!len)
            return false;
        if (c == '"' || c == '\\')
            ok = buf_append_char(out, '\\') && buf_append_char(out, c);
        else if ((unsigned char)c < ' ')
            ok = quote_control(c, out);
        else
            ok = buf_append(out, (struct str){text.ptr, len});
        text = str_from(text, len);
    }
    return ok;
}

bool quote_json_string(struct str text, struct buf *out)
{
    return buf_append_char(out, '"') && quote_json(text, out) && buf_append_char(out, '"');
}
