// SPDX-License-Identifier: MIT
// Raw request heads through the model of libmicrohttpd 0.9.75's parser into the guard. What the
// guard lets pass must be what a plain strict reader of the raw bytes sees: the same fields in the
// same order, the same end. And a head that reader accepts is never refused for its layout.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mhd_in_place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

// A line that ends with CRLF and has no LF or NUL inside. (A CR in a value is a control character;
// in the target it is target.h's to refuse, with all the others.)
static bool take_line(struct str *rest, struct str *out_line)
{
    size_t at;
    if (!str_find(*rest, '\n', &at) || at == 0 || rest->ptr[at - 1] != '\r')
        return false;
    *out_line = (struct str){rest->ptr, at - 1};
    *rest = str_from(*rest, at + 1);
    return !str_has(*out_line, '\0');
}

// RFC 9112 by the letter. *out_head_len: up to the end of the blank line.
static bool read_strictly(struct str raw, struct fields *out, size_t *out_head_len)
{
    struct str rest = raw, line, method, target;
    out->count = 0;
    if (!take_line(&rest, &line) || !str_split(&line, ' ', &method) || !str_is_token(method) ||
        !str_split(&line, ' ', &target) || !target.len ||
        (!str_eq(line, STR("HTTP/1.1")) && !str_eq(line, STR("HTTP/1.0"))))
        return false;
    while (take_line(&rest, &line)) {
        *out_head_len = raw.len - rest.len;
        struct str name;
        if (!line.len)
            return true;
        if (!str_has(line, ':') || !str_split(&line, ':', &name) || !str_is_token(name) ||
            !field_value_is_valid(line) || !fields_add(out, name, str_trim(line)))
            return false;
    }
    return false;
}

// A bare LF together with what can make up for its missing CR (see guard.c).
static bool has_residual(struct str raw)
{
    bool has_bare = false, has_filler = str_has(raw, '\0');
    for (size_t i = 0; i < raw.len; i++) {
        bool is_lf = raw.ptr[i] == '\n';
        has_bare |= is_lf && (i == 0 || raw.ptr[i - 1] != '\r');
        has_filler |= is_lf && i + 1 < raw.len && raw.ptr[i + 1] == ':';
    }
    return has_bare && has_filler;
}

static void require_same(const struct mhd_head *head, const struct fields *strict, size_t head_len)
{
    REQUIRE(head->at == head_len && head->fields.count == strict->count);
    for (size_t i = 0; i < strict->count; i++) {
        const struct field *ours = &head->fields.items[i];
        REQUIRE(str_eq(ours->name, strict->items[i].name));
        REQUIRE(str_eq(str_trim(ours->value), strict->items[i].value));
    }
}

static void check_head(struct mhd_head *head, struct str raw)
{
    struct fields strict;
    size_t head_len = 0;
    bool is_strict = read_strictly(raw, &strict, &head_len);
    struct guard_verdict verdict = guard_check(&head->input);
    head->input.in_place = false;
    bool is_content_fine = !guard_check(&head->input).status;
    REQUIRE(!verdict.status == !verdict.why);
    if (!verdict.status) {
        REQUIRE(is_strict && is_content_fine);
        require_same(head, &strict, head_len);
    } else if (is_strict) {
        REQUIRE(!is_content_fine);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str raw = {(const char *)data, size};
    struct mhd_head head;
    if (!size || has_residual(raw))
        return 0;
    if (mhd_head_init(&head, raw.ptr, raw.len))
        check_head(&head, raw);
    mhd_head_fini(&head);
    return 0;
}
