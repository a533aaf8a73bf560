// SPDX-License-Identifier: MIT
// Raw request heads through the model of libmicrohttpd 0.9.75's parser into the guard. What the
// guard lets pass must be what a plain strict reader of the raw bytes sees: the same fields in the
// same order, the same end. And a head that reader accepts is never refused for its layout. The
// parser of our own, for connections that libmicrohttpd has no part in, reads what that reader
// does.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/mhd_in_place.h"
#include "../support/strict_request.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

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

static void require_same(const struct mhd_head *head, const struct strict_request *strict)
{
    REQUIRE(head->at == strict->head_len && head->fields.count == strict->fields.count);
    for (size_t i = 0; i < strict->fields.count; i++) {
        const struct field *ours = &head->fields.items[i];
        REQUIRE(str_eq(ours->name, strict->fields.items[i].name));
        REQUIRE(str_eq(str_trim(ours->value), strict->fields.items[i].value));
    }
}

static void check_head(struct mhd_head *head, struct str raw)
{
    struct strict_request strict;
    bool is_strict = strict_head(raw, &strict) == STRICT_DONE;
    struct guard_verdict verdict = guard_check(&head->input);
    head->input.in_place = false;
    bool is_content_fine = !guard_check(&head->input).status;
    REQUIRE(!verdict.status == !verdict.why);
    if (!verdict.status) {
        REQUIRE(is_strict && is_content_fine);
        require_same(head, &strict);
    } else if (is_strict) {
        REQUIRE(!is_content_fine);
    }
}

// It leaves the version to the guard, and refuses control characters in the target.
static void check_own(struct str raw)
{
    struct strict_request strict;
    struct h1_request head;
    struct fields fields;
    const char *why;
    enum h1_result result = h1_parse_request(raw, &head, &fields, &why);
    REQUIRE((result == H1_ERROR) == (why != NULL));
    enum strict_result wanted = strict_head(raw, &strict);
    if (wanted == STRICT_DONE && field_value_is_valid(strict.target) &&
        !str_has(strict.target, '\t'))
        REQUIRE(result == H1_DONE);
    if (result != H1_DONE)
        return;
    bool is_known = str_eq(head.version, STR("HTTP/1.1")) || str_eq(head.version, STR("HTTP/1.0"));
    REQUIRE(wanted == STRICT_DONE || !is_known);
    if (!is_known)
        return;
    REQUIRE(str_eq(head.method, strict.method) && str_eq(head.target, strict.target));
    REQUIRE(head.head_len == strict.head_len && fields.count == strict.fields.count);
    for (size_t i = 0; i < fields.count; i++) {
        REQUIRE(str_eq(fields.items[i].name, strict.fields.items[i].name));
        REQUIRE(str_eq(fields.items[i].value, strict.fields.items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str raw = {(const char *)data, size};
    struct mhd_head head;
    check_own(raw);
    if (!size || has_residual(raw))
        return 0;
    if (mhd_head_init(&head, raw.ptr, raw.len))
        check_head(&head, raw);
    mhd_head_fini(&head);
    return 0;
}
