// SPDX-License-Identifier: MIT
// A configuration on its way: what was read, where it stood, and what is wrong with it. Shared by
// the files that load, check and resolve; nobody else sees it.
#ifndef CONFIG_DRAFT_H
#define CONFIG_DRAFT_H

#include "base/map.h"
#include "config/config.h"
#include "config/settings.h"

struct draft_entry { // one `key = value`
    const struct setting *setting;
    unsigned line;
    size_t first;   // of a list: index of the first item that came from this line
    bool is_unset;  // its value is empty, which means "not set"
    bool is_broken; // its value is a fault: what hangs on it is not judged
};

struct catalogue { // of a [scopes CREDENTIAL] section, until the credential takes it
    struct config_scope *items;
    size_t count;
};

struct draft_section {
    enum section_kind kind;
    char *title; // "route read"
    char *name;  // "read"; "" if the kind has none
    struct config_place place;
    void *object;     // what the settings go into
    bool is_repeated; // a second one of that name: checked, but no part of the config
    struct draft_entry *entries;
    size_t entry_count;
    uint64_t guessed; // bit per setting: a misspelt key was probably meant to be this one, or its
                      // value got lost
};

struct draft {
    struct config *config;
    struct config_faults *faults;
    struct draft_section **sections;
    size_t section_count;
    struct map by_title;
    struct draft_section *current;
};

void draft_read(struct draft *draft, const char *path); // files -> sections, values, defaults
void draft_fini(struct draft *draft);
void draft_check(struct draft *draft);        // rules between settings
void draft_resolve(struct draft *draft);      // names -> pointers, tokens -> slots
void draft_check_routes(struct draft *draft); // what must fit together once they are resolved

struct draft_section *draft_find(const struct draft *draft, enum section_kind kind,
                                 const char *name);
bool draft_has(const struct draft_section *section, const char *key);
bool draft_is_broken(const struct draft_section *section, const char *key);
// It was meant to be there, as far as one can tell (see guessed): it is not to be missed.
bool draft_is_guessed(const struct draft_section *section, const char *key);
// Where a key stands (the item-th word or line of it); where its section starts if it is not there.
struct config_place draft_place(const struct draft_section *section, const char *key, size_t item);

// The nearest name of a section of that kind; NULL: none is near.
const char *draft_nearest_name(const struct draft *draft, enum section_kind kind, struct str name);
// The object of the section that `key = name` means; NULL after a fault.
void *draft_named(struct draft *draft, const struct draft_section *section, enum section_kind kind,
                  const char *key, const char *name) WARN_UNUSED;
// The object of the only section of a kind; NULL after a fault, or silently when there is none at
// all.
void *draft_only(struct draft *draft, const struct draft_section *route, enum section_kind kind,
                 const char *key) WARN_UNUSED;

// Adds "[route read] key: …" at a place of that section.
void draft_fault(struct draft *draft, const struct draft_section *section,
                 struct config_place place, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void draft_warn(struct draft *draft, const struct draft_section *section, const char *key,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

// The memory of one section's object.
void *draft_object_new(enum section_kind kind) WARN_UNUSED;
void draft_object_free(enum section_kind kind, void *object);

#endif
