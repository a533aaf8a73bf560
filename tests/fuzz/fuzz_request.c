// SPDX-License-Identifier: MIT
// Request heads as the parser of our own takes them. Besides memory errors: what a head says does
// not depend on how it came (every prefix of a complete head asks for more, bytes behind it change
// nothing, an error stays one), and no part of a complete one holds what could end a line.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_view(struct str view, struct str head)
{
    REQUIRE(!view.len || (view.ptr >= head.ptr && view.ptr + view.len <= head.ptr + head.len));
    REQUIRE(!str_has(view, '\r') && !str_has(view, '\n') && !str_has(view, '\0'));
}

static enum h1_result parse(struct str bytes, struct h1_request *out, struct fields *fields)
{
    const char *why = "";
    enum h1_result result = h1_parse_request(bytes, out, fields, &why);
    REQUIRE((result == H1_ERROR) == (why != NULL));
    return result;
}

static void check_whole(const struct h1_request *request, const struct fields *fields,
                        struct str bytes)
{
    struct str head = {bytes.ptr, request->head_len};
    REQUIRE(head.len <= bytes.len && str_ends(head, STR("\r\n\r\n")));
    check_view(request->method, head);
    check_view(request->target, head);
    check_view(request->version, head);
    REQUIRE(str_is_token(request->method) && request->target.len && request->version.len == 8);
    REQUIRE(!str_has(request->target, ' ') && !str_has(request->target, '\t'));
    for (size_t i = 0; i < fields->count; i++) {
        check_view(fields->items[i].name, head);
        check_view(fields->items[i].value, head);
        REQUIRE(str_is_token(fields->items[i].name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fields fields;
    struct str bytes = {(const char *)data, size};
    struct h1_request request;
    enum h1_result result = parse(bytes, &request, &fields);
    if (result == H1_DONE)
        check_whole(&request, &fields, bytes);
    size_t head_len = result == H1_DONE ? request.head_len : size;
    for (size_t len = 0; len < head_len; len++) {
        enum h1_result before = parse((struct str){bytes.ptr, len}, &request, &fields);
        REQUIRE(before == H1_MORE || (before == H1_ERROR && result == H1_ERROR));
    }
    return 0;
}
