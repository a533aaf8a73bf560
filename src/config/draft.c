// SPDX-License-Identifier: MIT
// See draft.h: from the reader's sections and settings to objects with values and defaults. A fault
// costs its own line only: a misspelt section is read as the one it resembles, a repeated one is
// still checked, a misspelt key does not count as missing, so that one slip gives one message.
#include "config/draft.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/catalogue.h"
#include "config/reader.h"
#include "config/value.h"

#define SECTIONS_MAX 100000

__attribute__((format(printf, 5, 0))) static void
fault_v(struct config_faults *faults, const struct draft_section *section,
        struct config_place place, const char *key, const char *fmt, va_list ap)
{
    char text[ERR_TEXT_MAX + 256];
    vsnprintf(text, sizeof text, fmt, ap);
    config_faults_add(faults, place, "[%s]%s%s: %s", section->title, key ? " " : "", key ? key : "",
                      text);
}

void draft_fault(struct draft *draft, const struct draft_section *section,
                 struct config_place place, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fault_v(draft->faults, section, place, key, fmt, ap);
    va_end(ap);
}

void draft_warn(struct draft *draft, const struct draft_section *section, const char *key,
                const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct config_place place = key ? draft_place(section, key, 0) : section->place;
    fault_v(&draft->config->warnings, section, place, key, fmt, ap);
    va_end(ap);
}

struct draft_section *draft_find(const struct draft *draft, enum section_kind kind,
                                 const char *name)
{
    char title[300];
    const char *kind_name = section_infos[kind].name;
    int len = snprintf(title, sizeof title, "%s%s%s", kind_name, *name ? " " : "", name);
    if (len < 0 || (size_t)len >= sizeof title)
        return NULL;
    return map_get(&draft->by_title, (struct str){title, (size_t)len});
}

static const struct draft_entry *find_entry(const struct draft_section *section,
                                            const struct setting *setting, size_t item)
{
    const struct draft_entry *found = NULL;
    for (size_t i = 0; i < section->entry_count; i++) {
        const struct draft_entry *entry = &section->entries[i];
        if (entry->setting == setting && (!found || entry->first <= item))
            found = entry;
    }
    return found;
}

bool draft_has(const struct draft_section *section, const char *key)
{
    const struct draft_entry *entry =
        find_entry(section, setting_find(section->kind, str_of(key)), 0);
    return entry && !entry->is_unset;
}

bool draft_is_broken(const struct draft_section *section, const char *key)
{
    const struct draft_entry *entry =
        find_entry(section, setting_find(section->kind, str_of(key)), 0);
    return entry && entry->is_broken;
}

bool draft_is_guessed(const struct draft_section *section, const char *key)
{
    return section->guessed >> setting_index(setting_find(section->kind, str_of(key))) & 1;
}

struct config_place draft_place(const struct draft_section *section, const char *key, size_t item)
{
    const struct draft_entry *entry =
        find_entry(section, setting_find(section->kind, str_of(key)), item);
    return entry ? (struct config_place){section->place.file, entry->line} : section->place;
}

static const size_t object_sizes[SECTION_KINDS] = {
    [SECTION_PROXY] = sizeof(struct config),
    [SECTION_ADMIN] = sizeof(struct config),
    [SECTION_LOG] = sizeof(struct config),
    [SECTION_STORE] = sizeof(struct config),
    [SECTION_CREDENTIAL] = sizeof(struct config_credential),
    [SECTION_SCOPES] = sizeof(struct catalogue),
    [SECTION_UPSTREAM] = sizeof(struct config_upstream),
    [SECTION_ROUTE] = sizeof(struct config_route),
};

void *draft_object_new(enum section_kind kind)
{
    return mem_alloc(object_sizes[kind]);
}

static void fini_settings(enum section_kind kind, void *object)
{
    size_t count;
    const struct setting *rows = settings_of(kind, &count);
    for (size_t i = 0; i < count; i++)
        value_fini(&rows[i], object);
}

