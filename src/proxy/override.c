// SPDX-License-Identifier: MIT
// See override.h. The same hidden in a body or a query (`_method`) cannot be seen here.
#include "proxy/override.h"

#include "proxy/inject.h"
#include "proxy/inject_names.h"

#define METHOD_MAX 32

// By length of name, so that most fields cost one look.
static bool is_override(struct str name)
{
    switch (name.len) {
    case 13:
        return inject_names_are_alike(name, STR("X-HTTP-Method"));
    case 17:
        return inject_names_are_alike(name, STR("X-Method-Override"));
    case 22:
        return inject_names_are_alike(name, STR("X-HTTP-Method-Override"));
    default:
        return false;
    }
}

// Servers that heed the field turn it into upper case.
static bool leads_elsewhere(const struct override_input *input, struct str method)
{
    char upper[METHOD_MAX];
    if (str_eq(method, input->method))
        return false;
    if (method.len > sizeof upper || !str_is_token(method))
        return true;
    for (size_t i = 0; i < method.len; i++) {
        upper[i] = method.ptr[i];
        if (upper[i] >= 'a' && upper[i] <= 'z')
            upper[i] = (char)(upper[i] & ~0x20);
    }
    struct route_choice other =
        route_find(input->table, (struct str){upper, method.len}, input->target, input->host);
    return other.upstream != input->choice->upstream || other.route != input->choice->route;
}

struct caller_verdict override_check(const struct override_input *input)
{
    for (size_t i = 0; i < input->fields->count; i++) {
        const struct field *field = &input->fields->items[i];
        if (!is_override(field->name) ||
            inject_removes(input->choice->upstream, input->choice->route, field->name) ||
            !leads_elsewhere(input, field->value))
            continue;
        return (struct caller_verdict){
            400, "ambiguous-method",
            "a field of the request names another method, which leads to another route; send that "
            "method itself, or keep the field from the upstream (remove_header)"};
    }
    return (struct caller_verdict){0};
}
