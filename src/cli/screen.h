// SPDX-License-Identifier: MIT
// Lines for a terminal, or for whoever reads in its place: cells of a width, colour where it is
// wanted, nothing beyond the right edge. Whatever text is put, only printable ASCII comes out of
// it; colours and blocks are the screen's own. Writes into a buffer, opens nothing.
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>

#include "base/buf.h"

enum paint { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_GREEN, PAINT_YELLOW, PAINT_RED };

struct screen {
    struct buf *out;
    unsigned width;  // columns
    bool has_colour; // escape sequences may be used
    bool has_blocks; // it shows UTF-8
    unsigned column; // of the line under way
    unsigned owed;   // spaces that stand before the next text, if any comes
    bool has_failed; // out is full
};

// Ends what is painted, too; PAINT_PLAIN between two.
void screen_paint(struct screen *screen, enum paint paint);
// In a cell of so many columns, cut off if it must be, and two columns of space behind it.
void screen_cell(struct screen *screen, struct str text, unsigned width);
void screen_cell_right(struct screen *screen, struct str text, unsigned width);
// The rest of the line has room for it, or it is cut off.
void screen_text(struct screen *screen, struct str text);
void screen_printf(struct screen *screen, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void screen_space(struct screen *screen, unsigned columns);
void screen_line(struct screen *screen); // ends it
// Whole words in as many lines as it takes, each indented.
void screen_wrapped(struct screen *screen, enum paint paint, unsigned indent, struct str text);

// A level from 0 to 8 as one column: a block, or a character that is as dark.
void screen_level(struct screen *screen, unsigned level);
enum screen_mark { MARK_FULL, MARK_EMPTY, MARK_DUE };
void screen_mark(struct screen *screen, enum screen_mark mark); // of a bar, one column

#endif
