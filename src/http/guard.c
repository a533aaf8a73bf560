// SPDX-License-Identifier: MIT
// See guard.h. Two looks. At the content: tokens, values, Host, framing, whatever library is below.
// And, for libmicrohttpd before 1.0, at the layout: it parses where the bytes lie, overwriting each
// delimiter with NUL, and its pointers show what it made of them. A head read as RFC 9112 wants it
// leaves exactly
//
//     METHOD 0 TARGET 0 VERSION 0 0 (NAME 0 OWS VALUE 0 0)* 0 0
//
// without gap or rest, and all that this library reads otherwise (a folded line, which it appends
// to the NAME; a bare LF; a NUL; a line `:x`, which it takes for the end of the head) leaves
// something else. With one exception: a NUL or the colon of a lone `:` line can take the place of
// the CR that a bare LF lacks. Only somebody who forwards such lines for others could make use of
// that.
#include "http/guard.h"

#include <stdint.h>

#include "http/h1.h"

static const struct guard_verdict fine = {0, NULL};

static struct guard_verdict refuse(int status, const char *why)
{
    return (struct guard_verdict){status, why};
}

// -- content -----------------------------------------------------------------------------------

// The fields that decide about framing and routing.
struct guard_facts {
    unsigned host_count, length_count, coding_count;
    struct str host, length, coding;
};

// `Content_Length` is another field for us, and the same for those who turn names into variables.
static bool is_name_or_lookalike(struct str name, struct str wanted)
{
    if (name.len != wanted.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (str_lower(c) != wanted.ptr[i] && (c != '_' || wanted.ptr[i] != '-'))
            return false;
    }
    return true;
}

static struct guard_verdict note_field(const struct field *field, struct guard_facts *facts)
{
    unsigned *count;
    struct str *value;
    if (field->name.len == 4 && str_eq_nocase(field->name, STR("Host"))) {
        count = &facts->host_count;
        value = &facts->host;
    } else if (is_name_or_lookalike(field->name, STR("content-length"))) {
        count = &facts->length_count;
        value = &facts->length;
    } else if (is_name_or_lookalike(field->name, STR("transfer-encoding"))) {
        count = &facts->coding_count;
        value = &facts->coding;
    } else {
        return fine;
    }
    if (str_has(field->name, '_'))
        return refuse(400, "field name that resembles a framing field");
    ++*count;
    *value = field->value;
    return fine;
}

static struct guard_verdict check_fields(const struct fields *fields, struct guard_facts *facts)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (!field_name_is_valid(field->name))
            return refuse(400, "malformed field name");
        if (!field_value_is_valid(field->value))
            return refuse(400, "control character in a field value");
        struct guard_verdict verdict = note_field(field, facts);
        if (verdict.status)
            return verdict;
    }
    return fine;
}

