// SPDX-License-Identifier: MIT
// See page.h. Cookies are not asked for (no Access-Control-Allow-Credentials): what opens the
// upstream is bearerd's token.
#include "proxy/page.h"

bool page_is_cors_field(struct str name)
{
    static const struct str prefix = {"Access-Control-", 15};
    return name.len > prefix.len && str_eq_nocase((struct str){name.ptr, prefix.len}, prefix);
}

bool page_add(struct fields *out, struct str origin)
{
    return fields_add(out, STR("Access-Control-Allow-Origin"), origin) &&
           fields_add(out, STR("Access-Control-Expose-Headers"), STR("*")) &&
           fields_add(out, STR("Vary"), STR("Origin"));
}

static bool grant(struct fields *out, const struct fields *asked, struct str question,
                  struct str answer)
{
    const struct field *field = fields_find(asked, question);
    return !field || fields_add(out, answer, field->value);
}

bool page_add_preflight(struct fields *out, struct str origin, const struct fields *asked)
{
    return fields_add(out, STR("Access-Control-Allow-Origin"), origin) &&
           grant(out, asked, STR("Access-Control-Request-Method"),
                 STR("Access-Control-Allow-Methods")) &&
           grant(out, asked, STR("Access-Control-Request-Headers"),
                 STR("Access-Control-Allow-Headers")) &&
           grant(out, asked, STR("Access-Control-Request-Private-Network"),
                 STR("Access-Control-Allow-Private-Network")) &&
           grant(out, asked, STR("Access-Control-Request-Local-Network"),
                 STR("Access-Control-Allow-Local-Network")) &&
           fields_add(out, STR("Access-Control-Max-Age"), STR("600")) &&
           fields_add(out, STR("Vary"), STR("Origin"));
}
