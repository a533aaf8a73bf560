// SPDX-License-Identifier: MIT
// The list of faults a configuration has. It does not know what is a fault; it keeps them apart, in
// order, and no more than FAULT_MAX of them, for nobody reads the thousandth.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

#define FAULT_MAX 1000

static void append(struct config_faults *faults, struct config_place place, char *message)
{
    faults->items = mem_realloc(faults->items, (faults->count + 1) * sizeof *faults->items);
    faults->items[faults->count++] = (struct config_fault){
        .file = mem_strdup(place.file ? place.file : "(configuration)"),
        .line = place.line,
        .message = message,
    };
}

void config_faults_add(struct config_faults *faults, struct config_place place, const char *fmt,
                       ...)
{
    if (faults->count > FAULT_MAX)
        return;
    if (faults->count == FAULT_MAX) {
        append(faults, (struct config_place){place.file, 0},
               mem_strdup("more faults than these were found"));
        return;
    }
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    append(faults, place, mem_strdup(text));
}

static bool is_after(const struct config_fault *a, const struct config_fault *b)
{
    int order = strcmp(a->file, b->file);
    return order ? order > 0 : a->line > b->line;
}

// Insertion sort: stable, and there are FAULT_MAX at most.
void config_faults_sort(struct config_faults *faults)
{
    for (size_t i = 1; i < faults->count; i++) {
        struct config_fault moved = faults->items[i];
        size_t at = i;
        for (; at > 0 && is_after(&faults->items[at - 1], &moved); at--)
            faults->items[at] = faults->items[at - 1];
        faults->items[at] = moved;
    }
}

void config_faults_fini(struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        mem_free(faults->items[i].file);
        mem_free(faults->items[i].message);
    }
    mem_free(faults->items);
    *faults = (struct config_faults){0};
}
