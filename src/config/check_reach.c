// SPDX-License-Identifier: MIT
// What makes the sandbox void: in it, folders that bearerd writes to can be written to as a whole,
// while the process that starts commands, which is not in it, believes the configuration's files
// and runs what they name. So neither may lie in such a folder, or whoever takes bearerd over
// writes himself a command. Most who have it so have a store beside the configuration and never
// asked for a sandbox: under `auto` they are told, under `strict` it is a fault.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/file.h"
#include "config/check.h"
#include "config/uses.h"

struct believed {     // a file that decides what is run
    const char *path; // of an include, a pattern
    const char *what;
    struct config_place place;
    const struct draft_section *section; // NULL: the file is the configuration's
    const char *key;
};

// Where the file stands, or where the link stands that is to lead to it.
static bool is_in(const char *path, const char *folder)
{
    char *real = realpath(path, NULL), *named = file_folder(path);
    bool is_below =
        (real && file_is_below(real, folder)) || (named && file_is_below(named, folder));
    mem_free(named);
    free(real);
    return is_below;
}

// -- each file that is believed ----------------------------------------------------------------

typedef bool believed_fn(void *arg, const struct believed *file); // true: enough

static bool each_command(const struct draft *draft, believed_fn *visit, void *arg)
{
    for (size_t i = 0; i < draft->section_count; i++) {
        const struct draft_section *section = draft->sections[i];
        const struct config_credential *credential = section->object;
        if (section->kind != SECTION_CREDENTIAL)
            continue;
        const char *const lines[] = {credential->command, credential->on_token_update};
        static const char *const keys[] = {"command", "on_token_update"};
        for (size_t j = 0; j < ARRAY_LEN(lines); j++) {
            char **argv = lines[j] ? child_argv_parse(lines[j], NULL) : NULL;
            struct believed file = {.path = argv ? argv[0] : NULL,
                                    .what = "a command",
                                    .place = draft_place(section, keys[j], 0),
                                    .section = section,
                                    .key = keys[j]};
            bool is_enough = argv && visit(arg, &file);
            child_argv_free(argv);
            if (is_enough)
                return true;
        }
    }
    return false;
}

// The pattern up to where it is one.
static bool visit_pattern(const char *pattern, believed_fn *visit, void *arg)
{
    char *fixed = mem_strndup(pattern, strcspn(pattern, "*?["));
    struct believed file = {.path = fixed, .what = "what the configuration includes"};
    bool is_enough = visit(arg, &file);
    mem_free(fixed);
    return is_enough;
}

static void each_believed(const struct draft *draft, believed_fn *visit, void *arg)
{
    const struct config *config = draft->config;
    for (size_t i = 0; i < config->files.count; i++) {
        const char *path = config->files.items[i];
        struct believed file = {.path = path, .what = "the configuration", .place = {path, 0}};
        if (visit(arg, &file))
            return;
    }
    for (size_t i = 0; i < config->includes.count; i++)
        if (visit_pattern(config->includes.items[i], visit, arg))
            return;
    (void)each_command(draft, visit, arg);
}

// -- each folder that is written to ------------------------------------------------------------

struct written {
    struct draft *draft;
    const char *folder;
    const struct draft_section *section; // NULL: a folder of our own, which no setting names
    const char *key;
};

static void tell(const struct written *written, const struct believed *file)
{
    struct config *config = written->draft->config;
    bool is_strict = config->sandbox == SANDBOX_STRICT;
    struct config_faults *to = is_strict ? written->draft->faults : &config->warnings;
    const struct draft_section *section = written->section ? written->section : file->section;
    const char *key = written->section ? written->key : file->key;
    const char *strict = is_strict ? "sandbox = strict: " : "";
    char where[128] = "";
    if (section)
        snprintf(where, sizeof where, "[%s] %s: ", section->title, key);
    if (written->section)
        config_faults_add(to, draft_place(section, key, 0),
                          "%s%sbearerd may write to %s for this, where %s (%s) is, too: whoever "
                          "took bearerd over could have anything run; give this a folder of its "
                          "own",
                          where, strict, written->folder, file->what, file->path);
    else
        config_faults_add(to, file->place,
                          "%s%sbearerd may always write to %s, where %s (%s) is: whoever took "
                          "bearerd over could have anything run; put it elsewhere",
                          where, strict, written->folder, file->what, file->path);
}

static bool look(void *arg, const struct believed *file)
{
    const struct written *written = arg;
    if (!is_in(file->path, written->folder))
        return false;
    tell(written, file);
    return true; // one is enough to see what is meant
}

static void check_written(struct draft *draft, enum section_kind kind, const char *key,
                          const char *path)
{
    const struct draft_section *section = draft_find(draft, kind, "");
    char *real = path ? realpath(path, NULL) : NULL;
    char *folders[] = {path ? file_folder(path) : NULL, real ? file_folder(real) : NULL};
    bool is_same = folders[0] && folders[1] && !strcmp(folders[0], folders[1]);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        struct written written = {draft, folders[i], section, key};
        if (folders[i] && !(i && is_same))
            each_believed(draft, look, &written);
        mem_free(folders[i]);
    }
    free(real);
}

void check_reach(struct draft *draft)
{
    const struct config *config = draft->config;
    struct str url = str_of(config->store.url);
    if (config->sandbox == SANDBOX_OFF)
        return;
    if (str_starts(url, STR("sqlite:")))
        check_written(draft, SECTION_STORE, "url", url.ptr + 7);
    check_written(draft, SECTION_PROXY, "pid_file", config->pid_file);
    for (const char *const *folder = config_own_folders; *folder; folder++) {
        char *real = realpath(*folder, NULL);
        struct written written = {.draft = draft, .folder = real};
        if (real)
            each_believed(draft, look, &written);
        free(real);
    }
}
