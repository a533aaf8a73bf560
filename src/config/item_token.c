// SPDX-License-Identifier: MIT
// See item.h. Words about where tokens come from and are kept.
#include "config/item.h"

#include <stddef.h>

#include "base/child.h"
#include "config/json.h"
#include "config/url.h"

static char *fail(bool ignored)
{
    (void)ignored; // err_set's false: lets a checker end with `return fail(err_set(…))`
    return NULL;
}

// Kept as written: the metadata must name it letter by letter (MD-2).
char *item_issuer(struct str text, struct err *err)
{
    struct config_url url;
    if (!url_parse(text, &url, err))
        return NULL;
    bool has_query = url.query != NULL;
    url_fini(&url);
    return has_query ? fail(err_set(err, "an issuer has no query (RFC 8414, 2)")) : str_dup(text);
}

char *item_json_pointer(struct str text, struct err *err)
{
    if (!text.len || text.ptr[0] != '/')
        return fail(
            err_set(err, "a JSON pointer (RFC 6901) starts with \"/\", as in /sessionToken"));
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '~' && !(i + 1 < text.len && str_has(STR("01"), text.ptr[i + 1])))
            return fail(err_set(err, "in a JSON pointer, \"~\" is written ~0 and \"/\" ~1"));
    return item_text(text, err);
}

char *item_authorization_details(struct str text, struct err *err)
{
    return json_authorization_details(text, err);
}

// OA-2: no parameter twice.
char *item_param_name(struct str text, struct err *err)
{
    static const struct {
        const char *name, *instead; // NULL: nothing to say instead
    } own[] = {
        {"grant_type", NULL},
        {"client_assertion", NULL},
        {"client_assertion_type", NULL},
        {"client_id", "client_id"},
        {"client_secret", "client_secret"},
        {"scope", "scopes"},
        {"audience", "audience"},
        {"resource", "resource"},
        {"authorization_details", "authorization_details"},
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_eq(text, str_of(own[i].name)))
            return fail(
                own[i].instead
                    ? err_set(err, "%s has a setting of its own: %s", own[i].name, own[i].instead)
                    : err_set(err, "%s is a parameter that bearerd itself sends", own[i].name));
    if (item_first_unprintable(text) < text.len)
        return fail(err_set(err, "a parameter's name must be printable ASCII"));
    return str_dup(text);
}

char *item_command(struct str text, struct err *err)
{
    char *line = item_text(text, err);
    char **argv = line ? child_argv_parse(line, err) : NULL;
    bool is_absolute = argv && argv[0] && argv[0][0] == '/';
    if (argv && !is_absolute)
        err_set(err, "a command starts with an absolute path, as in /usr/local/bin/get-token: "
                     "there is no shell to search for it");
    child_argv_free(argv);
    if (is_absolute)
        return line;
    mem_free(line);
    return NULL;
}

// A password may stand in it, so no message shows it.
char *item_store_url(struct str text, struct err *err)
{
    static const char *const schemes[] = {"sqlite:", "redis://", "rediss://", "redis+unix://"};
    if (item_first_unprintable(text) < text.len || str_has(text, ' '))
        return fail(err_set(err, "the URL holds a space or a character that is not printable "
                                 "ASCII"));
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (str_starts(text, str_of(schemes[i])))
            return text.len > str_of(schemes[i]).len
                       ? str_dup(text)
                       : fail(err_set(err, "there is nothing behind %s", schemes[i]));
    return fail(err_set(err, "a store's URL starts with sqlite:, redis://, rediss:// or "
                             "redis+unix://"));
}
