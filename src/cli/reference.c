// SPDX-License-Identifier: MIT
// See reference.h. Says nothing of its own about a setting: all words come from the table, so that
// the documents cannot know another truth than the program.
#include "cli/reference.h"

#include <stdio.h>
#include <string.h>

#include "config/value.h"

#define WIDTH 78

// Words of `text` in lines of at most WIDTH, each begun with `indent`. Adds a line break at each
// sentence's end when is_mdoc: that is mdoc's rule.
static void print_wrapped(const char *indent, const char *text, bool is_mdoc)
{
    size_t column = 0;
    bool is_sentence_end = false;
    struct str rest = str_of(text), word;
    while (str_word(&rest, &word)) {
        bool is_full = column && column + 1 + word.len > WIDTH;
        if (is_full || (is_mdoc && is_sentence_end)) {
            putchar('\n');
            column = 0;
        }
        if (column)
            column += (size_t)printf(" ");
        else
            column = (size_t)printf("%s", indent);
        column += (size_t)printf("%.*s", STR_ARG(word));
        is_sentence_end = str_ends(word, STR("."));
    }
    putchar('\n');
}

static const char *section_label(enum section_kind kind, const char *name)
{
    static char label[64];
    const struct section_info *info = &section_infos[kind];
    snprintf(label, sizeof label, "[%s%s%s]", info->name, info->is_named ? " " : "",
             info->is_named ? name : "");
    return label;
}

// "a duration from 100ms to 10m" and what is special about it.
static void describe(const struct setting *setting, char *out, size_t size)
{
    struct buf words;
    buf_init(&words, 1024);
    value_describe(setting, &words);
    snprintf(out, size, "%.*s%s", STR_ARG(buf_str(&words)),
             setting->flags & SETTING_REPEATS ? "; may be repeated" : "");
    buf_fini(&words);
}

// The default in words; "required" and "not set" are two of them.
static const char *default_words(const struct setting *setting)
{
    if (setting->flags & SETTING_REQUIRED)
        return "none, it must be set";
    if (setting->fallback)
        return setting->fallback;
    return setting->more ? setting->more : "not set";
}

static const struct setting *rows_of(unsigned kind, size_t *out_count)
{
    return settings_of((enum section_kind)kind, out_count);
}

// --- conf/reference.ini

// The lines that make the reference a working file: with them it passes `check`.
static bool is_live(const struct setting *setting)
{
    static const char *const more[] = {"client_secret", "scopes"};
    bool is_picked = (setting->section == SECTION_CREDENTIAL && !strcmp(setting->key, more[0])) ||
                     (setting->section == SECTION_ROUTE && !strcmp(setting->key, more[1]));
    return (setting->flags & SETTING_REQUIRED) || is_picked;
}

static void ini_setting(const struct setting *setting)
{
    char words[1024];
    describe(setting, words, sizeof words);
    putchar('\n');
    print_wrapped("# ", setting->help, false);
    printf("# Value: %s.\n", words);
    if (setting->more)
        printf("# Default: %s%s.\n", setting->fallback ? "" : "not set, ", setting->more);
    else if (!setting->fallback && !is_live(setting))
        puts("# Default: not set.");
    printf("%s%s = %s\n", is_live(setting) ? "" : "#", setting->key,
           setting->fallback ? setting->fallback : setting->example);
}

void reference_ini(void)
{
    static const char *const names[SECTION_KINDS] = {
        [SECTION_CREDENTIAL] = "main", [SECTION_UPSTREAM] = "api", [SECTION_ROUTE] = "read"};
    puts(
        "# SPDX-License-Identifier: MIT\n"
        "# Every setting of bearerd, with what it means and its default. Made by scripts/generate "
        "from\n"
        "# the table in the sources; bearerd.ini beside this file is the short one to start from.\n"
        "# Lines without a # are a working example; a setting behind a # shows its default, or an\n"
        "# example if it has none. Check a file with: bearerd check -c FILE");
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = rows_of(kind, &count);
        putchar('\n');
        print_wrapped("# ", section_infos[kind].help, false);
        printf("%s\n", section_label((enum section_kind)kind, names[kind]));
        for (size_t i = 0; i < count; i++)
            ini_setting(&rows[i]);
    }
}

