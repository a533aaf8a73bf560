// SPDX-License-Identifier: MIT
// See reader.h. libinih is the parser; this file is what makes it safe to trust. Left to itself,
// libinih cuts lines at 200 bytes and parses the remainder as another line, cuts section names at
// 49, splits keys at
// ':' too, takes indented lines for more of the value before, ignores what stands behind a ']',
// says nothing of sections without settings, and tells the number of the first bad line only.
//
// So it never sees the file. Our line reader looks at each line, reports what is wrong with it, and
// hands libinih a short stand-in that it cannot misread: `[kind name]` followed by `@ = LINE` for a
// section (so that every one is announced), `key = LINE` for a setting. LINE is the line's number,
// by which the handler finds the true value again. Invariant: a line reaches libinih whole and
// well-formed, or not at all.
#include "config/reader.h"

#include <glob.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/expand.h"
#include "config/value.h"

#define NAME_LEN_MAX      49 // libinih's own limit for a section
#define FILE_SIZE_MAX     (16u << 20)
#define FILE_COUNT_MAX    1000
#define INCLUDE_DEPTH_MAX 8

struct reader { // one run
    const struct reader_handler *handler;
    const struct reader_files *files;
    struct config_faults *faults;
};

struct source { // one file being read
    const struct reader *reader;
    const struct source *parent; // who included it
    unsigned depth;
    dev_t device; // with inode: the file's identity, to see a cycle
    ino_t inode;
    struct config_place place;    // of the current line
    struct str rest;              // of the file
    struct str raw;               // value of the current line, unexpanded
    char title[NAME_LEN_MAX + 1]; // section of the current line, normalised: "route read"
    bool is_announcing;           // the section's stand-in is out, its `@` line is next
};

static void read_file(const struct reader *reader, const struct source *parent,
                      struct config_place from, const char *path);

#define FAULT(source, ...) config_faults_add((source)->reader->faults, (source)->place, __VA_ARGS__)

static bool next_line(struct source *source, struct str *out)
{
    if (!source->rest.len)
        return false;
    size_t end = source->rest.len, next = end;
    if (str_find(source->rest, '\n', &end))
        next = end + 1;
    *out = (struct str){source->rest.ptr, end};
    source->rest = str_from(source->rest, next);
    source->place.line++;
    if (str_ends(*out, STR("\r")))
        out->len--;
    return true;
}

static bool check_bytes(struct source *source, struct str line)
{
    if (line.len > READER_LINE_MAX) {
        FAULT(source, "the line has %zu bytes; %d is the most", line.len, READER_LINE_MAX);
        return false;
    }
    for (size_t i = 0; i < line.len; i++) {
        unsigned char byte = (unsigned char)line.ptr[i];
        if ((byte >= 0x20 && byte != 0x7f) || byte == '\t')
            continue;
        FAULT(source, "column %zu holds %s", i + 1,
              byte ? "a control character" : "a NUL byte; is the file saved as UTF-16?");
        return false;
    }
    return true;
}

