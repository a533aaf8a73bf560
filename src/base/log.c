// SPDX-License-Identifier: MIT
// See log.h. Owns what is set for the whole process: the level, the format, and whether the journal
// reads along.
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/mem.h"

static _Atomic int min_level = LOG_INFO;
static _Atomic int line_format = LOG_LOGFMT;
static _Atomic bool is_for_journal;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&min_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(struct str name, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq(name, str_of(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_is_on(enum log_level level)
{
    return level >= log_level();
}

// The variable says "device:inode", and is inherited by processes whose stderr is something else.
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char text[64];
    if (!stream || fstat(STDERR_FILENO, &st))
        return false;
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return str_eq(str_of(stream), str_of(text));
}

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&is_for_journal, stderr_is_journal(), memory_order_relaxed);
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields)
{
    struct log_line line __attribute__((uninitialized)); // 4 KiB, of which little is used
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct log_head head = {
        .at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
        .level = level,
        .event = event,
        .has_priority = atomic_load_explicit(&is_for_journal, memory_order_relaxed),
    };
    log_line_write(&line, (enum log_format)atomic_load_explicit(&line_format, memory_order_relaxed),
                   &head, fields);
    // Nobody is left to tell if the log cannot be written.
    if (write(STDERR_FILENO, line.text, line.len) < 0)
        return;
}
