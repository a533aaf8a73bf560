// SPDX-License-Identifier: MIT
// JSON (RFC 8259) written into a buffer, in ASCII, with commas where they belong. What does not fit
// below the buffer's ceiling is an error that is told once, at the end. It does not read JSON.
#ifndef BASE_JSON_OUT_H
#define BASE_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json_out {
    struct buf *out;
    bool is_first; // nothing stands yet in the innermost object or array
    bool has_failed;
};

void json_out_init(struct json_out *json, struct buf *out);
// name: within an object; NULL within an array and for the outermost value.
void json_open(struct json_out *json, const char *name, char bracket);     // '{' or '['
void json_close(struct json_out *json, char bracket);                      // '}' or ']'
void json_text(struct json_out *json, const char *name, const char *text); // NULL gives null
void json_str(struct json_out *json, const char *name, struct str text);
void json_number(struct json_out *json, const char *name, uint64_t number);
void json_signed(struct json_out *json, const char *name, int64_t number);
void json_seconds(struct json_out *json, const char *name, int64_t milliseconds); // 1.5
void json_bool(struct json_out *json, const char *name, bool value);
void json_null(struct json_out *json, const char *name);
bool json_end(struct json_out *json) WARN_UNUSED; // false: it did not fit

// The code of the character that text, which is not empty, begins with, if that is valid UTF-8 (RFC
// 3629 4) of more than one byte; its length, or 0.
size_t utf8_decode(struct str text, uint32_t *out);

// The next character of *text as it stands between quotes, at most JSON_CHAR_MAX bytes of ASCII;
// returns how many. Whatever is not UTF-8 becomes the replacement character. *text is not empty.
#define JSON_CHAR_MAX 12
size_t json_char(struct str *text, char out[JSON_CHAR_MAX]);

#endif
