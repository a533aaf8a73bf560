// SPDX-License-Identifier: MIT
// See value.h. Numbers and their units are in value_number.c.
#include "config/value.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "config/reader.h"
#include "config/template.h"
#include "config/url.h"
#include "config/value_number.h"

#define LIST_MAX     1000
#define PEM_FILE_MAX (8u << 20)

static void *field_of(const struct setting *setting, void *object)
{
    return (char *)object + setting->offset;
}

void strings_add(struct config_strings *strings, char *taken)
{
    strings->items = mem_realloc(strings->items, (strings->count + 1) * sizeof *strings->items);
    strings->items[strings->count++] = taken;
}

void strings_fini(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        mem_free(strings->items[i]);
    mem_free(strings->items);
    *strings = (struct config_strings){0};
}

static bool set_text(const struct setting *setting, char **field, struct str text, struct err *err)
{
    char *value = setting->item(text, err);
    if (!value)
        return false;
    mem_free_secret(*field);
    *field = value;
    return true;
}

static bool set_list(const struct setting *setting, struct config_strings *field, struct str text,
                     struct err *err)
{
    struct str rest = text, word;
    while (str_word(&rest, &word)) {
        if (field->count >= LIST_MAX)
            return err_set(err, "more than %d words", LIST_MAX);
        char *value = setting->item(word, err);
        if (!value)
            return false;
        strings_add(field, value);
    }
    return true;
}

// Index of the choice that text is; -1 after a fault.
static int find_choice(const struct setting *setting, struct str text, struct err *err)
{
    unsigned best = nearest_limit(text) + 1;
    const char *nearest = NULL;
    struct buf known;
    for (int i = 0; setting->choices[i]; i++) {
        struct str choice = str_of(setting->choices[i]);
        if (str_eq(text, choice))
            return i;
        unsigned distance = str_distance(text, choice, best);
        if (distance < best) {
            best = distance;
            nearest = setting->choices[i];
        }
    }
    if (nearest) {
        err_set(err, "unknown value \"%.*s\"; did you mean \"%s\"?", STR_ARG(text), nearest);
        return -1;
    }
    buf_init(&known, 512);
    value_describe(setting, &known);
    err_set(err, "unknown value \"%.*s\"; it must be %.*s", STR_ARG(text),
            STR_ARG(buf_str(&known)));
    buf_fini(&known);
    return -1;
}

static bool set_choice(const struct setting *setting, int *field, struct str text, struct err *err)
{
    int index = find_choice(setting, text, err);
    if (index >= 0)
        *field = index;
    return index >= 0;
}

static bool set_word(const struct setting *setting, char **field, struct str text, struct err *err)
{
    if (find_choice(setting, text, err) < 0)
        return false;
    mem_free(*field);
    *field = str_dup(text);
    return true;
}

static bool set_bool(const struct setting *setting, bool *field, struct str text, struct err *err)
{
    if (setting->choices) { // two words of its own
        int index = find_choice(setting, text, err);
        *field = index == 1;
        return index >= 0;
    }
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (unsigned side = 0; side < 2; side++)
            if (str_eq_nocase(text, str_of(words[i][side]))) {
                *field = side == 1;
                return true;
            }
    return err_set(err, "\"%.*s\" is neither yes nor no", STR_ARG(text));
}

// A relative path counts from the folder of the file it stands in, here as everywhere.
char *value_secret_reference(const char *file, struct str text)
{
    if (!str_starts(text, STR("file:")) || text.len == 5)
        return str_dup(text);
    char *path = reader_resolve(file, str_from(text, 5));
    struct buf reference;
    buf_init(&reference, SECRET_MAX);
    if (!buf_printf(&reference, "file:%s", path))
        buf_clear(&reference);
    mem_free(path);
    return buf_take(&reference);
}

static bool set_secret(struct secret **field, struct config_place place, struct str text,
                       struct err *err)
{
    char *reference = value_secret_reference(place.file, text);
    struct secret *secret = secret_new(reference, err);
    mem_free_secret(reference);
    if (!secret)
        return false;
    secret_free(*field);
    *field = secret;
    return true;
}

static bool check_pem(const char *path, struct err *err)
{
    struct buf content;
    buf_init(&content, PEM_FILE_MAX);
    bool ok = file_read(path, &content, err);
    if (ok && !(content.len && memmem(content.ptr, content.len, "-----BEGIN ", 11)))
        ok = err_set(err, "%s is no PEM file: it has no -----BEGIN line", path);
    buf_fini(&content);
    return ok;
}

static bool set_file(char **field, struct config_place place, struct str text, struct err *err)
{
    char *path = reader_resolve(place.file, text);
    if (!check_pem(path, err)) {
        mem_free(path);
        return false;
    }
    mem_free(*field);
    *field = path;
    return true;
}

static bool set_template(char **field, struct config_place place, struct str text, struct err *err)
{
    char *value = template_new(place.file, text, err);
    if (!value)
        return false;
    mem_free_secret(*field);
    *field = value;
    return true;
}

// What both kinds of pairs have in common. Takes name.
static bool add_pair(struct config_headers *field, char *name, struct str value, struct err *err)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7f) {
            mem_free(name);
            return err_set(err, "the value holds a control character");
        }
    for (size_t i = 0; i < field->count; i++)
        if (str_eq_nocase(str_of(field->items[i].name), str_of(name))) {
            mem_free(name);
            return err_set(err, "%s is set twice in this section", field->items[i].name);
        }
    field->items = mem_realloc(field->items, (field->count + 1) * sizeof *field->items);
    field->items[field->count++] = (struct config_header){.name = name, .value = str_dup(value)};
    return true;
}

