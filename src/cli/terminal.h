// SPDX-License-Identifier: MIT
// What a terminal can do, and a live display on it: its alternate screen, drawn over and over until
// a signal says to stop, and given back as it was.
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/screen.h"

bool terminal_wants_utf8(FILE *to);   // by the locale; what is no terminal does not
bool terminal_wants_colour(FILE *to); // NO_COLOR and TERM=dumb do not, nor what is no terminal
// Its columns, within reason; fallback for what is no terminal. *out_rows may be 0: not known.
unsigned terminal_width(FILE *to, unsigned fallback, unsigned *out_rows);

// Calls draw (which appends what is to be seen to the screen's buffer) every interval_ms and when
// the size changes, until SIGINT, SIGTERM or SIGHUP. SIGTSTP is obeyed. False: the terminal is
// gone.
bool terminal_watch(FILE *to, unsigned interval_ms, void (*draw)(void *arg, struct screen *screen),
                    void *arg) WARN_UNUSED;

#endif
