// SPDX-License-Identifier: MIT
// Command lines of the configuration as words. It refuses to know variables, wildcards, pipes and
// whatever else a shell would make of them: what is written is what the command gets.
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/mem.h"

#define WORDS_MAX 256
#define LINE_MAX  65536

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_too_long(struct err *err)
{
    return err_set(err, "the command line is too long");
}

// Moves *at behind the quote that closes.
static bool take_quoted(const char **at, struct buf *word, struct err *err)
{
    char quote = *(*at)++;
    for (; **at && **at != quote; (*at)++) {
        if (quote == '"' && **at == '\\' && (*at)[1])
            (*at)++;
        if (!buf_append_char(word, **at))
            return is_too_long(err);
    }
    if (!**at)
        return err_set(err, "the closing %c is missing", quote);
    ++*at;
    return true;
}

static bool take_word(const char **at, struct buf *word, struct err *err)
{
    while (**at && !is_blank(**at))
        if (**at == '\'' || **at == '"') {
            if (!take_quoted(at, word, err))
                return false;
        } else if (!buf_append_char(word, *(*at)++)) {
            return is_too_long(err);
        }
    return true;
}

char **child_argv_parse(const char *line, struct err *err)
{
    char **argv = mem_array(WORDS_MAX + 1, sizeof *argv);
    size_t count = 0;
    while (is_blank(*line))
        line++;
    while (*line) {
        struct buf word;
        buf_init(&word, LINE_MAX);
        bool ok = count < WORDS_MAX || err_set(err, "more than %d words", WORDS_MAX);
        if (!ok || !take_word(&line, &word, err)) {
            buf_fini(&word);
            child_argv_free(argv);
            return NULL;
        }
        argv[count++] = buf_take(&word);
        while (is_blank(*line))
            line++;
    }
    if (count && argv[0][0])
        return argv;
    err_set(err, "there is no command");
    child_argv_free(argv);
    return NULL;
}

void child_argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++)
        mem_free(argv[i]);
    mem_free(argv);
}
