// SPDX-License-Identifier: MIT
// stderr, for a log that waits for nobody: a reader that has stopped reading must not stop the
// threads that write. What cannot be taken at once is not written.
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/str.h"

// Finds out what stderr is, and how it is written to without waiting. Until then, and where it is a
// file, it is simply written to. While files can still be opened, and before any thread.
void log_sink_open(void);
// In a process that has been forked, and has closed what it does not know.
void log_sink_forget(void);
// Any thread. False: not written, or in part; then what comes next begins a line of its own.
bool log_sink_write(struct str line) WARN_UNUSED;

#endif
