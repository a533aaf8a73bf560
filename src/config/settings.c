// SPDX-License-Identifier: MIT
// See settings.h. The rows are in the files settings_*.c beside it; this file finds them.
#include "config/settings.h"

#include "config/settings_rows.h"

const struct section_info section_infos[SECTION_KINDS] = {
    [SECTION_PROXY] = {"proxy", false, "Where bearerd listens, who may call, and its limits.",
                       NULL},
    [SECTION_ADMIN] = {"admin", false,
                       "A listener of its own for those who look after bearerd: health, metrics, "
                       "status, reload. It answers when the proxy is at its limits, too.",
                       NULL},
    [SECTION_LOG] = {"log", false, "What is written to standard error, one line for each event.",
                     NULL},
    [SECTION_STORE] =
        {"store", false,
         "Where tokens are kept beside memory: to survive a restart, and to be shared "
         "by several processes. They are sealed (AES-256-GCM) with a key of yours.",
         NULL},
    [SECTION_CREDENTIAL] = {"credential", true,
                            "One registration at an authorization server, or another way to get "
                            "access tokens, and the field they are sent in.",
                            NULL},
    [SECTION_SCOPES] = {"scopes", true,
                        "The scopes that the authorization server of the credential of that name "
                        "knows, one a line: an alias, the value that is sent, and what it is for. "
                        "Where there is such a catalogue, the scopes of the credential and its "
                        "routes must be in it, by alias or by value; anything else is a fault.",
                        "ItemsRead = items:read ; may read items"},
    [SECTION_UPSTREAM] = {"upstream", true,
                          "A server that requests are forwarded to, and which requests those are.",
                          NULL},
    [SECTION_ROUTE] = {"route", true,
                       "Which requests to an upstream get a token, and with which scopes.", NULL},
};

static const struct {
    const struct setting *rows;
    const size_t *count;
} tables[SECTION_KINDS] = {
    [SECTION_PROXY] = {settings_proxy, &settings_proxy_count},
    [SECTION_ADMIN] = {settings_admin, &settings_admin_count},
    [SECTION_LOG] = {settings_log, &settings_log_count},
    [SECTION_STORE] = {settings_store, &settings_store_count},
    [SECTION_CREDENTIAL] = {settings_credential, &settings_credential_count},
    [SECTION_UPSTREAM] = {settings_upstream, &settings_upstream_count},
    [SECTION_ROUTE] = {settings_route, &settings_route_count},
};

const struct setting *settings_of(enum section_kind kind, size_t *out_count)
{
    *out_count = tables[kind].count ? *tables[kind].count : 0; // keys of [scopes] are free
    return tables[kind].rows;
}

const struct setting *setting_find(enum section_kind kind, struct str key)
{
    size_t count;
    const struct setting *rows = settings_of(kind, &count);
    for (size_t i = 0; i < count; i++)
        if (str_eq(key, str_of(rows[i].key)))
            return &rows[i];
    return NULL;
}

size_t setting_index(const struct setting *setting)
{
    return (size_t)(setting - tables[setting->section].rows);
}

unsigned nearest_limit(struct str word)
{
    size_t third = (word.len + 2) / 3; // two swapped letters cost two
    return third < 1 ? 1 : third > 3 ? 3 : (unsigned)third;
}

const struct setting *setting_nearest(enum section_kind kind, struct str key)
{
    size_t count;
    const struct setting *rows = settings_of(kind, &count), *nearest = NULL;
    unsigned best = nearest_limit(key);
    for (size_t i = 0; i < count; i++) {
        unsigned distance = str_distance(key, str_of(rows[i].key), best);
        if (distance < best || (distance == best && !nearest)) {
            best = distance;
            nearest = &rows[i];
        }
    }
    return nearest;
}

bool section_find(struct str name, enum section_kind *out)
{
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++)
        if (str_eq(name, str_of(section_infos[kind].name))) {
            *out = (enum section_kind)kind;
            return true;
        }
    return false;
}

bool section_nearest(struct str name, enum section_kind *out)
{
    unsigned best = nearest_limit(name) + 1;
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        unsigned distance = str_distance(name, str_of(section_infos[kind].name), best);
        if (distance < best) {
            best = distance;
            *out = (enum section_kind)kind;
        }
    }
    return best <= nearest_limit(name);
}
