// SPDX-License-Identifier: MIT
// See env.h. Invariant: what is hidden never changes afterwards, so that it may be read without a
// lock.
#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define HIDDEN_MAX 64

static struct {
    char *name, *value; // value points into line
    char *line;         // NAME=value
} hidden[HIDDEN_MAX];
static size_t hidden_count;

const char *env_get(const char *name)
{
    const char *value = getenv(name);
    for (size_t i = 0; !value && i < hidden_count; i++)
        if (!strcmp(hidden[i].name, name))
            value = hidden[i].value;
    return value;
}

void env_hide(const char *name)
{
    const char *value = getenv(name);
    if (value && hidden_count < HIDDEN_MAX) {
        size_t name_len = strlen(name), size = name_len + strlen(value) + 2;
        char *line = mem_alloc(size);
        snprintf(line, size, "%s=%s", name, value);
        hidden[hidden_count].name = mem_strdup(name);
        hidden[hidden_count].line = line;
        hidden[hidden_count++].value = line + name_len + 1;
    }
    unsetenv(name);
}

void env_forget(const char *name)
{
    unsetenv(name);
}

char **env_list(const char *const *more)
{
    size_t count = 0, more_count = 0, at = 0;
    while (environ[count])
        count++;
    while (more[more_count])
        more_count++;
    char **list = mem_array(count + hidden_count + more_count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        list[at++] = environ[i];
    for (size_t i = 0; i < hidden_count; i++)
        list[at++] = hidden[i].line;
    for (size_t i = 0; i < more_count; i++)
        list[at++] = mem_unconst(more[i]);
    return list;
}