void draft_object_free(enum section_kind kind, void *object)
{
    for (unsigned other = 0; other < SECTION_KINDS; other++) // one object for all without a name
        if (other == kind || (!section_infos[kind].is_named && !section_infos[other].is_named))
            fini_settings((enum section_kind)other, object);
    if (kind == SECTION_SCOPES)
        catalogue_fini(object);
    if (kind == SECTION_CREDENTIAL) {
        struct config_credential *credential = object;
        struct catalogue catalogue = {credential->catalogue, credential->catalogue_count};
        catalogue_fini(&catalogue);
        mem_free(credential->name);
    }
    if (kind == SECTION_UPSTREAM)
        mem_free(((struct config_upstream *)object)->name);
    if (kind == SECTION_ROUTE) {
        mem_free(((struct config_route *)object)->name);
        mem_free(((struct config_route *)object)->slots);
    }
    mem_free(object);
}

static void *grow(void *items, size_t count, size_t size)
{
    // Doubling at powers of two: no separate capacity to keep.
    return count & (count - 1) ? items : mem_realloc(items, (count ? 2 * count : 1) * size);
}

// The arrays of pointers: config->routes and the like.
#define PUSH(items, count, pointer)                                                                \
    do {                                                                                           \
        (items) = grow((items), (count), sizeof(void *));                                          \
        (items)[(count)++] = (pointer);                                                            \
    } while (0)

static void adopt_object(struct config *config, struct draft_section *section)
{
    void *object = section->object;
    if (section->kind == SECTION_CREDENTIAL) {
        PUSH(config->credentials, config->credential_count, object);
    } else if (section->kind == SECTION_UPSTREAM) {
        ((struct config_upstream *)object)->index = config->upstream_count;
        PUSH(config->upstreams, config->upstream_count, object);
    } else if (section->kind == SECTION_ROUTE) {
        ((struct config_route *)object)->index = config->route_count;
        PUSH(config->routes, config->route_count, object);
    }
}

static void name_object(struct draft_section *section)
{
    char *name = mem_strdup(section->name);
    if (section->kind == SECTION_CREDENTIAL) {
        struct config_credential *credential = section->object;
        credential->name = name;
        credential->place = section->place;
    } else if (section->kind == SECTION_UPSTREAM) {
        struct config_upstream *upstream = section->object;
        upstream->name = name;
        upstream->place = section->place;
    } else if (section->kind == SECTION_ROUTE) {
        struct config_route *route = section->object;
        route->name = name;
        route->place = section->place;
    } else {
        mem_free(name);
    }
}

static char *make_title(enum section_kind kind, struct str name)
{
    struct buf title;
    buf_init(&title, 1024);
    if (!buf_printf(&title, "%s%s%.*s", section_infos[kind].name, name.len ? " " : "",
                    STR_ARG(name)))
        buf_clear(&title);
    return buf_take(&title);
}

static struct draft_section *add_section(struct draft *draft, enum section_kind kind,
                                         struct str name, struct config_place place)
{
    struct draft_section *section = mem_alloc(sizeof *section);
    section->kind = kind;
    section->title = make_title(kind, name);
    section->name = str_dup(name);
    section->place = place;
    PUSH(draft->sections, draft->section_count, section);
    const struct draft_section *first = map_get(&draft->by_title, str_of(section->title));
    if (first) {
        section->is_repeated = true;
        config_faults_add(draft->faults, place,
                          "[%s] is there twice, first in %s:%u; put the settings together",
                          section->title, first->place.file, first->place.line);
    } else {
        map_put(&draft->by_title, str_of(section->title), section);
    }
    bool is_config = !section_infos[kind].is_named;
    section->object = is_config && !section->is_repeated ? draft->config : draft_object_new(kind);
    name_object(section);
    if (!section->is_repeated)
        adopt_object(draft->config, section);
    return section;
}

static bool is_known_section(struct draft *draft, struct config_place place, struct str kind,
                             struct str name, enum section_kind *out)
{
    if (section_find(kind, out))
        return true;
    if (section_nearest(kind, out)) {
        char *meant = make_title(*out, name);
        config_faults_add(draft->faults, place, "unknown section [%.*s%s%.*s]; did you mean [%s]?",
                          STR_ARG(kind), name.len ? " " : "", STR_ARG(name), meant);
        mem_free(meant);
        return true;
    }
    config_faults_add(draft->faults, place,
                      "unknown section [%.*s]; there are [proxy], [log], [store], "
                      "[credential NAME], [scopes NAME], [upstream NAME] and [route NAME]",
                      STR_ARG(kind));
    return false;
}

