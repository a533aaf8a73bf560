// SPDX-License-Identifier: MIT
// Request targets, taken apart. One pass over the bytes with a table; only a path that holds a '%'
// is looked at again. It refuses what no honest client sends and what servers are known to read
// differently; it does not know routes, and changes nothing.
//
// Paths are strict: RFC 3986's characters and '[' ']', which browsers and SDKs send raw. Queries
// never choose a route, so any printable ASCII but '#' passes there (`|{}"\` come raw from many
// clients, and a lone '%' too): refusing them would protect nobody.
#include "proxy/target.h"

#include <arpa/inet.h>
#include <string.h>

enum byte_class {
    IN_PATH = 1,
    IN_QUERY = 2,
    LOOK = 4, // '%', '/' and ';': may give the path a second reading
    IN_NAME = 8,
};

// clang-format off
static const unsigned char byte_classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
 // sp !  "  #  $  %  &  '  (  )  *  +  ,  -  .  /
    0, 3, 2, 0, 3, 7, 3, 3, 3, 3, 3, 3, 3, 11, 3, 7,
 // 0-9                                      :  ;  <  =  >  ?
    11, 11, 11, 11, 11, 11, 11, 11, 11, 11,  3, 7, 2, 3, 2, 2,
 // @  A-Z                                                        [  \  ]  ^  _
    3, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
    11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,                   3, 2, 3, 2, 11,
 // `  a-z                                                        {  |  }  ~
    2, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
    11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,                   2, 2, 2, 11, 0,
};
// clang-format on

static bool byte_is(char c, enum byte_class what)
{
    return byte_classes[(unsigned char)c] & what;
}

static bool refuse(const char **out_why, const char *why)
{
    *out_why = why;
    return false;
}

// ---- escapes

// The byte at *at of raw, decoded `depth` times; *at moves behind it. What is no escape at a depth
// stands for itself there. Two bytes of look-ahead at each depth, no memory.
static char next_decoded(struct str raw, size_t *at, unsigned depth)
{
    if (depth == 0)
        return raw.ptr[(*at)++];
    char c = next_decoded(raw, at, depth - 1);
    if (c != '%' || *at >= raw.len)
        return c;
    size_t behind = *at;
    int high = str_hex_digit(next_decoded(raw, &behind, depth - 1));
    if (high < 0 || behind >= raw.len)
        return c;
    int low = str_hex_digit(next_decoded(raw, &behind, depth - 1));
    if (low < 0)
        return c;
    *at = behind;
    return (char)(high * 16 + low);
}

struct utf8 { // what the next byte must be, while `more` of a character are to come
    unsigned more;
    unsigned char low, high;
};

// The table of Unicode's well-formed sequences (3.9): no overlong form, no surrogate, no more than
// U+10FFFF.
static bool utf8_start(struct utf8 *utf8, unsigned char byte)
{
    *utf8 = (struct utf8){.low = 0x80, .high = 0xbf};
    if (byte < 0x80)
        return true;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    utf8->more = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    switch (byte) {
    case 0xc2: // U+0080 to U+009F are controls, too
    case 0xe0:
        utf8->low = 0xa0;
        break;
    case 0xed:
        utf8->high = 0x9f;
        break;
    case 0xf0:
        utf8->low = 0x90;
        break;
    case 0xf4:
        utf8->high = 0x8f;
        break;
    default:
        break;
    }
    return true;
}

static bool utf8_feed(struct utf8 *utf8, unsigned char byte)
{
    if (!utf8->more)
        return utf8_start(utf8, byte);
    bool is_good = byte >= utf8->low && byte <= utf8->high;
    *utf8 = (struct utf8){.more = utf8->more - 1, .low = 0x80, .high = 0xbf};
    return is_good;
}

static bool escapes_are_whole(struct str path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '%' && (path.len - i < 3 || str_hex_digit(path.ptr[i + 1]) < 0 ||
                                   str_hex_digit(path.ptr[i + 2]) < 0))
            return false;
    return true;
}

