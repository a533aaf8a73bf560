// SPDX-License-Identifier: MIT
// Response heads. Besides memory errors: what a head says does not depend on how it came (every
// prefix of a complete head asks for more, bytes behind it change nothing, an error stays one), and
// what is called complete keeps the rules, checked here once more in the simplest way. And the
// whole response, body included, is what llhttp reads in the same bytes, or we refuse it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/second_reader.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static bool lies_in(struct str view, struct str bytes)
{
    return view.len == 0 || (view.ptr >= bytes.ptr && view.ptr + view.len <= bytes.ptr + bytes.len);
}

static bool is_clean(struct str view)
{
    return !str_has(view, '\r') && !str_has(view, '\n') && !str_has(view, '\0');
}

static void check_fields(const struct h1_response *response, struct str head)
{
    REQUIRE(response->fields.count <= FIELDS_MAX);
    for (size_t i = 0; i < response->fields.count; i++) {
        const struct field *field = &response->fields.items[i];
        REQUIRE(lies_in(field->name, head) && lies_in(field->value, head));
        REQUIRE(str_is_token(field->name) && is_clean(field->value));
        REQUIRE(str_eq(str_trim(field->value), field->value));
    }
}

static void check_framing(const struct h1_response *response, bool is_head)
{
    size_t lengths = fields_count(&response->fields, STR("content-length"));
    size_t codings = fields_count(&response->fields, STR("transfer-encoding"));
    bool must_be_empty =
        is_head || response->status < 200 || response->status == 204 || response->status == 304;
    REQUIRE(lengths + codings <= 1);
    REQUIRE(response->has_length == (lengths == 1));
    REQUIRE((response->framing == H1_NO_BODY) == must_be_empty);
    if (!must_be_empty) {
        enum h1_framing want = codings ? H1_CHUNKED : lengths ? H1_LENGTH : H1_UNTIL_CLOSE;
        REQUIRE(response->framing == want);
    }
    if (response->framing == H1_UNTIL_CLOSE)
        REQUIRE(!response->keep_alive);
    if (fields_list_has(&response->fields, STR("connection"), STR("close")))
        REQUIRE(!response->keep_alive);
    REQUIRE(!codings || response->minor == 1);
}

static void check_done(const struct h1_response *response, struct str bytes, bool is_head)
{
    struct str head = {bytes.ptr, response->head_len};
    REQUIRE(response->head_len <= bytes.len && str_ends(head, STR("\r\n\r\n")));
    REQUIRE(response->status >= 100 && response->status <= 599);
    REQUIRE(response->minor == 0 || response->minor == 1);
    REQUIRE(lies_in(response->reason, head) && is_clean(response->reason));
    check_fields(response, head);
    check_framing(response, is_head);
}

static bool is_same(const struct h1_response *a, const struct h1_response *b)
{
    if (a->status != b->status || a->minor != b->minor || a->head_len != b->head_len ||
        a->framing != b->framing || a->has_length != b->has_length ||
        a->content_length != b->content_length || a->keep_alive != b->keep_alive ||
        !str_eq(a->reason, b->reason) || a->fields.count != b->fields.count)
        return false;
    for (size_t i = 0; i < a->fields.count; i++)
        if (!str_eq(a->fields.items[i].name, b->fields.items[i].name) ||
            !str_eq(a->fields.items[i].value, b->fields.items[i].value))
            return false;
    return true;
}

// The first len bytes, in memory of their own size.
static enum h1_result parse_prefix(struct str bytes, size_t len, bool is_head,
                                   const struct h1_response *whole)
{
    struct h1_response response;
    const char *why;
    char *copy = malloc(len ? len : 1);
    REQUIRE(copy);
    if (len)
        memcpy(copy, bytes.ptr, len);
    enum h1_result result = h1_parse_response((struct str){copy, len}, is_head, &response, &why);
    REQUIRE((result == H1_ERROR) == (why != NULL));
    if (result == H1_DONE)
        REQUIRE(whole && is_same(&response, whole));
    free(copy);
    return result;
}

