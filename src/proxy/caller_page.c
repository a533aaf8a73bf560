// SPDX-License-Identifier: MIT
// Does a web page call? By what browsers say and no page can forge: Origin (on all that reads an
// answer, and on all but GET and HEAD), Sec-Fetch-Site, and, from browsers too old for these,
// Referer. An Origin decides alone. Without one, no field names the page for certain (a Referer
// stays what it was across redirects), so only what a person opens passes (`none`), and what a page
// of this very host asks for (`same-origin`), if allow_origins names it: pages come from upstreams,
// and one upstream's page is not to act on the others.
#include <string.h>

#include "proxy/caller_private.h"
#include "proxy/target.h"

#define ORIGIN_MAX 300

struct page_signs { // NULL: no such field
    const struct field *origin, *site, *referer;
    bool comes_twice; // Origin or Sec-Fetch-Site
    bool asks;        // a field of a preflight
    bool names_method;
};

static void note_once(struct page_signs *signs, const struct field **place,
                      const struct field *field)
{
    signs->comes_twice |= *place != NULL;
    *place = field;
}

static bool name_is(const struct field *field, struct str name)
{
    return str_eq_nocase(field->name, name);
}

#define REQUEST_PREFIX "Access-Control-Request-"

static void note_request(struct page_signs *signs, struct str name)
{
    static const struct str prefix = {REQUEST_PREFIX, sizeof REQUEST_PREFIX - 1};
    if (!str_eq_nocase((struct str){name.ptr, prefix.len}, prefix))
        return;
    signs->asks = true;
    signs->names_method |= str_eq_nocase(str_from(name, prefix.len), STR("Method"));
}

// One walk, most names told apart by their length.
static struct page_signs page_signs(const struct fields *fields)
{
    struct page_signs signs = {0};
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (field->name.len == 6 && name_is(field, STR("Origin")))
            note_once(&signs, &signs.origin, field);
        else if (field->name.len == 7 && name_is(field, STR("Referer")))
            signs.referer = field;
        else if (field->name.len == 14 && name_is(field, STR("Sec-Fetch-Site")))
            note_once(&signs, &signs.site, field);
        else if (field->name.len >= sizeof REQUEST_PREFIX)
            note_request(&signs, field->name);
    }
    return signs;
}

// What a page that came from here has for its origin.
static bool own_origin_is_allowed(const struct caller_rules *rules, struct str host)
{
    static const char scheme[] = "http://";
    char text[ORIGIN_MAX];
    size_t len = sizeof scheme - 1;
    if (!rules->origin_count || !host.len || host.len > sizeof text - len)
        return false;
    memcpy(text, scheme, len);
    memcpy(text + len, host.ptr, host.len);
    return map_get(&rules->origins, (struct str){text, len + host.len}) != NULL;
}

// Does it name another host than the one asked? Relative ones, and about:blank, name none.
static bool referer_is_foreign(struct str referer, struct str host)
{
    size_t colon, end = 0;
    struct str rest, scheme = STR("http");
    if (str_find(referer, ':', &colon) && str_starts(str_from(referer, colon), STR("://"))) {
        scheme = (struct str){referer.ptr, colon};
        rest = str_from(referer, colon + 3);
    } else if (str_starts(referer, STR("//"))) {
        rest = str_from(referer, 2);
    } else {
        return false;
    }
    bool is_https = str_eq_nocase(scheme, STR("https"));
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#')
        end++;
    struct str authority = {rest.ptr, end};
    char normal[ORIGIN_MAX];
    size_t len;
    return (!is_https && !str_eq_nocase(scheme, STR("http"))) || authority.len > sizeof normal ||
           !target_normal_authority(authority, is_https ? 443 : 80, normal, &len) ||
           !str_eq((struct str){normal, len}, host);
}

static enum caller_page named_page(const struct caller_rules *rules, const struct caller *caller,
                                   const struct page_signs *signs)
{
    if (signs->comes_twice || !map_get(&rules->origins, signs->origin->value))
        return PAGE_FOREIGN;
    bool is_preflight = signs->names_method && str_eq(caller->method, STR("OPTIONS"));
    return is_preflight && !rules->passes_cors ? PAGE_PREFLIGHT : PAGE_ALLOWED;
}

enum caller_page caller_page(const struct caller_rules *rules, const struct caller *caller)
{
    const struct page_signs signs = page_signs(caller->fields);
    if (signs.origin)
        return named_page(rules, caller, &signs);
    if (signs.comes_twice || signs.asks)
        return PAGE_FOREIGN;
    if (signs.site) {
        if (str_eq(signs.site->value, STR("none")))
            return PAGE_NONE;
        bool is_own = str_eq(signs.site->value, STR("same-origin"));
        return is_own && own_origin_is_allowed(rules, caller->host) ? PAGE_NONE : PAGE_FOREIGN;
    }
    bool is_foreign = signs.referer && referer_is_foreign(signs.referer->value, caller->host);
    return is_foreign ? PAGE_FOREIGN : PAGE_NONE;
}

struct str caller_origin(const struct caller_rules *rules, const struct fields *fields)
{
    if (!rules->origin_count || rules->passes_cors)
        return STR_NONE;
    const struct field *origin = page_signs(fields).origin;
    return origin && map_get(&rules->origins, origin->value) ? origin->value : STR_NONE;
}
