// SPDX-License-Identifier: MIT
// See headers.h. Every function here runs once or more per field of each message, so names are told
// apart by length and first letter before their bytes are looked at.
#include "http/headers.h"

#include <string.h>

// Letters that differ in case differ in bit 0x20 only; a false match is sorted out by the second
// test.
static bool name_is(struct str name, struct str other)
{
    return name.len == other.len && name.len && !((name.ptr[0] ^ other.ptr[0]) & ~0x20) &&
           str_eq_nocase(name, other);
}

bool fields_add(struct fields *fields, struct str name, struct str value)
{
    if (fields->count >= FIELDS_MAX)
        return false;
    fields->items[fields->count++] = (struct field){name, value};
    return true;
}

const struct field *fields_find(const struct fields *fields, struct str name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (name_is(fields->items[i].name, name))
            return &fields->items[i];
    return NULL;
}

size_t fields_count(const struct fields *fields, struct str name)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++)
        count += name_is(fields->items[i].name, name);
    return count;
}

bool field_list_next(struct str *rest, struct str *out_item)
{
    struct str item;
    while (str_split(rest, ',', &item)) {
        *out_item = str_trim(item);
        if (out_item->len)
            return true;
    }
    return false;
}

bool fields_list_has(const struct fields *fields, struct str name, struct str token)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (!name_is(fields->items[i].name, name))
            continue;
        struct str rest = fields->items[i].value;
        struct str item;
        while (field_list_next(&rest, &item))
            if (str_eq_nocase(item, token))
                return true;
    }
    return false;
}

bool field_is_hop_by_hop(struct str name)
{
    switch (name.len) {
    case 2:
        return name_is(name, STR("TE"));
    case 7:
        return name_is(name, STR("Upgrade")) || name_is(name, STR("Trailer"));
    case 10:
        return name_is(name, STR("Connection")) || name_is(name, STR("Keep-Alive"));
    case 16:
        return name_is(name, STR("Proxy-Connection"));
    case 17:
        return name_is(name, STR("Transfer-Encoding"));
    case 18:
        return name_is(name, STR("Proxy-Authenticate"));
    case 19:
        return name_is(name, STR("Proxy-Authorization"));
    case 25:
        return name_is(name, STR("Proxy-Authentication-Info"));
    default:
        return false;
    }
}

// A peer that names one of these away would change what the message is, or whose it is.
static bool is_never_dropped(struct str name)
{
    return name_is(name, STR("Host")) || name_is(name, STR("Content-Length")) ||
           name_is(name, STR("Authorization"));
}

static void connection_names_add(struct connection_names *names, struct str list)
{
    struct str item;
    while (field_list_next(&list, &item)) {
        // Connection options that are no field names, and names that are dropped anyhow.
        if (name_is(item, STR("close")) || field_is_hop_by_hop(item) || is_never_dropped(item))
            continue;
        if (names->count == CONNECTION_NAMES_MAX) {
            names->is_whole = false;
            return;
        }
        names->names[names->count++] = item;
    }
}

void connection_names_init(struct connection_names *names, const struct fields *fields)
{
    names->fields = fields;
    names->count = 0;
    names->is_whole = true;
    for (size_t i = 0; i < fields->count; i++)
        if (name_is(fields->items[i].name, STR("Connection")))
            connection_names_add(names, fields->items[i].value);
}

bool connection_names_has(const struct connection_names *names, struct str name)
{
    if (field_is_hop_by_hop(name))
        return true;
    for (size_t i = 0; i < names->count; i++)
        if (name_is(name, names->names[i]))
            return true;
    return !names->is_whole && !is_never_dropped(name) &&
           fields_list_has(names->fields, STR("Connection"), name);
}

bool fields_is_connection_bound(const struct fields *fields, struct str name)
{
    return field_is_hop_by_hop(name) ||
           (!is_never_dropped(name) && fields_list_has(fields, STR("Connection"), name));
}

bool field_name_is_valid(struct str name)
{
    return str_is_token(name);
}

bool field_value_allows(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x20 ? byte != 0x7f : byte == '\t';
}

#define EACH_BYTE(byte) (UINT64_MAX / 255 * (byte))

// Of eight bytes: is any of them below 0x20, or 0x7f? Borrows run upwards only, past a byte that is
// already guilty, so a word without one is never flagged.
static uint64_t suspects(uint64_t word)
{
    uint64_t below = (word - EACH_BYTE(0x20)) & ~word;
    uint64_t del = word ^ EACH_BYTE(0x7f);
    uint64_t is_del = (del - EACH_BYTE(0x01)) & ~del;
    return (below | is_del) & EACH_BYTE(0x80);
}

static uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

bool field_text_is_plain(struct str text)
{
    uint64_t found = 0;
    size_t at = 0;
    for (; at + 8 <= text.len; at += 8)
        found |= suspects(load_word(text.ptr + at));
    if (at < text.len && text.len >= 8) { // the rest, and some of what was seen
        found |= suspects(load_word(text.ptr + text.len - 8));
    } else {
        uint64_t word = EACH_BYTE(' ');
        for (; at < text.len; at++)
            word = word << 8 | (unsigned char)text.ptr[at];
        found |= suspects(word);
    }
    return !found;
}

bool field_value_is_valid(struct str value)
{
    if (field_text_is_plain(value))
        return true;
    for (size_t at = 0; at < value.len; at++) // it may be a tab
        if (!field_value_allows(value.ptr[at]))
            return false;
    return true;
}