static void on_section(void *arg, struct config_place place, struct str kind_name, struct str name)
{
    struct draft *draft = arg;
    enum section_kind kind;
    draft->current = NULL;
    if (!is_known_section(draft, place, kind_name, name, &kind))
        return;
    if (draft->section_count >= SECTIONS_MAX) {
        if (draft->section_count == SECTIONS_MAX)
            config_faults_add(draft->faults, place, "more than %d sections", SECTIONS_MAX);
        return;
    }
    const char *known = section_infos[kind].name;
    if (!section_infos[kind].is_named && name.len) {
        config_faults_add(draft->faults, place, "[%s] takes no name", known);
        name = STR_NONE;
    } else if (section_infos[kind].is_named && !name.len) {
        config_faults_add(draft->faults, place, "[%s] needs a name, as in [%s main]", known, known);
    } else if (str_has(name, ' ')) {
        config_faults_add(draft->faults, place, "the name \"%.*s\" is more than one word",
                          STR_ARG(name));
    } else if (kind == SECTION_CREDENTIAL && str_eq(name, STR("none"))) {
        config_faults_add(draft->faults, place,
                          "a credential cannot be called none: in a route that means \"no token\"");
    }
    draft->current = add_section(draft, kind, name, place);
}

static void on_bad_section(void *arg)
{
    struct draft *draft = arg;
    draft->current = NULL;
}

// Does the word stand at the end of exactly one key, as "secret" does in client_secret?
static const struct setting *find_by_ending(enum section_kind kind, struct str word)
{
    size_t count;
    const struct setting *rows = settings_of(kind, &count), *found = NULL;
    for (size_t i = 0; i < count; i++) {
        struct str key = str_of(rows[i].key);
        bool is_ending =
            key.len > word.len + 1 && str_ends(key, word) && key.ptr[key.len - word.len - 1] == '_';
        if (is_ending && found)
            return NULL;
        if (is_ending)
            found = &rows[i];
    }
    return found;
}

// "[credential NAME] or [route NAME]": where a key would be right. False: nowhere.
static bool find_homes(struct str key, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned kind = 0; kind < SECTION_KINDS && len < size; kind++) {
        const struct section_info *info = &section_infos[kind];
        if (!setting_find((enum section_kind)kind, key))
            continue;
        int more = snprintf(out + len, size - len, "%s[%s%s]", len ? " or " : "", info->name,
                            info->is_named ? " NAME" : "");
        len += more > 0 ? (size_t)more : 0;
    }
    return len > 0;
}

static void report_unknown_key(struct draft *draft, struct config_place place, struct str key)
{
    struct draft_section *section = draft->current;
    char name[64], homes[128];
    snprintf(name, sizeof name, "%.*s", STR_ARG(key));
    if (find_homes(key, homes, sizeof homes)) {
        draft_fault(draft, section, place, name, "this key belongs into %s", homes);
        return;
    }
    const struct setting *nearest = setting_nearest(section->kind, key);
    if (!nearest)
        nearest = find_by_ending(section->kind, key);
    if (!nearest) {
        draft_fault(draft, section, place, name,
                    "unknown key; `bearerd help %s` lists the known ones",
                    section_infos[section->kind].name);
        return;
    }
    section->guessed |= UINT64_C(1) << setting_index(nearest);
    draft_fault(draft, section, place, name, "unknown key; did you mean \"%s\"?", nearest->key);
}

static size_t item_count(const struct setting *setting, const void *object)
{
    const void *field = (const char *)object + setting->offset;
    if (setting->type == SETTING_LIST)
        return ((const struct config_strings *)field)->count;
    if (setting->type == SETTING_HEADERS || setting->type == SETTING_PARAMS)
        return ((const struct config_headers *)field)->count;
    return 0;
}

