// SPDX-License-Identifier: MIT
// From files to sections and settings: INI syntax, include, ${NAME}. It does not know which keys
// exist or what they mean. Faults of syntax are added to the list and the reading goes on behind
// them.
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "base/str.h"
#include "config/config.h"

#define READER_LINE_MAX 8192 // bytes in a line

struct reader_setting {
    struct config_place place;
    struct str key, value;
    struct str comment; // behind the value, in the same line
    bool is_verbatim;   // the value stands in the file as it is, no part came from a variable
};

struct reader_handler {
    // [KIND] or [KIND NAME]: starts a section; the settings that follow belong to it.
    void (*on_section)(void *arg, struct config_place place, struct str kind, struct str name);
    // A [ line that is no section: the settings that follow belong to nobody.
    void (*on_bad_section)(void *arg);
    void (*on_setting)(void *arg, const struct reader_setting *setting);
    // A setting whose value cannot be made out: it is there, but what it says was a fault.
    void (*on_bad_setting)(void *arg, struct str key);
    void *arg;
};

// What was looked at. Appended to; it must outlive the places.
struct reader_files {
    struct config_strings *read;     // names of files
    struct config_strings *patterns; // of include
};

// Reads path and what it includes. The views given to the handler live as long as the call.
void reader_run(const char *path, const struct reader_handler *handler,
                const struct reader_files *files, struct config_faults *faults);

// `path` as it stands in `file`: a relative one counts from the file's folder.
char *reader_resolve(const char *file, struct str path) WARN_UNUSED;

bool reader_is_world_readable(const char *file);

#endif