static bool decoded_is_clean(struct str path, unsigned depth, const char **out_why)
{
    struct utf8 utf8 = {0};
    for (size_t at = 0; at < path.len;) {
        unsigned char byte = (unsigned char)next_decoded(path, &at, depth);
        if (byte < 0x20 || byte == 0x7f)
            return refuse(out_why, "the path holds an encoded control character");
        if (!utf8_feed(&utf8, byte))
            return refuse(out_why, "the path is not valid UTF-8 once it is decoded");
    }
    if (utf8.more)
        return refuse(out_why, "the path is not valid UTF-8 once it is decoded");
    return true;
}

// Beyond two there would be readings nobody looks at.
static bool is_decoded_by_two(struct str path)
{
    size_t two = 0, three = 0;
    while (two < path.len) {
        next_decoded(path, &two, 2);
        next_decoded(path, &three, 3);
        if (two != three)
            return false;
    }
    return true;
}

static bool escapes_are_clean(struct str path, const char **out_why)
{
    if (!escapes_are_whole(path))
        return refuse(out_why, "a '%' in the path is not followed by two hexadecimal digits");
    if (!decoded_is_clean(path, 1, out_why))
        return false;
    // Only an encoded '%' leaves anything to decode.
    if (!memmem(path.ptr, path.len, "%25", 3))
        return true;
    if (!decoded_is_clean(path, 2, out_why))
        return false;
    if (!is_decoded_by_two(path))
        return refuse(out_why, "the path is percent-encoded more than twice");
    return true;
}

// ---- path and query

// One pass: the end of the path, whether it has but one reading, whether there is a '%' in it.
static bool path_scan(struct str rest, struct target *out, const char **out_why)
{
    char before = 0;
    bool is_simple = true, has_escape = false;
    size_t i = 0;
    for (; i < rest.len; i++) {
        char c = rest.ptr[i];
        unsigned class = byte_classes[(unsigned char)c];
        if (!(class & IN_PATH))
            break;
        if (class & LOOK) {
            // A segment that ends in a dot: "." and ".." among them.
            is_simple &= c == '/' && before != '/' && before != '.';
            has_escape |= c == '%';
        }
        before = c;
    }
    if (i < rest.len && rest.ptr[i] != '?')
        return refuse(out_why, "the path holds a byte that a URL may not hold unencoded");
    out->path = (struct str){rest.ptr, i};
    out->is_simple = is_simple && before != '.';
    return !has_escape || escapes_are_clean(out->path, out_why);
}

static bool query_scan(struct str rest, struct target *out, const char **out_why)
{
    out->has_query = true;
    out->query = rest;
    for (size_t i = 0; i < rest.len; i++)
        if (!byte_is(rest.ptr[i], IN_QUERY))
            return refuse(out_why, "the query holds a space, a '#', a control character or a byte "
                                   "that is not ASCII");
    return true;
}

static bool path_and_query(struct str rest, struct target *out, const char **out_why)
{
    if (!path_scan(rest, out, out_why))
        return false;
    return out->path.len == rest.len || query_scan(str_from(rest, out->path.len + 1), out, out_why);
}

// ---- authority

static bool port_parse(struct str text, uint16_t *out_port)
{
    uint64_t port;
    // No leading zero: one spelling for each port.
    if (text.len == 0 || text.len > 5 || text.ptr[0] == '0' || !str_to_u64(text, &port) ||
        port > UINT16_MAX)
        return false;
    *out_port = (uint16_t)port;
    return true;
}

static bool ipv6_is_valid(struct str text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return inet_pton(AF_INET6, copy, &address) == 1;
}

// Labels of letters, digits, '-', '_', '~', none of them empty, with one dot at the end at most.
// RFC 3986 would allow escapes and punctuation in a name; no host that can be connected to has
// them.
static bool name_is_valid(struct str name)
{
    char before = '.';
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '.' ? before == '.' : !byte_is(c, IN_NAME))
            return false;
        before = c;
    }
    return name.len > 0 && name.len <= 254;
}

struct authority {
    struct str host; // without brackets, as written
    uint16_t port;   // 0: none
    bool is_ipv6;
};

static bool authority_parse(struct str text, struct authority *out)
{
    *out = (struct authority){0};
    size_t at;
    struct str rest;
    if (text.len && text.ptr[0] == '[') {
        if (!str_find(text, ']', &at))
            return false;
        out->is_ipv6 = true;
        out->host = (struct str){text.ptr + 1, at - 1};
        rest = str_from(text, at + 1);
    } else {
        at = str_find(text, ':', &at) ? at : text.len;
        out->host = (struct str){text.ptr, at};
        rest = str_from(text, at);
    }
    if (rest.len && (rest.ptr[0] != ':' || !port_parse(str_from(rest, 1), &out->port)))
        return false;
    return out->is_ipv6 ? ipv6_is_valid(out->host) : name_is_valid(out->host);
}