// --- docs/config.md

static void markdown_text(const char *text)
{
    for (; *text; text++) {
        if (strchr("*_<>|{}[]`\\", *text))
            putchar('\\');
        putchar(*text);
    }
}

static void markdown_setting(const struct setting *setting)
{
    char words[1024];
    describe(setting, words, sizeof words);
    printf("\n#### `%s`\n\n", setting->key);
    markdown_text(setting->help);
    printf("\n\n* Value: ");
    markdown_text(words);
    printf("\n* Default: ");
    if (setting->fallback)
        printf("`%s`", setting->fallback);
    if (setting->fallback && setting->more)
        printf(" (");
    if (!setting->fallback || setting->more)
        markdown_text(setting->more ? setting->more : default_words(setting));
    if (setting->fallback && setting->more)
        printf(")");
    printf("\n* Example: `%s =%s%s`\n", setting->key, *setting->example ? " " : "",
           setting->example);
}

void reference_markdown(void)
{
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = rows_of(kind, &count);
        printf("%s### `%s`\n\n", kind ? "\n" : "", section_label((enum section_kind)kind, "NAME"));
        markdown_text(section_infos[kind].help);
        putchar('\n');
        for (size_t i = 0; i < count; i++)
            markdown_setting(&rows[i]);
    }
}

// --- bearerd.conf(5)

// No word of the table begins with a dot or an apostrophe, which would make it a macro.
static void man_text(const char *text)
{
    char escaped[2048];
    size_t len = 0;
    for (; *text && len + 3 < sizeof escaped; text++) {
        escaped[len++] = *text;
        if (*text == '\\')
            escaped[len++] = 'e';
    }
    escaped[len] = '\0';
    print_wrapped("", escaped, true);
}

static void man_setting(const struct setting *setting)
{
    char words[1024], line[1400];
    describe(setting, words, sizeof words);
    printf(".It Ic %s\n", setting->key);
    man_text(setting->help);
    snprintf(line, sizeof line, "Value: %s.", words);
    man_text(line);
    snprintf(line, sizeof line, "Default: %s%s%s.", default_words(setting),
             setting->fallback && setting->more ? ", " : "",
             setting->fallback && setting->more ? setting->more : "");
    man_text(line);
}

void reference_man(void)
{
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = rows_of(kind, &count);
        printf(".Ss %s\\&\n", section_label((enum section_kind)kind, "NAME"));
        man_text(section_infos[kind].help);
        puts(".Bl -tag -width Ds");
        for (size_t i = 0; i < count; i++)
            man_setting(&rows[i]);
        puts(".El");
    }
}

// --- bearerd help

void reference_section(enum section_kind kind)
{
    size_t count;
    const struct setting *rows = rows_of(kind, &count);
    printf("%s\n", section_label(kind, "NAME"));
    print_wrapped("  ", section_infos[kind].help, false);
    putchar('\n');
    for (size_t i = 0; i < count; i++)
        printf("  %-22s default: %s\n", rows[i].key, default_words(&rows[i]));
}

void reference_setting(const struct setting *setting)
{
    char words[1024];
    describe(setting, words, sizeof words);
    printf("%s %s\n", section_label(setting->section, "NAME"), setting->key);
    print_wrapped("  ", setting->help, false);
    printf("  Value:   %s\n  Default: %s", words, default_words(setting));
    if (setting->fallback && setting->more)
        printf(" (%s)", setting->more);
    printf("\n  Example: %s =%s%s\n", setting->key, *setting->example ? " " : "", setting->example);
}
