// SPDX-License-Identifier: MIT
// See log.h. Owns what is set for the whole process: the level, the format, whether the journal
// reads along, and how many lines were lost.
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/log_sink.h"
#include "base/mem.h"

static _Atomic int min_level = LOG_INFO;
static _Atomic int line_format = LOG_LOGFMT;
static _Atomic bool is_for_journal;
static _Atomic uint64_t dropped, untold; // lines that were not taken; those nobody knows of yet

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

// -- writing -----------------------------------------------------------------------------------

static bool put(enum log_level level, const char *event, const struct log_field *fields)
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
    return log_sink_write((struct str){line.text, line.len});
}

#define log_put_warn(event, ...) put(LOG_WARN, event, (const struct log_field[]){__VA_ARGS__, {0}})

static void drop(uint64_t untold_too)
{
    atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&untold, untold_too + 1, memory_order_relaxed);
}

// Whatever the level: the lines may have been of any.
void log_emit(enum log_level level, const char *event, const struct log_field *fields)
{
    uint64_t gap = atomic_load_explicit(&untold, memory_order_relaxed);
    if (gap)
        gap = atomic_exchange_explicit(&untold, 0, memory_order_relaxed);
    if (gap && !log_put_warn("log.dropped", F_NUM("count", gap)))
        drop(gap);
    else if (!put(level, event, fields))
        drop(0);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}
