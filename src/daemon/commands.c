// SPDX-License-Identifier: MIT
// See commands.h. Owns the command lines cut into words, and nothing else of the configuration.
#include "daemon/commands.h"

#include <string.h>

#include "base/child.h"
#include "config/uses.h"

struct lines {
    char ***items; // argv of each
    size_t count;
};

struct commands {
    char *path;
    struct lines now, before;
};

static void add(void *arg, enum config_use use, const char *line)
{
    struct lines *lines = arg;
    char **argv = use == USE_COMMAND ? child_argv_parse(line, NULL) : NULL;
    if (!argv)
        return;
    lines->items = mem_realloc(lines->items, (lines->count + 1) * sizeof *lines->items);
    lines->items[lines->count++] = argv;
}

static void forget(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        child_argv_free(lines->items[i]);
    mem_free(lines->items);
    *lines = (struct lines){0};
}

struct commands *commands_new(const struct config *config)
{
    struct commands *commands = mem_alloc(sizeof *commands);
    commands->path = mem_strdup(config->path);
    config_visit_uses(config, add, &commands->now);
    return commands;
}

void commands_free(struct commands *commands)
{
    if (!commands)
        return;
    forget(&commands->now);
    forget(&commands->before);
    mem_free(commands->path);
    mem_free(commands);
}

static bool is_same(char *const *known, const char *const *argv)
{
    size_t i = 0;
    while (known[i] && argv[i] && !strcmp(known[i], argv[i]))
        i++;
    return !known[i] && !argv[i];
}

static bool is_known(const struct lines *lines, const char *const *argv)
{
    for (size_t i = 0; i < lines->count; i++)
        if (is_same(lines->items[i], argv))
            return true;
    return false;
}

// Secrets of the environment are not known here, so there may be faults that are none. A file that
// is gone was there a moment ago.
void commands_refresh(struct commands *commands)
{
    struct config_faults faults = {0};
    struct config *config = config_inspect(commands->path, &faults);
    if (config->files.count) {
        forget(&commands->before);
        commands->before = commands->now;
        commands->now = (struct lines){0};
        config_visit_uses(config, add, &commands->now);
    }
    config_unref(config);
    config_faults_fini(&faults);
}

bool commands_permit(const struct commands *commands, const char *const *argv,
                     const char *const *env)
{
    for (size_t i = 0; env[i]; i++)
        if (!str_starts(str_of(env[i]), STR("BEARERD_")))
            return false;
    return is_known(&commands->now, argv) || is_known(&commands->before, argv);
}
