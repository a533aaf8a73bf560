// SPDX-License-Identifier: MIT
// What a server might take a path for. The readings are everything that the transforms of the table
// below make of the raw path, in any order, each as often as it changes something; escapes are
// decoded at most twice (target_parse refuses deeper ones). Any order, because servers differ in
// just that: nginx decodes, then merges slashes, then removes dot segments; Tomcat cuts parameters
// first; others remove dots before they decode.
//
// No transform makes a path longer, so memory is bounded: at most READINGS_MAX of them and
// SCRATCH_MAX bytes; a path that has more is not worth serving.
#include <string.h>

#include "proxy/target.h"

#define READINGS_MAX 256
#define SCRATCH_MAX  ((size_t)65536)

// Writes the transformed path (room for path.len bytes, at least 1), returns its length.
typedef size_t transform_fn(struct str path, char *out);

static size_t decode(struct str path, char *out, bool keep_slash)
{
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        int high = -1, low = -1;
        if (path.ptr[i] == '%' && path.len - i > 2) {
            high = str_hex_digit(path.ptr[i + 1]);
            low = str_hex_digit(path.ptr[i + 2]);
        }
        char byte = (char)(high * 16 + low);
        if (high < 0 || low < 0 || (keep_slash && byte == '/')) {
            out[len++] = path.ptr[i];
        } else {
            out[len++] = byte;
            i += 2;
        }
    }
    return len;
}

static size_t decode_all(struct str path, char *out)
{
    return decode(path, out, false);
}

static size_t decode_but_slash(struct str path, char *out)
{
    return decode(path, out, true);
}

static size_t backslash_to_slash(struct str path, char *out)
{
    memcpy(out, path.ptr, path.len);
    for (size_t i = 0; i < path.len; i++)
        if (out[i] == '\\')
            out[i] = '/';
    return path.len;
}

// "/a;x=1/b" is "/a/b" to servlet containers.
static size_t cut_parameters(struct str path, char *out)
{
    size_t len = 0;
    bool is_cut = false;
    for (size_t i = 0; i < path.len; i++) {
        is_cut = path.ptr[i] != '/' && (is_cut || path.ptr[i] == ';');
        if (!is_cut)
            out[len++] = path.ptr[i];
    }
    return len;
}

// A '?' or '#' that was encoded, to a proxy behind us that decodes and then parses again.
static size_t cut_at_query(struct str path, char *out)
{
    size_t len = 0;
    while (len < path.len && path.ptr[len] != '?' && path.ptr[len] != '#')
        len++;
    memcpy(out, path.ptr, len);
    return len;
}

static size_t merge_slashes(struct str path, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] != '/' || len == 0 || out[len - 1] != '/')
            out[len++] = path.ptr[i];
    return len;
}

// What stands behind two slashes is a host to those who take the target for a URL relative to their
// own (the standard's URL parser, Python's urlsplit): "//x/a" is "/a", and so is "///x/a".
static size_t cut_authority(struct str path, char *out)
{
    size_t at = 0;
    if (path.len < 2 || path.ptr[1] != '/') {
        memcpy(out, path.ptr, path.len);
        return path.len;
    }
    while (at < path.len && path.ptr[at] == '/')
        at++;
    while (at < path.len && path.ptr[at] != '/')
        at++;
    if (at == path.len) {
        out[0] = '/';
        return 1;
    }
    memcpy(out, path.ptr + at, path.len - at);
    return path.len - at;
}