static bool is_name_char(char c)
{
    char lower = str_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_title_char(char c)
{
    return is_name_char(c) || c == '-' || c == '.' || c == ' ' || c == '\t';
}

// line starts with '['. Leaves the title with single spaces.
static bool parse_title(struct source *source, struct str line)
{
    size_t end;
    if (!str_find(line, ']', &end)) {
        FAULT(source, "the ] of the section is missing");
        return false;
    }
    struct str tail = str_trim(str_from(line, end + 1));
    if (tail.len && tail.ptr[0] != ';' && tail.ptr[0] != '#') {
        FAULT(source,
              "there is text behind the ] of the section; settings go on lines of their own");
        return false;
    }
    struct str inner = {line.ptr + 1, end - 1}, word;
    for (size_t i = 0; i < inner.len; i++)
        if (!is_title_char(inner.ptr[i])) {
            FAULT(source, "a section's name is made of letters, digits, '-', '_' and '.'");
            return false;
        }
    size_t len = 0;
    while (str_word(&inner, &word)) {
        if (len + word.len + 1 > NAME_LEN_MAX) {
            FAULT(source, "the section's name is longer than %d characters", NAME_LEN_MAX);
            return false;
        }
        if (len)
            source->title[len++] = ' ';
        memcpy(source->title + len, word.ptr, word.len);
        len += word.len;
    }
    source->title[len] = '\0';
    if (!len)
        FAULT(source, "the section has no name");
    return len > 0;
}

static void report_no_equals(struct source *source, struct str line, bool is_indented)
{
    size_t colon;
    if (is_indented)
        FAULT(source,
              "there is no \"=\"; a value cannot go on in the next line: write it in one "
              "line (up to %d bytes)",
              READER_LINE_MAX);
    else if (str_find(line, ':', &colon) && colon < NAME_LEN_MAX)
        FAULT(source, "write \"%.*s = …\": settings are split at \"=\", not at \":\"", (int)colon,
              line.ptr);
    else
        FAULT(source, "this is no section, setting or comment: there is no \"=\"");
}

static bool parse_setting(struct source *source, struct str line, bool is_indented,
                          struct str *out_key)
{
    size_t equals;
    if (!str_find(line, '=', &equals)) {
        report_no_equals(source, line, is_indented);
        return false;
    }
    struct str key = str_trim((struct str){line.ptr, equals});
    bool is_name = key.len > 0 && key.len <= NAME_LEN_MAX;
    for (size_t i = 0; is_name && i < key.len; i++)
        is_name = is_name_char(key.ptr[i]);
    if (!is_name) {
        FAULT(source,
              "what stands before \"=\" is no key: a key is made of letters, digits and "
              "'_', %d at most",
              NAME_LEN_MAX);
        return false;
    }
    *out_key = key;
    source->raw = str_trim(str_from(line, equals + 1));
    return true;
}

// Writes the next stand-in to out; false at the end of the file.
static bool next_stand_in(struct source *source, char *out, size_t size)
{
    const struct reader_handler *handler = source->reader->handler;
    for (struct str line, key; next_line(source, &line);) {
        struct str text = str_trim(line);
        if (!check_bytes(source, line) || !text.len || text.ptr[0] == ';' || text.ptr[0] == '#')
            continue;
        if (text.ptr[0] == '[') {
            source->is_announcing = parse_title(source, text);
            if (!source->is_announcing) {
                // Nobody's settings, but no longer at the head of the file either.
                snprintf(source->title, sizeof source->title, "?");
                handler->on_bad_section(handler->arg);
                continue;
            }
            return snprintf(out, size, "[%s]\n", source->title) < (int)size;
        }
        if (parse_setting(source, text, text.ptr != line.ptr, &key))
            return snprintf(out, size, "%.*s = %u\n", STR_ARG(key), source->place.line) < (int)size;
    }
    return false;
}

// libinih's fgets. 200 bytes is its least line buffer, far more than a stand-in takes.
static char *on_want_line(char *out, int size, void *stream)
{
    struct source *source = stream;
    if (source->is_announcing) {
        source->is_announcing = false;
        return snprintf(out, (size_t)size, "@ = %u\n", source->place.line) < size ? out : NULL;
    }
    return next_stand_in(source, out, (size_t)size) ? out : NULL;
}

char *reader_resolve(const char *file, struct str path)
{
    const char *slash = strrchr(file, '/');
    if (!slash || (path.len && path.ptr[0] == '/'))
        return str_dup(path);
    struct buf joined;
    buf_init(&joined, (size_t)2 * VALUE_MAX);
    if (!buf_printf(&joined, "%.*s/%.*s", (int)(slash - file), file, STR_ARG(path)))
        buf_clear(&joined);
    return buf_take(&joined);
}

bool reader_is_world_readable(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
}

static void read_included(struct source *source, struct str pattern)
{
    if (source->depth >= INCLUDE_DEPTH_MAX) {
        FAULT(source, "include: files are nested deeper than %d", INCLUDE_DEPTH_MAX);
        return;
    }
    if (!pattern.len) {
        FAULT(source, "include: the path is empty");
        return;
    }
    char *resolved = reader_resolve(source->place.file, pattern);
    glob_t found = {0};
    // GLOB_NOMAGIC: a plain name is tried as it is, and missing then. A pattern may match nothing.
    int rc = glob(resolved, GLOB_NOMAGIC, NULL, &found);
    if (rc != 0 && rc != GLOB_NOMATCH)
        FAULT(source, "include: cannot look for %s", resolved);
    for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
        read_file(source->reader, source, source->place, found.gl_pathv[i]);
    globfree(&found);
    strings_add(source->reader->files->patterns, resolved);
}

static void give_setting(struct source *source, struct str key)
{
    const struct reader_handler *handler = source->reader->handler;
    bool is_include = str_eq(key, STR("include"));
    struct buf value;
    struct err err;
    buf_init(&value, VALUE_MAX);
    if (!expand_value(source->raw, &value, &err)) {
        FAULT(source, "%.*s: %s", STR_ARG(key), err.text);
        handler->on_bad_setting(handler->arg, key);
    } else if (is_include && source->title[0])
        FAULT(source, "include must stand before the first section of its file");
    else if (is_include)
        read_included(source, buf_str(&value));
    else if (!source->title[0])
        FAULT(source,
              "%.*s stands before the first section; start one with [proxy], "
              "[credential NAME], …",
              STR_ARG(key));
    else
        handler->on_setting(handler->arg,
                            &(struct reader_setting){source->place, key, buf_str(&value),
                                                     expand_comment(source->raw),
                                                     !str_has(source->raw, '$')});
    buf_fini(&value);
}

// libinih's handler: section and name as it parsed them, value the number of the line.
static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct source *source = user;
    uint64_t line;
    if (!str_to_u64(str_of(value), &line) || line != source->place.line) {
        FAULT(source, "libinih lost count of the lines"); // would be a change in libinih
        return 0;
    }
    if (strcmp(name, "@") != 0) {
        give_setting(source, str_of(name));
        return 1;
    }
    const struct reader_handler *handler = source->reader->handler;
    struct str title = str_of(section), kind;
    if (str_word(&title, &kind))
        handler->on_section(handler->arg, source->place, kind, str_trim(title));
    return 1;
}

