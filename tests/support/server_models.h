// SPDX-License-Identifier: MIT
// How web servers read the path of a request, as pure functions on it: nginx, Apache, lighttpd,
// programs on Node.js, Tomcat, each as it can be set up, and some that are only thinkable. Written
// apart from the router, for its fuzz target; test_path_confusion.py holds them to the real
// servers.
#ifndef TESTS_SERVER_MODELS_H
#define TESTS_SERVER_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MODEL_PATH_MAX 1024

struct model_path {
    char bytes[MODEL_PATH_MAX];
    size_t len;
};

static inline int model_hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87 : -1;
}

// The byte that an escape at `at` stands for, or -1.
static inline int model_escape(const struct model_path *path, size_t at)
{
    if (path->bytes[at] != '%' || at + 2 >= path->len)
        return -1;
    int high = model_hex(path->bytes[at + 1]), low = model_hex(path->bytes[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

enum model_decode { DECODE_ALL, DECODE_UNRESERVED, DECODE_BUT_SLASH, DECODE_NO_SLASH };

static inline bool model_is_unreserved(int c)
{
    int low = c | 32;
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

// False: an escaped slash where it is not allowed, NUL, or a malformed escape.
static inline bool model_decode(struct model_path *path, enum model_decode how)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++) {
        int byte = model_escape(path, i);
        if (path->bytes[i] == '%' && byte <= 0)
            return false;
        bool stays = byte < 0 || (how == DECODE_UNRESERVED && !model_is_unreserved(byte)) ||
                     (how == DECODE_BUT_SLASH && byte == '/');
        if (byte == '/' && how == DECODE_NO_SLASH)
            return false;
        path->bytes[len++] = stays ? path->bytes[i] : (char)byte;
        i += stays ? 0 : 2;
    }
    path->len = len;
    return true;
}

static inline void model_turn_backslashes(struct model_path *path)
{
    for (size_t i = 0; i < path->len; i++)
        if (path->bytes[i] == '\\')
            path->bytes[i] = '/';
}

static inline void model_cut_params(struct model_path *path)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++) {
        if (path->bytes[i] == ';')
            while (i + 1 < path->len && path->bytes[i + 1] != '/')
                i++;
        else
            path->bytes[len++] = path->bytes[i];
    }
    path->len = len;
}

static inline void model_merge(struct model_path *path)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++)
        if (i == 0 || path->bytes[i] != '/' || path->bytes[i - 1] != '/')
            path->bytes[len++] = path->bytes[i];
    path->len = len;
}

// How many dots a segment is, 0 if it is more than dots; escaped ones count if told so.
static inline unsigned model_dots(const struct model_path *path, size_t at, size_t end,
                                  bool escaped)
{
    unsigned dots = 0;
    while (at < end) {
        if (path->bytes[at] == '.')
            at++;
        else if (escaped && at + 3 <= end && model_escape(path, at) == '.')
            at += 3;
        else
            return 0;
        dots++;
    }
    return dots;
}

enum { DOTS_STRICT = 1, DOTS_ESCAPED = 2, DOTS_BARE = 4 };

// A dot segment at the end leaves its slash, or not (DOTS_BARE). False: climbs above the root,
// where that is refused (DOTS_STRICT); else it stays there.
static inline bool model_remove_dots(struct model_path *path, unsigned flags)
{
    struct model_path out = {.len = 0};
    bool ends_open = false;
    for (size_t at = 1; at <= path->len;) {
        size_t end = at;
        while (end < path->len && path->bytes[end] != '/')
            end++;
        unsigned dots = model_dots(path, at, end, flags & DOTS_ESCAPED);
        ends_open = dots == 1 || dots == 2;
        if (dots == 2) {
            if (!out.len && flags & DOTS_STRICT)
                return false;
            while (out.len && out.bytes[--out.len] != '/')
                ;
        } else if (dots != 1) {
            out.bytes[out.len++] = '/';
            memcpy(out.bytes + out.len, path->bytes + at, end - at);
            out.len += end - at;
        }
        at = end + 1;
    }
    if (!out.len || (ends_open && !(flags & DOTS_BARE)))
        out.bytes[out.len++] = '/';
    *path = out;
    return true;
}

// ---- the servers: false when they refuse

static inline bool model_nginx(struct model_path *path)
{
    if (!model_decode(path, DECODE_ALL))
        return false;
    model_merge(path);
    return model_remove_dots(path, DOTS_STRICT);
}

static inline bool model_nginx_unmerged(struct model_path *path)
{
    return model_decode(path, DECODE_ALL) && model_remove_dots(path, DOTS_STRICT);
}

static inline bool model_apache_first(struct model_path *path, bool merges)
{
    if (!model_decode(path, DECODE_UNRESERVED))
        return false;
    if (merges)
        model_merge(path);
    return model_remove_dots(path, DOTS_STRICT);
}

static inline bool model_apache(struct model_path *path)
{
    return model_apache_first(path, true) && model_decode(path, DECODE_NO_SLASH);
}

