// SPDX-License-Identifier: MIT
// The rows of the table, one array for each kind of section; for settings.c alone.
#ifndef CONFIG_SETTINGS_ROWS_H
#define CONFIG_SETTINGS_ROWS_H

#include "config/settings.h"

extern const struct setting settings_proxy[], settings_log[], settings_credential[],
    settings_upstream[], settings_route[];
extern const size_t settings_proxy_count, settings_log_count, settings_credential_count,
    settings_upstream_count, settings_route_count;

// A field's offset; the compiler complains when the field is not of that C type.
#define AT(c_type, owner, field)                                                                   \
    (offsetof(struct owner, field) + 0 * sizeof((c_type *)NULL == &((struct owner *)NULL)->field))

// The first arguments of a row by the type of the setting; the rest is named.
#define TEXT(key_, owner, field)                                                                   \
    .key = key_, .type = SETTING_TEXT, .offset = AT(char *, owner, field)
#define WORDS(key_, owner, field)                                                                  \
    .key = key_, .type = SETTING_LIST, .offset = AT(struct config_strings, owner, field)
#define BOOL(key_, owner, field) .key = key_, .type = SETTING_BOOL, .offset = AT(bool, owner, field)
#define NUMBER(key_, owner, field)                                                                 \
    .key = key_, .type = SETTING_NUMBER, .offset = AT(uint64_t, owner, field)
#define SIZE(key_, owner, field)                                                                   \
    .key = key_, .type = SETTING_SIZE, .offset = AT(uint64_t, owner, field)
#define DURATION(key_, owner, field)                                                               \
    .key = key_, .type = SETTING_DURATION, .offset = AT(uint64_t, owner, field)
#define MODE(key_, owner, field)                                                                   \
    .key = key_, .type = SETTING_MODE, .offset = AT(uint64_t, owner, field)
#define CHOICE(key_, owner, field)                                                                 \
    .key = key_, .type = SETTING_CHOICE, .offset = AT(int, owner, field)
#define SECRET(key_, owner, field)                                                                 \
    .key = key_, .type = SETTING_SECRET, .offset = AT(struct secret *, owner, field)
#define URL(key_, owner, field)                                                                    \
    .key = key_, .type = SETTING_URL, .offset = AT(struct config_url, owner, field)
#define PATH(key_, owner, field)                                                                   \
    .key = key_, .type = SETTING_FILE, .offset = AT(char *, owner, field)
#define HEADERS(key_, owner, field)                                                                \
    .key = key_, .type = SETTING_HEADERS, .offset = AT(struct config_headers, owner, field)
#define MATCHES(key_, owner, field)                                                                \
    .key = key_, .type = SETTING_MATCHES, .offset = AT(struct config_match *, owner, field)

#endif