bool target_normal_authority(struct str authority, uint16_t default_port, char *out,
                             size_t *out_len)
{
    struct authority parts;
    if (!authority_parse(authority, &parts))
        return false;
    size_t len = 0, host_len = parts.host.len;
    if (!parts.is_ipv6 && parts.host.ptr[host_len - 1] == '.')
        host_len--;
    if (parts.is_ipv6)
        out[len++] = '[';
    for (size_t i = 0; i < host_len; i++)
        out[len++] = str_lower(parts.host.ptr[i]);
    if (parts.is_ipv6)
        out[len++] = ']';
    if (parts.port && parts.port != default_port) {
        // As written: ":" and digits without leading zeros stand at the end.
        size_t digits = parts.port > 9999  ? 5
                        : parts.port > 999 ? 4
                        : parts.port > 99  ? 3
                        : parts.port > 9   ? 2
                                           : 1;
        memcpy(out + len, authority.ptr + authority.len - digits - 1, digits + 1);
        len += digits + 1;
    }
    *out_len = len;
    return true;
}

bool target_normal_host(const struct target *target, struct str host_field, char *out,
                        size_t *out_len)
{
    bool is_own = target->authority.len > 0;
    *out_len = 0;
    if (!is_own && !host_field.len)
        return true;
    return target_normal_authority(is_own ? target->authority : host_field,
                                   target->is_https ? 443 : 80, out, out_len);
}

// ---- forms

static bool authority_set(struct str text, struct target *out, const char **out_why)
{
    struct authority parts;
    if (str_has(text, '@'))
        return refuse(out_why, "the target's authority holds user information");
    if (!authority_parse(text, &parts))
        return refuse(out_why, "the target's authority is not a valid host[:port]");
    out->authority = text;
    out->host = parts.host;
    out->port = parts.port;
    return true;
}

static bool absolute_parse(struct str rest, struct str method, struct target *out,
                           const char **out_why)
{
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    out->form = TARGET_ABSOLUTE;
    out->is_simple = true;
    if (!authority_set((struct str){rest.ptr, end}, out, out_why))
        return false;
    rest = str_from(rest, end);
    if (rest.len && rest.ptr[0] == '/')
        return path_and_query(rest, out, out_why);
    out->path = !rest.len && str_eq(method, STR("OPTIONS")) ? STR("*") : STR("/");
    return !rest.len || query_scan(str_from(rest, 1), out, out_why);
}

static bool scheme_cut(struct str *rest, struct str scheme)
{
    if (rest->len < scheme.len || !str_eq_nocase((struct str){rest->ptr, scheme.len}, scheme))
        return false;
    *rest = str_from(*rest, scheme.len);
    return true;
}

static bool other_form_parse(struct str raw, struct str method, struct target *out,
                             const char **out_why)
{
    if (str_eq(raw, STR("*"))) {
        *out = (struct target){.form = TARGET_ASTERISK, .path = raw, .is_simple = true};
        if (!str_eq(method, STR("OPTIONS")))
            return refuse(out_why, "the target '*' is for OPTIONS only");
        return true;
    }
    struct str rest = raw;
    out->is_https = scheme_cut(&rest, STR("https://"));
    if (out->is_https || scheme_cut(&rest, STR("http://")))
        return absolute_parse(rest, method, out, out_why);
    return refuse(out_why,
                  "the target is neither a path that starts with '/' nor an http or https URL");
}

bool target_parse(struct str raw, struct str method, struct target *out, const char **out_why)
{
    *out = (struct target){.form = TARGET_ORIGIN};
    *out_why = NULL;
    if (str_eq(method, STR("CONNECT"))) {
        out->form = TARGET_AUTHORITY;
        if (!authority_set(raw, out, out_why))
            return false;
        return out->port || refuse(out_why, "the target of CONNECT must name a port");
    }
    if (raw.len && raw.ptr[0] == '/')
        return path_and_query(raw, out, out_why);
    return other_form_parse(raw, method, out, out_why);
}
