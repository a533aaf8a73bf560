// SPDX-License-Identifier: MIT
// The rows of the table, one array for each kind of section; for settings.c alone.
#ifndef CONFIG_SETTINGS_ROWS_H
#define CONFIG_SETTINGS_ROWS_H

#include "config/settings.h"

extern const struct setting settings_proxy[], settings_admin[], settings_log[], settings_store[],
    settings_credential[], settings_upstream[], settings_route[];
extern const char *const setting_tls_versions[]; // enum config_tls_min
extern const size_t settings_proxy_count, settings_admin_count, settings_log_count,
    settings_store_count, settings_credential_count, settings_upstream_count, settings_route_count;

#define MS_SECOND UINT64_C(1000)
#define MS_MINUTE (60 * MS_SECOND)
#define MS_HOUR   (60 * MS_MINUTE)
#define MS_DAY    (24 * MS_HOUR)
#define KIB       UINT64_C(1024)

// A field's offset; the compiler complains when the field is not of that C type.
#define AT(c_type, owner, field)                                                                   \
    (offsetof(struct owner, field) + 0 * sizeof((c_type *)NULL == &((struct owner *)NULL)->field))

// The first words of a row by the type of the setting; the rest is named.
#define ROW(name, type_, c_type, owner, field)                                                     \
    .key = (name), .type = (type_), .offset = AT(c_type, owner, field)
#define TEXT(name, owner, field)     ROW(name, SETTING_TEXT, char *, owner, field)
#define WORDS(name, owner, field)    ROW(name, SETTING_LIST, struct config_strings, owner, field)
#define BOOL(name, owner, field)     ROW(name, SETTING_BOOL, bool, owner, field)
#define NUMBER(name, owner, field)   ROW(name, SETTING_NUMBER, uint64_t, owner, field)
#define SIZE(name, owner, field)     ROW(name, SETTING_SIZE, uint64_t, owner, field)
#define DURATION(name, owner, field) ROW(name, SETTING_DURATION, uint64_t, owner, field)
#define MODE(name, owner, field)     ROW(name, SETTING_MODE, uint64_t, owner, field)
#define CHOICE(name, owner, field)   ROW(name, SETTING_CHOICE, int, owner, field)
#define WORD(name, owner, field)     ROW(name, SETTING_WORD, char *, owner, field)
#define TIME(name, owner, field)     ROW(name, SETTING_TIME, int64_t, owner, field)
#define TEMPLATE(name, owner, field) ROW(name, SETTING_TEMPLATE, char *, owner, field)
#define SECRET(name, owner, field)   ROW(name, SETTING_SECRET, struct secret *, owner, field)
#define URL(name, owner, field)      ROW(name, SETTING_URL, struct config_url, owner, field)
#define PEM_FILE(name, owner, field) ROW(name, SETTING_FILE, char *, owner, field)
#define PATH(name, owner, field)     ROW(name, SETTING_PATH, char *, owner, field)
#define PARAMS(name, owner, field)   ROW(name, SETTING_PARAMS, struct config_headers, owner, field)
#define HEADERS(name, owner, field)  ROW(name, SETTING_HEADERS, struct config_headers, owner, field)
#define MATCHES(name, owner, field)  ROW(name, SETTING_MATCHES, struct config_match *, owner, field)

#define CA_HELP                                                                                    \
    "PEM file of the certification authorities to trust instead of the system's. A file that "     \
    "cannot be read is a fault, never a reason to go on without it."
#define TLS_MIN_HELP "The oldest version of TLS to speak."
#define TLS_CIPHERS_HELP                                                                           \
    "Ciphers to offer up to TLS 1.2, in OpenSSL's words (openssl ciphers -s -tls1_2 tells them)."
#define TLS_SUITES_HELP "Cipher suites to offer with TLS 1.3, in OpenSSL's words."
#define TLS_PIN_HELP                                                                               \
    "Public keys, one of which the server's certificate must have besides being trusted: SHA-256 " \
    "of the SubjectPublicKeyInfo, in base64. A list, so that the next key can be named before it " \
    "is in use."
#define TLS_PIN_EXAMPLE     "sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE="
#define TLS_CIPHERS_EXAMPLE "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define TLS_SUITES_EXAMPLE  "TLS_AES_256_GCM_SHA384"
#define PROXY_HELP                                                                                 \
    "Proxy to connect through: http://, https://, socks4://, socks4a://, socks5:// or "            \
    "socks5h://, "                                                                                 \
    "host and port, with user:password@ where needed. Variables such as https_proxy in the "       \
    "environment have no effect."

#endif
