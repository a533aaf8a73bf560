// SPDX-License-Identifier: MIT
// See pattern.h.
#include "config/pattern.h"

#include <string.h>

static bool is_literal_char(char c)
{
    // What target.c takes raw in a path, without what makes a second reading of it ('%', ';').
    return c > 0x20 && c < 0x7f && !strchr("\\#\"<>^`{|}?%;*", c);
}

static bool is_literal(struct str segment)
{
    for (size_t i = 0; i < segment.len; i++)
        if (!is_literal_char(segment.ptr[i]))
            return false;
    // "." and "..", and what Windows would cut.
    return !segment.len || segment.ptr[segment.len - 1] != '.';
}

static bool is_name(struct str segment)
{
    if (segment.len < 3 || segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}')
        return false;
    for (size_t i = 1; i < segment.len - 1; i++)
        if (!str_is_tchar(segment.ptr[i]) || strchr("{}*|`'\"", segment.ptr[i]))
            return false;
    return true;
}

bool pattern_next(struct str *rest, enum pattern_part *out_part, struct str *out_literal)
{
    if (!rest->len)
        return false;
    struct str segment = str_from(*rest, 1);
    const char *slash = segment.len ? memchr(segment.ptr, '/', segment.len) : NULL;
    if (slash)
        segment.len = (size_t)(slash - segment.ptr);
    *rest = str_from(*rest, 1 + segment.len);
    *out_literal = segment;
    if (str_eq(segment, STR("**")))
        *out_part = PATTERN_REST;
    else if (str_eq(segment, STR("*")) || is_name(segment))
        *out_part = PATTERN_ONE;
    else
        *out_part = PATTERN_LITERAL;
    return true;
}

static bool path_check(struct str path, struct err *err)
{
    enum pattern_part part;
    struct str segment, rest = path;
    for (unsigned count = 0; pattern_next(&rest, &part, &segment); count++) {
        if (count == PATTERN_SEGMENTS_MAX)
            return err_set(err, "the pattern has more than %d segments", PATTERN_SEGMENTS_MAX);
        if (part == PATTERN_REST && rest.len)
            return err_set(err, "** must be the last segment of the pattern");
        if (part != PATTERN_LITERAL)
            continue;
        if (!segment.len && rest.len)
            return err_set(err, "the pattern has an empty segment (//)");
        if (str_has(segment, '*') || str_has(segment, '{') || str_has(segment, '}'))
            return err_set(err, "*, ** and {name} stand for a whole segment, unlike in \"%.*s\"",
                           STR_ARG(segment));
        if (!is_literal(segment))
            return err_set(
                err, "the segment \"%.*s\" can be read in more than one way; put * in its place",
                STR_ARG(segment));
    }
    return true;
}

static bool method_check(struct str word, struct err *err)
{
    if (word.ptr[0] == '/')
        return err_set(err,
                       "one pattern a line, and methods before it: \"%.*s\" is not the last word",
                       STR_ARG(word));
    if (!str_is_token(word) || str_has(word, '*'))
        return err_set(err,
                       "\"%.*s\" is no method; methods are separated by spaces, and left out to "
                       "match any",
                       STR_ARG(word));
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
            return err_set(err, "methods are case-sensitive and in upper case, unlike \"%.*s\"",
                           STR_ARG(word));
    return true;
}

static bool methods_check(struct str methods, struct err *err)
{
    struct str word, other, rest = methods;
    while (str_word(&rest, &word)) {
        struct str behind = rest;
        while (str_word(&behind, &other))
            if (str_eq(word, other))
                return err_set(err, "method %.*s is named twice", STR_ARG(word));
        if (!method_check(word, err))
            return false;
    }
    return true;
}

bool pattern_parse(struct str text, struct pattern *out, struct err *err)
{
    text = str_trim(text);
    size_t start = text.len;
    while (start && text.ptr[start - 1] != ' ' && text.ptr[start - 1] != '\t')
        start--;
    out->path = str_from(text, start);
    out->methods = str_trim((struct str){text.ptr, start});
    if (!methods_check(out->methods, err))
        return false;
    if (!out->path.len || out->path.ptr[0] != '/')
        return err_set(err, "the path pattern is missing behind the methods, as in \"GET HEAD "
                            "/items/**\": it starts with \"/\"");
    return path_check(out->path, err);
}

bool pattern_is_prefix(struct str path)
{
    enum pattern_part part;
    struct str segment, rest = path;
    if (!path.len || path.ptr[0] != '/')
        return false;
    if (path.len == 1)
        return true;
    for (unsigned count = 0; pattern_next(&rest, &part, &segment); count++)
        if (part != PATTERN_LITERAL || !segment.len || !is_literal(segment) ||
            count == PATTERN_SEGMENTS_MAX)
            return false;
    return true;
}
