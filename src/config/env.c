// SPDX-License-Identifier: MIT
// See env.h. Owns copies of what is not in the environment any more. Overwriting leaves a
// variable's name and place as they are: other threads may be looking through the environment.
#include "config/env.h"

#include <stdlib.h>
#include <string.h>

#define VARIABLES_MAX 4096

struct variable {
    struct variable *next;
    char *name, *value; // value NULL: it is still in the environment
};

static struct variable *variables;

static struct variable *find(const char *name)
{
    struct variable *variable = variables;
    while (variable && strcmp(variable->name, name) != 0)
        variable = variable->next;
    return variable;
}

static struct variable *add(const char *name)
{
    unsigned count = 0;
    for (const struct variable *each = variables; each; each = each->next)
        count++;
    if (count >= VARIABLES_MAX)
        return NULL;
    struct variable *variable = mem_alloc(sizeof *variable);
    *variable = (struct variable){.next = variables, .name = mem_strdup(name)};
    variables = variable;
    return variable;
}

const char *env_get(const char *name)
{
    const struct variable *variable = find(name);
    return variable && variable->value ? variable->value : getenv(name);
}

const char *env_get_secret(const char *name)
{
    const char *value = env_get(name);
    if (value && !find(name))
        (void)add(name);
    return value;
}

void env_hide(void)
{
    for (struct variable *variable = variables; variable; variable = variable->next) {
        char *value = variable->value ? NULL : getenv(variable->name);
        if (!value)
            continue;
        variable->value = mem_strdup(value);
        mem_wipe(value, strlen(value));
    }
}

void env_take_away(const char *name)
{
    char *value = getenv(name);
    struct variable *variable = find(name);
    if (!variable)
        variable = add(name);
    if (value && variable && !variable->value)
        variable->value = mem_strdup(value);
    if (value)
        mem_wipe(value, strlen(value)); // of a proxy it may hold a password
    unsetenv(name);
}

void env_forget(void)
{
    while (variables) {
        struct variable *variable = variables;
        variables = variable->next;
        mem_free_secret(variable->value);
        mem_free(variable->name);
        mem_free(variable);
    }
}
