// SPDX-License-Identifier: MIT
// See screen.h. Spaces are put when something follows them, so that no line ends in one.
#include "cli/screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct screen *screen, struct str bytes)
{
    if (!buf_append(screen->out, bytes))
        screen->has_failed = true;
}

static void pay(struct screen *screen)
{
    for (; screen->owed; screen->owed--) {
        put(screen, STR(" "));
        screen->column++;
    }
}

void screen_paint(struct screen *screen, enum paint paint)
{
    static const char *const codes[] = {
        [PAINT_PLAIN] = "\033[0m",  [PAINT_BOLD] = "\033[1m",    [PAINT_DIM] = "\033[2m",
        [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m", [PAINT_RED] = "\033[31m",
    };
    if (!screen->has_colour)
        return;
    if (paint != PAINT_PLAIN)
        pay(screen);
    put(screen, str_of(codes[paint]));
}

// One character of UTF-8, or a byte that begins none.
static size_t character_len(struct str text)
{
    size_t len = 1;
    while (len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len++;
    return len;
}

static unsigned count_characters(struct str text)
{
    unsigned count = 0;
    for (; text.len; text = str_from(text, character_len(text)))
        count++;
    return count;
}

static unsigned room(const struct screen *screen)
{
    unsigned used = screen->column + screen->owed;
    return used < screen->width ? screen->width - used : 0;
}

// Returns how many columns it took; a '~' in the last one says that there is more.
static unsigned put_cut(struct screen *screen, struct str text, unsigned columns)
{
    unsigned count = count_characters(text), taken = 0;
    columns = columns < room(screen) ? columns : room(screen);
    if (!columns || !count)
        return 0;
    pay(screen);
    for (; text.len && taken < columns; taken++) {
        char c = *text.ptr;
        if (taken + 1 == columns && count > columns)
            c = '~';
        put(screen, c >= ' ' && c <= '~' ? (struct str){&c, 1} : STR("?"));
        text = str_from(text, character_len(text));
    }
    screen->column += taken;
    return taken;
}

void screen_cell(struct screen *screen, struct str text, unsigned width)
{
    unsigned taken = put_cut(screen, text, width);
    screen->owed += width - taken + 2;
}

void screen_cell_right(struct screen *screen, struct str text, unsigned width)
{
    unsigned count = count_characters(text);
    screen->owed += count < width ? width - count : 0;
    (void)put_cut(screen, text, width);
    screen->owed += 2;
}

void screen_text(struct screen *screen, struct str text)
{
    (void)put_cut(screen, text, screen->width);
}

void screen_printf(struct screen *screen, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    screen_text(screen, str_of(text));
}

void screen_space(struct screen *screen, unsigned columns)
{
    screen->owed += columns;
}

void screen_line(struct screen *screen)
{
    put(screen, STR("\n"));
    screen->column = screen->owed = 0;
}

// What fits into one line, cut at a space if there is one.
static struct str take_line(struct str *rest, size_t width)
{
    size_t len = 0, space = 0, columns = 0;
    while (len < rest->len && columns < width) {
        if (rest->ptr[len] == ' ')
            space = len;
        len += character_len(str_from(*rest, len));
        columns++;
    }
    if (len < rest->len && space)
        len = space;
    struct str line = {rest->ptr, len};
    *rest = str_trim(str_from(*rest, len));
    return line;
}

void screen_wrapped(struct screen *screen, enum paint paint, unsigned indent, struct str text)
{
    unsigned width = screen->width > indent + 20 ? screen->width - indent : 20;
    for (text = str_trim(text); text.len;) {
        screen_space(screen, indent);
        screen_paint(screen, paint);
        screen_text(screen, take_line(&text, width));
        screen_paint(screen, PAINT_PLAIN);
        screen_line(screen);
    }
}

static void put_glyph(struct screen *screen, const char *glyph)
{
    if (!room(screen))
        return;
    pay(screen);
    put(screen, str_of(glyph));
    screen->column++;
}

void screen_level(struct screen *screen, unsigned level)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const characters[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    level = level < ARRAY_LEN(blocks) ? level : ARRAY_LEN(blocks) - 1;
    if (!level)
        screen->owed++;
    else
        put_glyph(screen, screen->has_blocks ? blocks[level] : characters[level]);
}

void screen_mark(struct screen *screen, enum screen_mark mark)
{
    static const char *const blocks[] = {"█", "░", "┃"};
    static const char *const characters[] = {"#", ".", "|"};
    put_glyph(screen, screen->has_blocks ? blocks[mark] : characters[mark]);
}
