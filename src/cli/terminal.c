// SPDX-License-Identifier: MIT
// See terminal.h. While it watches, its signals are blocked and taken one by one, so that there is
// no moment in which one could leave the alternate screen behind.
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define WIDTH_MIN   60
#define WIDTH_MAX   200
#define PICTURE_MAX ((size_t)16 * 1024 * 1024)

// Alternate screen, no cursor, no line wrap; and back.
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

bool terminal_wants_utf8(FILE *to)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"}; // the first that is set decides
    if (!isatty(fileno(to)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *locale = getenv(names[i]);
        if (locale && *locale)
            return strcasestr(locale, "UTF-8") || strcasestr(locale, "UTF8");
    }
    return false;
}

bool terminal_wants_colour(FILE *to)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    return isatty(fileno(to)) && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

unsigned terminal_width(FILE *to, unsigned fallback, unsigned *out_rows)
{
    struct winsize size;
    *out_rows = 0;
    if (ioctl(fileno(to), TIOCGWINSZ, &size) || !size.ws_col)
        return fallback;
    *out_rows = size.ws_row;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

// As many lines as there are rows, each wiped behind its end, and all that stood below.
static bool show(FILE *to, struct str picture, unsigned rows)
{
    struct str line;
    fputs("\033[H", to);
    for (unsigned row = 0; (!rows || row < rows) && str_split(&picture, '\n', &line); row++)
        fprintf(to, "%s%.*s\033[0m\033[K", row ? "\r\n" : "", STR_ARG(line));
    fputs("\033[J", to);
    return fflush(to) == 0;
}

struct watch {
    FILE *to;
    void (*draw)(void *arg, struct screen *screen);
    void *arg;
};

static bool draw(const struct watch *watch)
{
    struct buf picture;
    unsigned rows;
    buf_init(&picture, PICTURE_MAX);
    struct screen screen = {.out = &picture,
                            .width = terminal_width(watch->to, 80, &rows),
                            .has_colour = terminal_wants_colour(watch->to),
                            .has_blocks = terminal_wants_utf8(watch->to)};
    watch->draw(watch->arg, &screen);
    bool ok = show(watch->to, buf_str(&picture), rows);
    buf_fini(&picture);
    return ok;
}

static bool say(const struct watch *watch, const char *sequence)
{
    return fputs(sequence, watch->to) >= 0 && fflush(watch->to) == 0;
}

// Ctrl-Z: gives the screen back for as long as it lasts.
static bool pause_here(const struct watch *watch)
{
    return say(watch, LEAVE) && raise(SIGSTOP) == 0 && say(watch, ENTER);
}

static bool loop(const struct watch *watch, const sigset_t *signals, unsigned interval_ms)
{
    const struct timespec interval = {.tv_sec = interval_ms / 1000,
                                      .tv_nsec = (long)(interval_ms % 1000) * 1000000};
    while (draw(watch)) {
        int number = sigtimedwait(signals, NULL, &interval);
        if (number == SIGTSTP) {
            if (!pause_here(watch))
                return false;
        } else if (number > 0 && number != SIGWINCH && number != SIGCONT) {
            return true;
        } else if (number < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
    }
    return false;
}

bool terminal_watch(FILE *to, unsigned interval_ms, void (*fn)(void *arg, struct screen *screen),
                    void *arg)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT};
    const struct watch watch = {to, fn, arg};
    sigset_t signals, before;
    sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &signals, &before);
    bool ok = say(&watch, ENTER) && loop(&watch, &signals, interval_ms);
    ok = say(&watch, LEAVE) && ok;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ok;
}
