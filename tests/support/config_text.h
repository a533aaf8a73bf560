// SPDX-License-Identifier: MIT
// Configurations for tests, written as text: put into a file of its own folder, loaded, and what
// was said about it as one string, a line for each fault.
#ifndef SUPPORT_CONFIG_TEXT_H
#define SUPPORT_CONFIG_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"

static char text_folder[64];

// Group setup and teardown: a folder for the files of one test program.
static inline int text_setup(void **state)
{
    (void)state;
    snprintf(text_folder, sizeof text_folder, "/tmp/bearerd-test-XXXXXX");
    return mkdtemp(text_folder) ? 0 : -1;
}

static inline int text_teardown(void **state)
{
    (void)state;
    return rmdir(text_folder); // fails if a test left a file behind
}

static inline char *text_path(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", text_folder, name);
    return out;
}

static inline void text_write_bytes(const char *name, const char *bytes, size_t len, mode_t mode)
{
    const char *path = text_path(name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0 || chmod(path, mode) != 0)
        abort();
}

static inline void text_write(const char *name, const char *text)
{
    text_write_bytes(name, text, strlen(text), 0600);
}

static inline void text_remove(const char *name)
{
    if (unlink(text_path(name)) != 0)
        abort();
}

// "LINE: message\n" for each; with the file's name before it where it is not a.ini.
static inline char *text_of_faults(const struct config_faults *faults)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->items[i];
        const char *name = strrchr(fault->file, '/');
        name = name ? name + 1 : fault->file;
        bool is_main = strcmp(name, "a.ini") == 0;
        if (!buf_printf(&out, "%s%s%u: %s\n", is_main ? "" : name, is_main ? "" : ":", fault->line,
                        fault->message))
            abort();
    }
    return buf_take(&out);
}

// Loads `text` as a.ini. *out_said: faults, or warnings if there are none; free it.
static inline struct config *text_load(const char *text, char **out_said)
{
    struct config_faults faults = {0};
    text_write("a.ini", text);
    struct config *config = config_load(text_path("a.ini"), &faults);
    *out_said = text_of_faults(config ? &config->warnings : &faults);
    config_faults_fini(&faults);
    text_remove("a.ini");
    return config;
}

#endif
