// SPDX-License-Identifier: MIT
// Whose children a process has, from /proc: running ones and zombies.
#ifndef SUPPORT_CHILDREN_H
#define SUPPORT_CHILDREN_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

// Of a process without threads. Writes up to max of them to out; returns how many there are.
static inline size_t children_of(pid_t parent, pid_t *out, size_t max)
{
    char path[64], text[8192] = "";
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(text, sizeof text, file))
        text[0] = '\0';
    fclose(file);
    char *rest = text;
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0; count++)
        if (count < max)
            out[count] = (pid_t)pid;
    return count;
}

#endif
