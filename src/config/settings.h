// SPDX-License-Identifier: MIT
// THE table of settings: what exists, what it is called, what it may be, where its value goes and
// how it is explained. Loading, messages, `check`, `help`, reference.ini, config.md and the manual
// all read it. It does not know how settings depend on each other; check.c does.
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "config/item.h"

enum section_kind {
    SECTION_PROXY,
    SECTION_ADMIN,
    SECTION_LOG,
    SECTION_STORE,
    SECTION_CREDENTIAL,
    SECTION_SCOPES,
    SECTION_UPSTREAM,
    SECTION_ROUTE,
    SECTION_KINDS,
};

enum setting_type {   // the field's C type
    SETTING_TEXT,     // char *
    SETTING_LIST,     // struct config_strings
    SETTING_BOOL,     // bool
    SETTING_NUMBER,   // uint64_t
    SETTING_SIZE,     // uint64_t, bytes
    SETTING_DURATION, // uint64_t, milliseconds
    SETTING_MODE,     // uint64_t, octal
    SETTING_CHOICE,   // int, index into choices
    SETTING_WORD,     // char *, one of choices
    SETTING_TIME,     // int64_t, seconds since the epoch
    SETTING_SECRET,   // struct secret *
    SETTING_TEMPLATE, // char *, text in which %{REFERENCE} stands for a secret
    SETTING_URL,      // struct config_url
    SETTING_FILE,     // char *, path of a readable PEM file
    SETTING_PATH,     // char *, path of what may come later
    SETTING_HEADERS,  // struct config_headers
    SETTING_PARAMS,   // struct config_headers, of form parameters
    SETTING_MATCHES,  // struct config_match * and count, of a route
};

enum {                    // flags of a setting
    SETTING_REPEATS = 1,  // may stand several times in a section
    SETTING_REQUIRED = 2, // has no default and must be there
    SETTING_NO_EMPTY = 4, // an empty value would open something by mistake
    SETTING_NEEDED = 8,   // the same as REQUIRED, for those whose setting it is
    SETTING_RESTART = 16, // a reload does not change it: see config_keep()
    SETTING_WRITTEN = 32, // of a path: bearerd writes to it
};

enum {              // credentials that a setting is of use to; 0: all
    FOR_OAUTH = 1,  // source = oauth
    FOR_LOGIN = 2,  // source = login
    FOR_EXEC = 4,   // source = exec with nothing but its command
    FOR_STATIC = 8, // source = static with nothing but its token
    // The same two with a token endpoint to fall back on.
    FOR_EXEC_ASKING = 16,
    FOR_STATIC_ASKING = 32,
    FOR_ASKING = FOR_OAUTH | FOR_EXEC_ASKING | FOR_STATIC_ASKING,
    FOR_ASKABLE = FOR_ASKING | FOR_EXEC | FOR_STATIC,
};
#define FOR_METHOD(method) (1u << (method))

struct setting {
    enum section_kind section;
    const char *key;
    enum setting_type type;
    unsigned flags;
    size_t offset;              // in config, config_credential, config_upstream or config_route
    const char *fallback;       // default as text; NULL: none
    uint64_t min, max;          // of numbers, sizes, durations, modes
    const char *zero;           // the word that stands for 0 ("auto", "none"); NULL: none
    const char *const *choices; // ends with NULL
    item_fn *item;              // of texts and of each word of a list
    unsigned sources;           // FOR_…: whose setting it is; 0: everybody's
    unsigned methods;           // FOR_METHOD(): the same by auth_method
    const char *help;           // one to three sentences; the first says what it is
    const char *more;           // when the default needs words: "the url's own host"
    const char *example;        // a value
};

struct section_info {
    const char *name; // "credential"
    bool is_named;    // [credential NAME]
    const char *help;
    const char *free_line; // an example, where the keys are the user's own; else NULL
};
extern const struct section_info section_infos[SECTION_KINDS];

// The rows of a kind, in the order they are explained.
const struct setting *settings_of(enum section_kind kind, size_t *out_count);
size_t setting_index(const struct setting *setting); // among those of its kind
const struct setting *setting_find(enum section_kind kind, struct str key); // NULL: unknown
// The nearest known key of that section, if one is near; else NULL.
const struct setting *setting_nearest(enum section_kind kind, struct str key);
bool section_find(struct str name, enum section_kind *out);
bool section_nearest(struct str name, enum section_kind *out);

// How near counts as a slip: a third of the letters, rounded up, three at most.
unsigned nearest_limit(struct str word);

#endif
