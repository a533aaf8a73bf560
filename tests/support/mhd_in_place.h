// SPDX-License-Identifier: MIT
// What libmicrohttpd 0.9.75 makes of a request head, byte for byte: it parses in place, overwriting
// delimiters with NUL, ends lines at LF with or without CR, takes strings to end at their first
// NUL, appends a folded line to the field's NAME (in new memory), and takes a line that starts with
// NUL, before or after its colon was overwritten, for the blank one. Compared with the library
// itself when it was written.
#ifndef TESTS_SUPPORT_MHD_IN_PLACE_H
#define TESTS_SUPPORT_MHD_IN_PLACE_H

#include <stdlib.h>
#include <string.h>

#include "http/guard.h"

#define MHD_FOLDS_MAX 8

struct mhd_head {
    char *bytes; // as it leaves them; exact size
    size_t len, at;
    struct fields fields;
    struct guard_input input;
    char *folded[MHD_FOLDS_MAX]; // names that moved
    size_t fold_count;
};

// The next line, NUL-terminated in place; NULL while its end has not come.
static inline char *mhd_next_line(struct mhd_head *head)
{
    char *line = head->bytes + head->at;
    char *lf = head->at < head->len ? memchr(line, '\n', head->len - head->at) : NULL;
    if (!lf)
        return NULL;
    if (lf > line && lf[-1] == '\r')
        lf[-1] = '\0';
    *lf = '\0';
    head->at = (size_t)(lf + 1 - head->bytes);
    return line;
}

static inline bool mhd_request_line(struct mhd_head *head)
{
    char *line = mhd_next_line(head);
    if (!line)
        return false;
    size_t len = (size_t)(head->bytes + head->at - line);
    char *space = memchr(line, ' ', len);
    char *last = memrchr(line, ' ', len);
    if (!space || space == last || memchr(space + 1, ' ', (size_t)(last - space - 1)))
        return false; // it refuses white space in a target by itself
    *space = *last = '\0';
    head->input.method = line;
    head->input.target = space + 1;
    head->input.target_len = strlen(space + 1);
    head->input.version = last + 1;
    return true;
}

static inline bool mhd_fold(struct mhd_head *head, char **name, const char *line)
{
    if (head->fold_count == MHD_FOLDS_MAX)
        return false;
    while (*line == ' ' || *line == '\t')
        line++;
    size_t old_len = strlen(*name), more = strlen(line);
    char *moved = malloc(old_len + more + 1);
    if (!moved)
        return false;
    memcpy(moved, *name, old_len);
    memcpy(moved + old_len, line, more + 1);
    head->folded[head->fold_count++] = moved;
    *name = moved;
    return true;
}

// Cuts name and value apart. The value is NULL when there is no colon.
static inline char *mhd_cut_field(char *line)
{
    char *value = strchr(line, ':');
    if (!value)
        return NULL;
    *value++ = '\0';
    while (*value == ' ' || *value == '\t')
        value++;
    return value;
}

static inline bool mhd_fields(struct mhd_head *head)
{
    char *name = NULL, *value = NULL;
    for (;;) {
        char *line = mhd_next_line(head);
        if (!line)
            return false;
        if (name && (*line == ' ' || *line == '\t')) {
            if (!mhd_fold(head, &name, line))
                return false;
            continue;
        }
        if (name && !fields_add(&head->fields, str_of(name), str_of(value)))
            return false;
        if (!*line)
            return true;
        bool is_first = !name;
        name = line;
        value = mhd_cut_field(line);
        if (!value)
            return false; // it answers 400 by itself
        if (!*line && !is_first)
            return true;
    }
}

// False when the library would not have called its handler. mhd_head_fini() in any case.
static inline bool mhd_head_init(struct mhd_head *head, const char *raw, size_t len)
{
    head->bytes = malloc(len ? len : 1);
    head->len = len;
    head->at = head->fold_count = head->fields.count = 0;
    head->input = (struct guard_input){.in_place = true, .fields = &head->fields};
    if (!head->bytes)
        return false;
    if (len)
        memcpy(head->bytes, raw, len);
    if (!mhd_request_line(head) || !mhd_fields(head))
        return false;
    head->input.head_len = head->at - (size_t)(head->input.method - head->bytes);
    return true;
}

static inline void mhd_head_fini(struct mhd_head *head)
{
    while (head->fold_count)
        free(head->folded[--head->fold_count]);
    free(head->bytes);
}

#endif