// A secret that stands in a file which everybody may read is everybody's.
static void check_literal_secret(struct draft *draft, const struct setting *setting,
                                 struct config_place place, bool is_verbatim)
{
    const struct draft_section *section = draft->current;
    const void *field = (const char *)section->object + setting->offset;
    const struct secret *secret = *(struct secret *const *)field;
    if (is_verbatim && secret && str_eq(str_of(secret_origin(secret)), STR("(literal)")) &&
        reader_is_world_readable(place.file))
        draft_warn(draft, section, setting->key,
                   "the secret stands in a file that every user of this machine can read; chmod o= "
                   "%s, or refer to it by env: or file:",
                   place.file);
}

static void on_setting(void *arg, const struct reader_setting *read)
{
    struct draft *draft = arg;
    struct draft_section *section = draft->current;
    if (section && section->kind == SECTION_SCOPES)
        catalogue_add(draft, section, read);
    if (!section || section->kind == SECTION_SCOPES)
        return;
    const struct setting *setting = setting_find(section->kind, read->key);
    if (!setting) {
        report_unknown_key(draft, read->place, read->key);
        return;
    }
    const struct draft_entry *before =
        setting->flags & SETTING_REPEATS ? NULL : find_entry(section, setting, 0);
    if (before) {
        draft_fault(draft, section, read->place, setting->key, "is set twice, first in line %u",
                    before->line);
        return;
    }
    struct draft_entry entry = {.setting = setting, .line = read->place.line};
    struct err err;
    entry.first = item_count(setting, section->object);
    entry.is_unset = value_is_unset(setting, read->value);
    entry.is_broken = !value_set(setting, section->object, read->place, read->value, &err);
    section->entries = grow(section->entries, section->entry_count, sizeof entry);
    section->entries[section->entry_count++] = entry;
    if (entry.is_broken)
        draft_fault(draft, section, read->place, setting->key, "%s", err.text);
    else if (setting->type == SETTING_SECRET)
        check_literal_secret(draft, setting, read->place, read->is_verbatim);
}

static void on_bad_setting(void *arg, struct str key)
{
    const struct draft *draft = arg;
    struct draft_section *section = draft->current;
    const struct setting *setting = section ? setting_find(section->kind, key) : NULL;
    if (setting)
        section->guessed |= UINT64_C(1) << setting_index(setting);
}

static void set_defaults(struct draft *draft, struct draft_section *section)
{
    size_t count;
    const struct setting *rows = settings_of(section->kind, &count);
    for (size_t i = 0; i < count; i++) {
        bool is_set = find_entry(section, &rows[i], 0) != NULL;
        struct err err;
        if (is_set || !rows[i].fallback)
            continue;
        if (!value_set(&rows[i], section->object, section->place, str_of(rows[i].fallback), &err))
            draft_fault(draft, section, section->place, rows[i].key, "default: %s", err.text);
    }
}

void draft_read(struct draft *draft, const char *path)
{
    const struct reader_handler handler = {
        .on_section = on_section,
        .on_bad_section = on_bad_section,
        .on_setting = on_setting,
        .on_bad_setting = on_bad_setting,
        .arg = draft,
    };
    const struct reader_files files = {&draft->config->files, &draft->config->includes};
    reader_run(path, &handler, &files, draft->faults);
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++)
        if (!section_infos[kind].is_named && !draft_find(draft, (enum section_kind)kind, ""))
            add_section(draft, (enum section_kind)kind, STR_NONE,
                        (struct config_place){draft->config->path, 0});
    for (size_t i = 0; i < draft->section_count; i++)
        set_defaults(draft, draft->sections[i]);
}

void draft_fini(struct draft *draft)
{
    for (size_t i = 0; i < draft->section_count; i++) {
        struct draft_section *section = draft->sections[i];
        if (section->is_repeated || section->kind == SECTION_SCOPES)
            draft_object_free(section->kind, section->object);
        mem_free(section->title);
        mem_free(section->name);
        mem_free(section->entries);
        mem_free(section);
    }
    mem_free(draft->sections);
    map_fini(&draft->by_title);
}