static bool add_header(struct config_headers *field, struct str text, struct err *err)
{
    size_t colon;
    if (!str_find(text, ':', &colon))
        return err_set(err, "there is no \":\"; write it as Name: value");
    char *name = item_header_name((struct str){text.ptr, colon}, err);
    return name && add_pair(field, name, str_trim(str_from(text, colon + 1)), err);
}

static bool add_param(struct config_headers *field, struct str text, struct err *err)
{
    struct str name;
    if (!str_word(&text, &name) || !str_trim(text).len)
        return err_set(err, "there is no value; write it as name value");
    char *checked = item_param_name(name, err);
    return checked && add_pair(field, checked, str_trim(text), err);
}

static bool add_match(const struct setting *setting, struct config_route *route,
                      struct config_place place, struct str text, struct err *err)
{
    char *value = setting->item(text, err);
    if (!value)
        return false;
    route->matches = mem_realloc(route->matches, (route->match_count + 1) * sizeof *route->matches);
    route->matches[route->match_count++] = (struct config_match){.place = place, .text = value};
    return true;
}

bool value_is_unset(const struct setting *setting, struct str text)
{
    static const bool has_empty[] = {
        [SETTING_TEXT] = true, [SETTING_LIST] = true,     [SETTING_URL] = true,
        [SETTING_FILE] = true, [SETTING_WORD] = true,     [SETTING_TIME] = true,
        [SETTING_PATH] = true, [SETTING_TEMPLATE] = true, [SETTING_MATCHES] = false,
    };
    return !text.len && has_empty[setting->type] && !setting->fallback &&
           !(setting->flags & (SETTING_REQUIRED | SETTING_NO_EMPTY));
}

static bool may_be_empty(const struct setting *setting)
{
    return setting->item == item_prefix;
}

static bool set_path(char **field, struct config_place place, struct str text)
{
    mem_free(*field);
    *field = reader_resolve(place.file, text);
    return true;
}

// Values that depend on where they stand, or that come one to a line.
static bool set_placed(const struct setting *setting, void *object, struct config_place place,
                       struct str text, struct err *err)
{
    void *field = field_of(setting, object);
    switch (setting->type) {
    case SETTING_SECRET:
        return set_secret(field, place, text, err);
    case SETTING_TEMPLATE:
        return set_template(field, place, text, err);
    case SETTING_FILE:
        return set_file(field, place, text, err);
    case SETTING_PATH:
        return set_path(field, place, text);
    case SETTING_HEADERS:
        return add_header(field, text, err);
    case SETTING_PARAMS:
        return add_param(field, text, err);
    case SETTING_MATCHES:
        return add_match(setting, object, place, text, err);
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_BOOL:
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_MODE:
    case SETTING_CHOICE:
    case SETTING_WORD:
    case SETTING_TIME:
    case SETTING_URL:
        break;
    }
    return false;
}

bool value_set(const struct setting *setting, void *object, struct config_place place,
               struct str text, struct err *err)
{
    void *field = field_of(setting, object);
    if (value_is_unset(setting, text))
        return true;
    if (!text.len && !may_be_empty(setting))
        return err_set(err, "the value is empty");
    switch (setting->type) {
    case SETTING_TEXT:
        return set_text(setting, field, text, err);
    case SETTING_LIST:
        return set_list(setting, field, text, err);
    case SETTING_BOOL:
        return set_bool(setting, field, text, err);
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_MODE:
        return value_number(setting, text, field, err);
    case SETTING_CHOICE:
        return set_choice(setting, field, text, err);
    case SETTING_WORD:
        return set_word(setting, field, text, err);
    case SETTING_TIME:
        return value_time(text, field, err);
    case SETTING_URL:
        return url_parse(text, field, err);
    case SETTING_SECRET:
    case SETTING_TEMPLATE:
    case SETTING_FILE:
    case SETTING_PATH:
    case SETTING_HEADERS:
    case SETTING_PARAMS:
    case SETTING_MATCHES:
        break;
    }
    return set_placed(setting, object, place, text, err);
}

static void headers_fini(struct config_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        mem_free(headers->items[i].name);
        mem_free_secret(headers->items[i].value); // an API key, often
    }
    mem_free(headers->items);
    *headers = (struct config_headers){0};
}

static void matches_fini(struct config_route *route)
{
    for (size_t i = 0; i < route->match_count; i++)
        mem_free(route->matches[i].text);
    mem_free(route->matches);
    route->matches = NULL;
    route->match_count = 0;
}

void value_fini(const struct setting *setting, void *object)
{
    void *field = field_of(setting, object);
    switch (setting->type) {
    case SETTING_TEXT: // a proxy's URL may hold a password
    case SETTING_WORD:
    case SETTING_TEMPLATE:
    case SETTING_FILE:
    case SETTING_PATH:
        mem_free_secret(*(char **)field);
        *(char **)field = NULL;
        break;
    case SETTING_LIST:
        strings_fini(field);
        break;
    case SETTING_SECRET:
        secret_free(*(struct secret **)field);
        *(struct secret **)field = NULL;
        break;
    case SETTING_URL:
        url_fini(field);
        break;
    case SETTING_HEADERS:
    case SETTING_PARAMS:
        headers_fini(field);
        break;
    case SETTING_MATCHES:
        matches_fini(object);
        break;
    case SETTING_BOOL:
    case SETTING_NUMBER:
    case SETTING_SIZE:
    case SETTING_DURATION:
    case SETTING_MODE:
    case SETTING_CHOICE:
    case SETTING_TIME:
        break;
    }
}
