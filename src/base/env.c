// SPDX-License-Identifier: MIT
// See env.h. Owns copies of what is not in the environment any more, each as a line of it.
#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define VARIABLES_MAX 4096

struct variable {
    struct variable *next;
    char *name;
    char *line; // NAME=value; NULL: it is still in the environment, or was forgotten
    bool is_secret;
};

static struct variable *variables;
static size_t variable_count;

static struct variable *find(const char *name)
{
    struct variable *variable = variables;
    while (variable && strcmp(variable->name, name) != 0)
        variable = variable->next;
    return variable;
}

static struct variable *find_or_add(const char *name)
{
    struct variable *variable = find(name);
    if (variable || variable_count >= VARIABLES_MAX)
        return variable;
    variable = mem_alloc(sizeof *variable);
    *variable = (struct variable){.next = variables, .name = mem_strdup(name)};
    variables = variable;
    variable_count++;
    return variable;
}

// Copies the value, and overwrites it where it stands.
static void keep(struct variable *variable)
{
    char *value = getenv(variable->name);
    if (!value || variable->line)
        return;
    size_t size = strlen(variable->name) + strlen(value) + 2;
    variable->line = mem_alloc(size);
    snprintf(variable->line, size, "%s=%s", variable->name, value);
    mem_wipe(value, strlen(value));
}

const char *env_get(const char *name)
{
    const struct variable *variable = find(name);
    return variable && variable->line ? variable->line + strlen(name) + 1 : getenv(name);
}

const char *env_get_secret(const char *name)
{
    const char *value = env_get(name);
    struct variable *variable = value ? find_or_add(name) : NULL;
    if (variable)
        variable->is_secret = true;
    return value;
}

bool env_is_secret(const char *name)
{
    const struct variable *variable = find(name);
    return variable && variable->is_secret;
}

void env_hide(const char *name)
{
    struct variable *variable = getenv(name) ? find_or_add(name) : NULL;
    if (variable)
        keep(variable); // of a proxy it may hold a password
    unsetenv(name);
}

void env_hide_secrets(void)
{
    for (struct variable *variable = variables; variable; variable = variable->next)
        if (variable->is_secret)
            keep(variable);
}

void env_forget(const char *name)
{
    struct variable *variable = find(name);
    if (variable) {
        mem_free_secret(variable->line);
        variable->line = NULL;
    }
    unsetenv(name);
}

void env_forget_secrets(void)
{
    for (struct variable *variable = variables; variable; variable = variable->next)
        if (variable->is_secret) {
            mem_free_secret(variable->line);
            variable->line = NULL;
        }
}

// -- lists -------------------------------------------------------------------------------------

static bool has_name_of(char *const *lines, const char *line)
{
    size_t len = strcspn(line, "=") + 1;
    for (size_t i = 0; lines[i]; i++)
        if (!strncmp(lines[i], line, len))
            return true;
    return false;
}

// Room for `first` lines, all variables and `more`.
static char **list_new(size_t first, const char *const *more, size_t *out_count)
{
    size_t count = 0;
    while (more[count])
        count++;
    char **list = mem_array(first + variable_count + count + 1, sizeof(char *));
    for (*out_count = 0; *out_count < count; ++*out_count)
        list[*out_count] = mem_unconst(more[*out_count]);
    return list;
}

// What is hidden stands above what is in the environment, for a secret's line there is empty.
char **env_list(const char *const *more)
{
    size_t size = 0, count;
    while (environ[size])
        size++;
    char **list = list_new(size, more, &count);
    for (struct variable *variable = variables; variable; variable = variable->next)
        if (variable->line && !has_name_of(list, variable->line))
            list[count++] = variable->line;
    for (size_t i = 0; i < size; i++)
        if (!has_name_of(list, environ[i]))
            list[count++] = environ[i];
    return list;
}

char **env_secret_list(const char *const *more)
{
    size_t count;
    char **list = list_new(0, more, &count);
    for (struct variable *variable = variables; variable; variable = variable->next)
        if (variable->is_secret && variable->line)
            list[count++] = variable->line;
    return list;
}