static bool is_alnum(char c)
{
    char lower = str_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

// Length of the host in "host[:port]": an address in brackets, or a name as found in the wild. RFC
// 3986 allows much more (commas, percent-encoding), on which readers differ.
static size_t host_len(struct str host)
{
    size_t len = 0;
    if (host.len && host.ptr[0] == '[') {
        size_t end;
        if (!str_find(host, ']', &end) || end < 3)
            return 0;
        for (size_t i = 1; i < end; i++)
            if (str_hex_digit(host.ptr[i]) < 0 && host.ptr[i] != ':' && host.ptr[i] != '.')
                return 0;
        return end + 1;
    }
    while (len < host.len && (is_alnum(host.ptr[len]) || host.ptr[len] == '-' ||
                              host.ptr[len] == '.' || host.ptr[len] == '_' || host.ptr[len] == '~'))
        len++;
    return len;
}

static bool host_is_sane(struct str host)
{
    size_t len = host_len(host);
    if (!len || len == host.len)
        return len > 0;
    struct str port = str_from(host, len + 1);
    uint64_t number = 0;
    // "host:" with an empty port is allowed (RFC 3986 3.2.3).
    return host.ptr[len] == ':' && (!port.len || (str_to_u64(port, &number) && number <= 65535));
}

static struct guard_verdict check_host(const struct guard_facts *facts, bool is_http11)
{
    if (facts->host_count > 1)
        return refuse(400, "more than one Host");
    if (!facts->host_count)
        return is_http11 ? refuse(400, "no Host") : fine;
    return host_is_sane(str_trim(facts->host)) ? fine : refuse(400, "malformed Host");
}

// Codings we do not have, properly ended by one `chunked`: 501 (RFC 9112 6.1). Else the end of the
// body is anybody's guess: 400 (6.3).
static struct guard_verdict judge_other_coding(struct str list)
{
    unsigned chunked_count = 0;
    bool is_chunked = false;
    struct str item;
    while (field_list_next(&list, &item)) {
        is_chunked = str_eq_nocase(item, STR("chunked"));
        chunked_count += is_chunked;
    }
    if (chunked_count == 1 && is_chunked)
        return refuse(501, "Transfer-Encoding other than chunked");
    return refuse(400, "Transfer-Encoding does not end with one chunked");
}

static struct guard_verdict check_framing(const struct guard_facts *facts, bool is_http11)
{
    uint64_t length;
    if (facts->length_count > 1)
        return refuse(400, "more than one Content-Length");
    if (facts->length_count &&
        (!str_to_u64(str_trim(facts->length), &length) || length > H1_LENGTH_MAX))
        return refuse(400, "malformed Content-Length");
    if (!facts->coding_count)
        return fine;
    if (facts->length_count)
        return refuse(400, "both Content-Length and Transfer-Encoding");
    if (facts->coding_count > 1)
        return refuse(400, "more than one Transfer-Encoding");
    if (!is_http11)
        return refuse(400, "Transfer-Encoding in an HTTP/1.0 request");
    // Untrimmed: libmicrohttpd before 1.0 takes "chunked " for no chunked at all and reads until
    // close.
    if (str_eq_nocase(facts->coding, STR("chunked")))
        return fine;
    return judge_other_coding(facts->coding);
}

static struct guard_verdict check_content(const struct guard_input *input)
{
    struct guard_facts facts = {.host_count = 0};
    struct str version = str_of(input->version);
    bool is_http11 = str_eq(version, STR("HTTP/1.1"));
    if (!str_is_token(str_of(input->method)))
        return refuse(400, "malformed method");
    if (!input->target_len)
        return refuse(400, "no request target");
    if (!is_http11 && !str_eq(version, STR("HTTP/1.0")))
        return refuse(505, "the version is neither HTTP/1.0 nor HTTP/1.1");
    struct guard_verdict verdict = check_fields(input->fields, &facts);
    if (!verdict.status)
        verdict = check_host(&facts, is_http11);
    if (!verdict.status)
        verdict = check_framing(&facts, is_http11);
    return verdict;
}

// -- layout ------------------------------------------------------------------------------------

// Does ptr lie at offset `at` of the head? A foreign pointer never does.
static bool lies_at(struct str head, size_t at, const char *ptr)
{
    return (uintptr_t)ptr - (uintptr_t)head.ptr == at;
}

static size_t skip_blanks(struct str head, size_t at)
{
    while (at < head.len && (head.ptr[at] == ' ' || head.ptr[at] == '\t'))
        at++;
    return at;
}

// A delimiter of `count` NULs at *at, which moves behind it.
static bool skip_nuls(struct str head, size_t *at, size_t count)
{
    for (; count; count--, ++*at)
        if (*at >= head.len || head.ptr[*at])
            return false;
    return true;
}

// One part where it must lie, and the NULs that stand for its delimiter. A length that leads out of
// the head is found out by the NULs.
static bool skip_part(struct str head, size_t *at, struct str part, size_t nul_count)
{
    if (!lies_at(head, *at, part.ptr))
        return false;
    *at += part.len;
    return skip_nuls(head, at, nul_count);
}

static bool skip_request_line(struct str head, const struct guard_input *input, size_t *at)
{
    struct str target = {input->target, input->target_len};
    return skip_part(head, at, str_of(input->method), 1) && target.len > 0 &&
           skip_part(head, at, target, 1) && skip_part(head, at, str_of(input->version), 2);
}

static bool skip_field(struct str head, const struct field *field, size_t *at)
{
    if (!skip_part(head, at, field->name, 1))
        return false;
    *at = skip_blanks(head, *at);
    return skip_part(head, at, field->value, 2);
}

static struct guard_verdict check_layout(const struct guard_input *input)
{
    struct str head = {input->method, input->head_len};
    size_t at = 0;
    if (!head.len)
        return refuse(400, "request head of unknown extent");
    if (!skip_request_line(head, input, &at))
        return refuse(400, "malformed request line");
    for (size_t i = 0; i < input->fields->count; i++)
        if (!skip_field(head, &input->fields->items[i], &at))
            return refuse(400, "malformed field line");
    if (!skip_nuls(head, &at, 2) || at != head.len)
        return refuse(400, "malformed end of the request head");
    return fine;
}

struct guard_verdict guard_check(const struct guard_input *input)
{
    struct guard_verdict verdict = check_content(input);
    if (!verdict.status && input->in_place)
        verdict = check_layout(input);
    return verdict;
}
