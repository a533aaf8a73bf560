// SPDX-License-Identifier: MIT
// See uses.h. It refuses to know what for: it walks the table of settings over every section.
#include "config/uses.h"

#include "config/settings.h"
#include "config/template.h"

const char *const config_own_folders[] = {"/run/bearerd", "/var/lib/bearerd", NULL};

struct visitor {
    config_visit_fn *visit;
    void *arg;
};

static void visit_file(const struct visitor *visitor, const char *path)
{
    if (path)
        visitor->visit(visitor->arg, USE_FILE, path);
}

static void visit_template(const struct visitor *visitor, const char *text)
{
    struct str rest = str_of(text), before, reference;
    while (template_next(&rest, &before, &reference)) {
        char *copy = str_dup(reference);
        struct secret *secret = secret_new(copy, NULL);
        if (secret)
            visit_file(visitor, secret_file(secret));
        secret_free(secret);
        mem_free(copy);
    }
}

static void visit_listen(const struct visitor *visitor, const struct config_strings *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        struct str address = str_of(addresses->items[i]);
        bool is_unix = str_starts(address, STR("unix:"));
        visitor->visit(visitor->arg, is_unix ? USE_SOCKET : USE_ADDRESS,
                       str_from(address, is_unix ? 5 : 0).ptr);
    }
}

// Only that: what else a setting holds is text, even if it looks like a path.
static void visit_text(const struct visitor *visitor, const struct setting *setting,
                       const char *text)
{
    if (!text)
        return;
    if (setting->item == item_command)
        visitor->visit(visitor->arg, USE_COMMAND, text);
    if (setting->item == item_store_url && str_starts(str_of(text), STR("sqlite:")))
        visitor->visit(visitor->arg, USE_WRITTEN, text + 7);
}

static void visit_setting(const struct visitor *visitor, const struct setting *setting,
                          const void *object)
{
    const void *field = (const char *)object + setting->offset;
    const char *text = NULL;
    if (setting->type == SETTING_FILE || setting->type == SETTING_PATH ||
        setting->type == SETTING_TEMPLATE || setting->type == SETTING_TEXT)
        text = *(char *const *)field;
    if (text && (setting->flags & SETTING_WRITTEN))
        visitor->visit(visitor->arg, USE_WRITTEN, text);
    else if (setting->type == SETTING_FILE || setting->type == SETTING_PATH)
        visit_file(visitor, text);
    else if (setting->type == SETTING_TEMPLATE)
        visit_template(visitor, text);
    else if (setting->type == SETTING_TEXT)
        visit_text(visitor, setting, text);
    else if (setting->type == SETTING_LIST && setting->item == item_listen)
        visit_listen(visitor, field);
    else if (setting->type == SETTING_SECRET && *(struct secret *const *)field)
        visit_file(visitor, secret_file(*(struct secret *const *)field));
}

static void visit_section(const struct visitor *visitor, enum section_kind kind, const void *object)
{
    size_t count;
    const struct setting *rows = settings_of(kind, &count);
    for (size_t i = 0; i < count; i++)
        visit_setting(visitor, &rows[i], object);
}

void config_visit_uses(const struct config *config, config_visit_fn *visit, void *arg)
{
    const struct visitor visitor = {visit, arg};
    for (size_t i = 0; i < config->files.count; i++)
        visit_file(&visitor, config->files.items[i]);
    for (size_t i = 0; i < config->credential_count; i++)
        visit_section(&visitor, SECTION_CREDENTIAL, config->credentials[i]);
    for (size_t i = 0; i < config->upstream_count; i++)
        visit_section(&visitor, SECTION_UPSTREAM, config->upstreams[i]);
    for (size_t i = 0; i < config->route_count; i++)
        visit_section(&visitor, SECTION_ROUTE, config->routes[i]);
    // The others have one section each, which is part of the configuration itself.
    for (enum section_kind kind = 0; kind < SECTION_KINDS; kind++)
        if (!section_infos[kind].is_named)
            visit_section(&visitor, kind, config);
}
