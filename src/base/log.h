// SPDX-License-Identifier: MIT
// One event, one line, on stderr: logfmt or JSON, with stable event names and typed fields. Values
// are escaped, so that no peer can forge a line. Secrets have no way in: there is no field type for
// them, only for their fingerprints. docs/logs.md lists the events; a lint compares.
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *name; // NULL ends the list
    struct str text;
    uint64_t number;
    bool is_number;
};

#define F_STR(field, view)                                                                         \
    {                                                                                              \
        .name = (field), .text = (view)                                                            \
    }
#define F_TEXT(field, text_)                                                                       \
    {                                                                                              \
        .name = (field), .text = str_of(text_)                                                     \
    }
#define F_NUM(field, value)                                                                        \
    {                                                                                              \
        .name = (field), .number = (uint64_t)(value), .is_number = true                            \
    }

void log_set_level(enum log_level level); // any thread; default LOG_INFO
enum log_level log_level(void);
const char *log_level_name(enum log_level level);
bool log_level_parse(struct str name, enum log_level *out);
bool log_is_on(enum log_level level);
// Any thread; default LOG_LOGFMT. Also finds out whether stderr is the journal ($JOURNAL_STREAM,
// sd_journal_print(3)), whose lines then begin with their priority.
void log_set_format(enum log_format format);
// Use through the macros below. Any thread; a line is one write(). It is dropped, and counted, when
// it cannot be written at once (log_sink.h); the first that can be again is preceded by one that
// says how many there were.
void log_emit(enum log_level level, const char *event, const struct log_field *fields);
uint64_t log_dropped(void); // ever

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_is_on(level))                                                                      \
            log_emit(level, event, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});     \
    } while (0)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event __VA_OPT__(, ) __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event __VA_OPT__(, ) __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event __VA_OPT__(, ) __VA_ARGS__)

#endif