static bool is_cycle(const struct source *source)
{
    for (const struct source *up = source->parent; up; up = up->parent)
        if (up->device == source->device && up->inode == source->inode)
            return true;
    return false;
}

static const char *add_file(const struct reader *reader, const char *path)
{
    struct config_strings *files = reader->files->read;
    files->items = mem_realloc(files->items, (files->count + 1) * sizeof *files->items);
    files->items[files->count] = mem_strdup(path);
    return files->items[files->count++];
}

static bool open_source(struct source *source, const char *path, struct buf *content,
                        struct err *err)
{
    struct stat st;
    if (source->reader->files->read->count >= FILE_COUNT_MAX)
        return err_set(err, "more than %d files are included", FILE_COUNT_MAX);
    if (stat(path, &st) < 0)
        return err_errno(err, "cannot open %s", path);
    source->device = st.st_dev;
    source->inode = st.st_ino;
    if (is_cycle(source))
        return err_set(err, "%s includes itself", path);
    if (!file_read(path, content, err))
        return false;
    // What somebody is writing just now is half of what it will be (T36).
    struct stat after;
    bool is_settled = !stat(path, &after) && after.st_ino == st.st_ino &&
                      after.st_size == st.st_size && content->len == (size_t)st.st_size &&
                      after.st_mtim.tv_sec == st.st_mtim.tv_sec &&
                      after.st_mtim.tv_nsec == st.st_mtim.tv_nsec;
    return is_settled || !S_ISREG(st.st_mode) ||
           err_set(err, "%s has changed while it was read", path);
}

// from: the include line, for the message when the file cannot be read.
static void read_file(const struct reader *reader, const struct source *parent,
                      struct config_place from, const char *path)
{
    struct source source = {.reader = reader, .parent = parent};
    source.depth = parent ? parent->depth + 1 : 0;
    struct buf content;
    struct err err;
    buf_init(&content, FILE_SIZE_MAX);
    if (!open_source(&source, path, &content, &err)) {
        config_faults_add(reader->faults, from, "%s%s", parent ? "include: " : "", err.text);
    } else {
        source.place.file = add_file(reader, path);
        source.rest = buf_str(&content);
        if (str_starts(source.rest, STR("\xef\xbb\xbf"))) // byte order mark
            source.rest = str_from(source.rest, 3);
        int rc = ini_parse_stream(on_want_line, &source, on_pair, &source);
        if (rc != 0 || source.rest.len) // cannot be, as long as libinih understands our stand-ins
            FAULT(&source, "libinih gave up here");
    }
    buf_fini(&content); // wipes: literal secrets may stand in it
}

void reader_run(const char *path, const struct reader_handler *handler,
                const struct reader_files *files, struct config_faults *faults)
{
    const struct reader reader = {.handler = handler, .files = files, .faults = faults};
    read_file(&reader, NULL, (struct config_place){path, 0}, path);
}
