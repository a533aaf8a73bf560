// SPDX-License-Identifier: MIT
// A log line as text, logfmt or JSON, of a bounded length. Values are escaped, so that no peer can
// forge a line; one that is too long is cut, and the line stays a whole one. Pure.
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

#define LOG_LINE_MAX 4096

struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
};

struct log_head {
    int64_t at_ms; // since the epoch, UTC
    enum log_level level;
    const char *event;
    bool has_priority; // "<6>" in front, for the journal
};

void log_line_write(struct log_line *line, enum log_format format, const struct log_head *head,
                    const struct log_field *fields);

#endif
