// SPDX-License-Identifier: MIT
// A message's fields as views, in the order and case they came, duplicates kept (RFC 9110 5.3).
// Pure: owns no bytes; a view is good as long as the message it was cut from.
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct field {
    struct str name, value; // value without leading and trailing white space
};

#define FIELDS_MAX 128 // per message; more are refused (431 or 502)

// 4 KiB: to empty it set count = 0, never clear the whole of it.
struct fields {
    struct field items[FIELDS_MAX];
    size_t count;
};

bool fields_add(struct fields *fields, struct str name, struct str value) WARN_UNUSED;
// First field of that name, case-insensitive; NULL if there is none.
const struct field *fields_find(const struct fields *fields, struct str name);
size_t fields_count(const struct fields *fields, struct str name);
// Does a comma-separated list (all lines of `name` together) hold `token`, case-insensitive?
bool fields_list_has(const struct fields *fields, struct str name, struct str token);

// Cuts the next item off a comma-separated list, white space around it removed, empty ones skipped.
// Knows no quoted strings: for lists of tokens.
bool field_list_next(struct str *rest, struct str *out_item);

// Hop-by-hop by RFC 9110 7.6.1: Connection, Proxy-Connection, Keep-Alive, TE, Trailer,
// Transfer-Encoding, Upgrade, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info.
bool field_is_hop_by_hop(struct str name);

// The field names that a message's Connection fields name beyond the hop-by-hop ones: usually none.
// Host, Content-Length and Authorization cannot be named away.
#define CONNECTION_NAMES_MAX 16
struct connection_names {
    const struct fields *fields;
    struct str names[CONNECTION_NAMES_MAX];
    size_t count;
    bool is_whole; // false: more than fit, then the fields themselves are asked
};

// One walk over the message, so that asking for each of its fields in turn costs next to nothing.
void connection_names_init(struct connection_names *names, const struct fields *fields);
// Is `name` to be dropped from this message: hop-by-hop, or named in its Connection fields?
bool connection_names_has(const struct connection_names *names, struct str name);
// The same for a single question.
bool fields_is_connection_bound(const struct fields *fields, struct str name);

bool field_name_is_valid(struct str name);   // RFC 9110 token
bool field_value_is_valid(struct str value); // no control characters but HTAB; obs-text allowed
bool field_value_allows(char c);             // may this byte stand in a value?
// Surely no control character in it: cheap, and true of nearly all.
bool field_text_is_plain(struct str text);

#endif