static struct str segment_at(struct str path, size_t slash)
{
    struct str rest = str_from(path, slash + 1);
    const char *end = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    return (struct str){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
}

// Each segment without the dots and spaces at its end, as Windows has it. "." and ".." stay what
// they are, ".. " becomes one.
static size_t cut_tails(struct str path, char *out)
{
    size_t len = 0;
    for (size_t slash = 0; slash < path.len;) {
        struct str segment = segment_at(path, slash);
        slash += segment.len + 1;
        while (segment.len) {
            char last = segment.ptr[segment.len - 1];
            bool is_dots = str_eq(segment, STR(".")) || str_eq(segment, STR(".."));
            if (is_dots || (last != ' ' && last != '.'))
                break;
            segment.len--;
        }
        out[len++] = '/';
        memcpy(out + len, segment.ptr, segment.len);
        len += segment.len;
    }
    return len;
}

// RFC 3986 5.2.4. What would climb above the root stays there: those servers that do not refuse it
// clamp it.
static size_t remove_dots_rfc(struct str path, char *out)
{
    size_t len = 0;
    for (size_t slash = 0; slash < path.len;) {
        struct str segment = segment_at(path, slash);
        slash += segment.len + 1;
        bool is_up = str_eq(segment, STR(".."));
        if (!is_up && !str_eq(segment, STR("."))) {
            out[len++] = '/';
            memcpy(out + len, segment.ptr, segment.len);
            len += segment.len;
            continue;
        }
        while (is_up && len && out[--len] != '/')
            ;
        if (slash >= path.len) // a dot segment at the end leaves its slash
            out[len++] = '/';
    }
    return len;
}

// The same as path libraries do it, which leave no slash at the end: "/a/b/.." is "/a".
static size_t remove_dots_bare(struct str path, char *out)
{
    size_t len = remove_dots_rfc(path, out);
    bool had_slash = path.ptr[path.len - 1] == '/';
    return len > 1 && out[len - 1] == '/' && !had_slash ? len - 1 : len;
}

enum trait { // what a path must have for a transform to change it
    HAS_ESCAPE = 1,
    HAS_SEMICOLON = 2,
    HAS_BACKSLASH = 4,
    HAS_QUERY = 8,
    HAS_DOT_END = 16,   // of a segment; dot segments among them
    HAS_SPACE_END = 32, // likewise
    HAS_DOUBLE_SLASH = 64,
};

struct transform {
    transform_fn *apply;
    unsigned needs; // any of these
};

static const struct transform decoders[] = {
    {decode_all, HAS_ESCAPE},
    {decode_but_slash, HAS_ESCAPE},
};

static const struct transform transforms[] = {
    {remove_dots_rfc, HAS_DOT_END},    {remove_dots_bare, HAS_DOT_END},
    {merge_slashes, HAS_DOUBLE_SLASH}, {cut_authority, HAS_DOUBLE_SLASH},
    {cut_parameters, HAS_SEMICOLON},   {backslash_to_slash, HAS_BACKSLASH},
    {cut_at_query, HAS_QUERY},         {cut_tails, HAS_DOT_END | HAS_SPACE_END},
};

#define DECODE_DEPTH 2

static unsigned end_traits(char last)
{
    return last == '.' ? HAS_DOT_END : last == ' ' ? HAS_SPACE_END : 0;
}

static unsigned traits_of(struct str path)
{
    unsigned traits = 0;
    char before = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        switch (c) {
        case '/':
            traits |= before == '/' ? HAS_DOUBLE_SLASH : end_traits(before);
            break;
        case '%':
            traits |= HAS_ESCAPE;
            break;
        case ';':
            traits |= HAS_SEMICOLON;
            break;
        case '\\':
            traits |= HAS_BACKSLASH;
            break;
        case '?':
        case '#':
            traits |= HAS_QUERY;
            break;
        default:
            break;
        }
        before = c;
    }
    return traits | end_traits(before);
}

struct readings {
    struct str items[READINGS_MAX];
    uint32_t hashes[READINGS_MAX];
    size_t count;
    char *scratch;
    size_t used, cap;
    bool (*each)(void *arg, struct str reading);
    void *arg;
};

static uint32_t hash_of(struct str s)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 16777619u;
    return hash;
}

static bool readings_have(const struct readings *readings, struct str path, uint32_t hash)
{
    for (size_t i = 0; i < readings->count; i++)
        if (readings->hashes[i] == hash && str_eq(readings->items[i], path))
            return true;
    return false;
}

// The path that lies at the end of what is used of scratch becomes a reading, unless it is one.
static bool readings_add(struct readings *readings, size_t len)
{
    struct str path = {readings->scratch + readings->used, len};
    uint32_t hash = hash_of(path);
    if (readings_have(readings, path, hash))
        return true;
    if (readings->count == READINGS_MAX)
        return false;
    readings->items[readings->count] = path;
    readings->hashes[readings->count++] = hash;
    readings->used += len;
    return readings->each(readings->arg, path);
}

static bool readings_apply(struct readings *readings, struct str path,
                           const struct transform *table, size_t table_len)
{
    unsigned traits = traits_of(path);
    for (size_t i = 0; i < table_len; i++) {
        if (!(traits & table[i].needs))
            continue;
        if (readings->cap - readings->used < path.len)
            return false;
        size_t len = table[i].apply(path, readings->scratch + readings->used);
        if (!readings_add(readings, len))
            return false;
    }
    return true;
}

static bool readings_walk(struct readings *readings)
{
    size_t first = 0;
    for (unsigned depth = 0; depth <= DECODE_DEPTH; depth++) {
        // What was new at the depth before is decoded once more; then the rest in every order.
        size_t end = readings->count;
        for (size_t i = first; depth && i < end; i++)
            if (!readings_apply(readings, readings->items[i], decoders, ARRAY_LEN(decoders)))
                return false;
        first = depth ? end : 0;
        for (size_t i = first; i < readings->count; i++)
            if (!readings_apply(readings, readings->items[i], transforms, ARRAY_LEN(transforms)))
                return false;
    }
    return true;
}

bool target_each_reading(struct str path, bool (*each)(void *arg, struct str reading), void *arg)
{
    struct readings readings = {.each = each, .arg = arg};
    size_t wanted = path.len * READINGS_MAX;
    readings.cap = wanted < SCRATCH_MAX ? wanted : SCRATCH_MAX;
    if (readings.cap < 4 * path.len) // the ordinary escapes of a very long path
        readings.cap = 4 * path.len;
    readings.scratch = mem_realloc(NULL, readings.cap);
    memcpy(readings.scratch, path.ptr, path.len);
    bool is_agreed = readings_add(&readings, path.len) && readings_walk(&readings);
    mem_free(readings.scratch);
    return is_agreed;
}