static void check_prefixes(struct str bytes, bool is_head, enum h1_result result,
                           const struct h1_response *whole)
{
    bool has_failed = false;
    size_t step = bytes.len > 400 ? bytes.len / 200 : 1;
    for (size_t len = 0; len < bytes.len; len += step) {
        enum h1_result part = parse_prefix(bytes, len, is_head, whole);
        REQUIRE(!has_failed || part == H1_ERROR);
        has_failed |= part == H1_ERROR;
        if (result == H1_DONE)
            REQUIRE(part == (len < whole->head_len ? H1_MORE : H1_DONE));
        else
            REQUIRE(part == H1_MORE || (part == H1_ERROR && result == H1_ERROR));
    }
    if (result == H1_DONE)
        REQUIRE(parse_prefix(bytes, whole->head_len, is_head, whole) == H1_DONE);
}

// A body as long as we say it is.
static void check_second_length(struct second_reader *second, const struct h1_response *response,
                                struct str rest)
{
    bool has_end = response->framing != H1_UNTIL_CLOSE;
    uint64_t len = response->framing == H1_LENGTH ? response->content_length : 0;
    bool is_whole = has_end && rest.len >= len;
    if (is_whole)
        rest.len = (size_t)len;
    REQUIRE(second_feed(second, rest) == rest.len);
    REQUIRE(!second->has_failed && second->is_whole == is_whole);
    REQUIRE(str_eq(buf_str(&second->body), rest));
    second_finish(second);
    REQUIRE(second->is_whole == (is_whole || !has_end));
}

static void check_second_chunks(struct second_reader *second, struct str rest)
{
    struct buf data, plain;
    buf_init(&data, SECOND_BYTES_MAX);
    buf_init(&plain, SECOND_BYTES_MAX);
    enum h1_result result = second_decode(rest, &data, &plain);
    if (result != H1_ERROR) {
        REQUIRE(second_feed(second, buf_str(&plain)) == plain.len);
        REQUIRE(!second->has_failed && second->is_whole == (result == H1_DONE));
        REQUIRE(str_eq(buf_str(&second->body), buf_str(&data)));
        second_finish(second);
        REQUIRE(second->is_whole == (result == H1_DONE));
    }
    buf_fini(&data);
    buf_fini(&plain);
}

static void check_second(const struct h1_response *response, struct str bytes, bool is_head)
{
    struct second_reader second;
    second_init(&second, HTTP_RESPONSE);
    second.is_answer_to_head = is_head;
    second_feed(&second, (struct str){bytes.ptr, response->head_len - 1});
    if (second_minds_tab(&second, &response->fields)) {
        second_fini(&second);
        return;
    }
    REQUIRE(!second.has_failed && !second.has_head);
    second_feed(&second, (struct str){bytes.ptr + response->head_len - 1, 1});
    REQUIRE(!second.has_failed && second.has_head);
    REQUIRE(llhttp_get_status_code(&second.parser) == response->status);
    REQUIRE(llhttp_get_http_minor(&second.parser) == response->minor);
    REQUIRE(second_has_fields(&second, &response->fields));
    REQUIRE(!response->keep_alive || llhttp_should_keep_alive(&second.parser));
    struct str rest = str_from(bytes, response->head_len);
    if (response->framing == H1_CHUNKED)
        check_second_chunks(&second, rest);
    else if (!second.is_other_protocol)
        check_second_length(&second, response, rest);
    second_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    bool is_head = data[0] == 'H';
    struct str bytes = {(const char *)data + 1, size - 1};
    struct h1_response response;
    const char *why;
    enum h1_result result = h1_parse_response(bytes, is_head, &response, &why);
    if (result == H1_DONE)
        check_done(&response, bytes, is_head);
    if (result == H1_DONE)
        check_second(&response, bytes, is_head);
    check_prefixes(bytes, is_head, result, result == H1_DONE ? &response : NULL);
    return 0;
}
