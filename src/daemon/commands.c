// SPDX-License-Identifier: MIT
// See commands.h. Owns the command lines cut into words, and nothing else of the configuration.
#include "daemon/commands.h"

#include <string.h>

#include "base/child.h"
#include "config/uses.h"

struct commands {
    char *path;
    char ***items; // argv of each
    size_t count;
};

static void add(void *arg, enum config_use use, const char *line)
{
    struct commands *commands = arg;
    char **argv = use == USE_COMMAND ? child_argv_parse(line, NULL) : NULL;
    if (!argv)
        return;
    commands->items = mem_realloc(commands->items, (commands->count + 1) * sizeof *commands->items);
    commands->items[commands->count++] = argv;
}

static void forget(struct commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        child_argv_free(commands->items[i]);
    mem_free(commands->items);
    commands->items = NULL;
    commands->count = 0;
}

struct commands *commands_new(const struct config *config)
{
    struct commands *commands = mem_alloc(sizeof *commands);
    commands->path = mem_strdup(config->path);
    config_visit_uses(config, add, commands);
    return commands;
}

void commands_free(struct commands *commands)
{
    if (!commands)
        return;
    forget(commands);
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

static bool is_known(const struct commands *commands, const char *const *argv)
{
    for (size_t i = 0; i < commands->count; i++)
        if (is_same(commands->items[i], argv))
            return true;
    return false;
}

// Faults are the other process's to tell of; what is sound counts.
static void read_again(struct commands *commands)
{
    struct config_faults faults = {0};
    struct config *config = config_inspect(commands->path, &faults);
    forget(commands);
    config_visit_uses(config, add, commands);
    config_unref(config);
    config_faults_fini(&faults);
}

bool commands_permit(struct commands *commands, const char *const *argv, const char *const *env)
{
    for (size_t i = 0; env[i]; i++)
        if (!str_starts(str_of(env[i]), STR("BEARERD_")))
            return false;
    if (is_known(commands, argv))
        return true;
    read_again(commands);
    return is_known(commands, argv);
}