static inline bool model_apache_decode(struct model_path *path)
{
    return model_apache_first(path, false) && model_decode(path, DECODE_ALL) &&
           model_remove_dots(path, DOTS_STRICT);
}

static inline bool model_apache_nodecode(struct model_path *path)
{
    return model_apache_first(path, true) && model_decode(path, DECODE_BUT_SLASH);
}

static inline bool model_lighttpd(struct model_path *path)
{
    if (!model_decode(path, DECODE_ALL))
        return false;
    model_merge(path);
    return model_remove_dots(path, 0);
}

// The standard's parser: what follows two slashes is a host, escaped dots are dots.
static inline bool model_url(struct model_path *path)
{
    size_t at = 0;
    model_turn_backslashes(path);
    if (path->len > 1 && path->bytes[1] == '/') {
        while (at < path->len && path->bytes[at] == '/')
            at++;
        if (at == path->len)
            return false; // no host
        while (at < path->len && path->bytes[at] != '/')
            at++;
        if (at == path->len)
            path->bytes[--at] = '/';
        memmove(path->bytes, path->bytes + at, path->len - at);
        path->len -= at;
    }
    return model_remove_dots(path, DOTS_ESCAPED);
}

// As path.normalize() does.
static inline bool model_normalize(struct model_path *path)
{
    model_merge(path);
    return model_remove_dots(path, 0);
}

static inline bool model_node_url(struct model_path *path)
{
    return model_url(path) && model_decode(path, DECODE_ALL) && model_normalize(path);
}

static inline bool model_node_url_raw(struct model_path *path)
{
    return model_url(path) && model_normalize(path);
}

static inline bool model_node_plain(struct model_path *path)
{
    return model_decode(path, DECODE_ALL) && model_normalize(path);
}

static inline bool model_node_twice(struct model_path *path)
{
    return model_decode(path, DECODE_ALL) && model_node_plain(path);
}

// A decoded slash, or two dots, within a segment is no separator: it is escaped again.
static inline bool model_node_segments(struct model_path *path)
{
    return model_decode(path, DECODE_BUT_SLASH) && model_normalize(path);
}

static inline bool model_node_raw(struct model_path *path)
{
    return model_normalize(path);
}

static inline bool model_tomcat_with(struct model_path *path, enum model_decode how, bool turns)
{
    model_cut_params(path);
    if (!model_decode(path, how))
        return false;
    if (turns)
        model_turn_backslashes(path);
    else if (memchr(path->bytes, '\\', path->len))
        return false;
    model_merge(path);
    return model_remove_dots(path, DOTS_STRICT | DOTS_BARE);
}

static inline bool model_tomcat(struct model_path *path)
{
    return model_tomcat_with(path, DECODE_NO_SLASH, false);
}

static inline bool model_tomcat_decode(struct model_path *path)
{
    return model_tomcat_with(path, DECODE_ALL, true);
}

// Of these there is no real one to compare with: a proxy in front that decodes, and the like.
static inline bool model_decode_twice_turn(struct model_path *path)
{
    if (!model_decode(path, DECODE_ALL) || !model_decode(path, DECODE_ALL))
        return false;
    model_turn_backslashes(path);
    return model_remove_dots(path, DOTS_STRICT);
}

static inline bool model_params_late(struct model_path *path)
{
    if (!model_decode(path, DECODE_ALL))
        return false;
    model_cut_params(path);
    model_merge(path);
    return model_remove_dots(path, 0);
}

static inline bool model_dots_first(struct model_path *path)
{
    return model_remove_dots(path, DOTS_STRICT) && model_decode(path, DECODE_ALL);
}

static inline bool model_dots_unmerged(struct model_path *path)
{
    if (!model_decode(path, DECODE_ALL) || !model_remove_dots(path, 0))
        return false;
    model_merge(path);
    return true;
}

static inline bool model_decode_only(struct model_path *path)
{
    return model_decode(path, DECODE_ALL);
}

static inline bool model_raw(struct model_path *path)
{
    return path->len > 0;
}

struct model {
    const char *name; // of the real server, as kit/web_servers.py has it; NULL: there is none
    bool (*reads)(struct model_path *path);
};

static const struct model models[] = {
    {"nginx", model_nginx},
    {"nginx_unmerged", model_nginx_unmerged},
    {"apache", model_apache},
    {"apache_decode", model_apache_decode},
    {"apache_nodecode", model_apache_nodecode},
    {"lighttpd", model_lighttpd},
    {"lighttpd_raw", model_lighttpd},
    {"node_url", model_node_url},
    {"node_url_raw", model_node_url_raw},
    {"node_plain", model_node_plain},
    {"node_twice", model_node_twice},
    {"node_segments", model_node_segments},
    {"node_raw", model_node_raw},
    {"tomcat", model_tomcat},
    {"tomcat_decode", model_tomcat_decode},
    {NULL, model_decode_twice_turn},
    {NULL, model_params_late},
    {NULL, model_dots_first},
    {NULL, model_dots_unmerged},
    {NULL, model_decode_only},
    {NULL, model_raw},
};

#endif
