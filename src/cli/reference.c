// SPDX-License-Identifier: MIT
// See reference.h. Says nothing of its own about a setting: all words come from the table, so that
// the documents cannot know another truth than the program.
#include "cli/reference.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
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

// Appends "a", ", b" or " or c" as the place among `count` wants it.
static void append_word(struct buf *out, const char *word, unsigned index, unsigned count)
{
    const char *before = index == 0 ? "" : index + 1 == count ? " or " : ", ";
    if (!buf_printf(out, "%s%s", before, word))
        buf_clear(out);
}

// The choices of `key` whose bit is set in mask: "key = a, b or c".
static void append_choices(struct buf *out, const char *key, unsigned mask)
{
    const struct setting *setting = setting_find(SECTION_CREDENTIAL, str_of(key));
    unsigned index = 0, count = (unsigned)__builtin_popcount(mask);
    if (!buf_printf(out, "%s = ", key))
        buf_clear(out);
    for (unsigned i = 0; setting->choices[i]; i++)
        if (mask >> i & 1)
            append_word(out, setting->choices[i], index++, count);
}

// "source = login", "auth_method = private_key_jwt"; nothing: of use to all.
static void describe_use(const struct setting *setting, struct buf *out)
{
    static const unsigned of_source[] = {
        [SOURCE_OAUTH] = FOR_OAUTH,
        [SOURCE_LOGIN] = FOR_LOGIN,
        [SOURCE_EXEC] = FOR_EXEC | FOR_EXEC_ASKING,
        [SOURCE_STATIC] = FOR_STATIC | FOR_STATIC_ASKING,
    };
    unsigned sources = 0, all = (1u << ARRAY_LEN(of_source)) - 1;
    for (unsigned i = 0; i < ARRAY_LEN(of_source); i++)
        if (setting->sources & of_source[i])
            sources |= 1u << i;
    if (setting->methods)
        append_choices(out, "auth_method", setting->methods);
    else if (sources && sources != all)
        append_choices(out, "source", sources);
}

// "a duration from 100ms to 10m" and what is special about it.
static void describe(const struct setting *setting, char *out, size_t size)
{
    struct buf words, use;
    buf_init(&words, 1024);
    buf_init(&use, 1024);
    value_describe(setting, &words);
    describe_use(setting, &use);
    snprintf(out, size, "%.*s%s%s%.*s%s", STR_ARG(buf_str(&words)),
             setting->flags & SETTING_REPEATS ? "; may be repeated" : "",
             use.len ? "; only with " : "", STR_ARG(buf_str(&use)),
             setting->flags & SETTING_RESTART ? "; a change needs a restart" : "");
    buf_fini(&words);
    buf_fini(&use);
}

// The default in words; "required" and "not set" are two of them.
static const char *default_words(const struct setting *setting)
{
    if (setting->flags & (SETTING_REQUIRED | SETTING_NEEDED))
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
    static const struct {
        enum section_kind section;
        const char *key;
    } more[] = {{SECTION_CREDENTIAL, "token_url"},
                {SECTION_CREDENTIAL, "client_id"},
                {SECTION_CREDENTIAL, "client_secret"},
                {SECTION_ROUTE, "scopes"}};
    bool is_picked = false;
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        is_picked |= setting->section == more[i].section && !strcmp(setting->key, more[i].key);
    return (setting->flags & SETTING_REQUIRED) || is_picked;
}

static void ini_setting(const struct setting *setting)
{
    char words[1024], line[1100];
    describe(setting, words, sizeof words);
    putchar('\n');
    print_wrapped("# ", setting->help, false);
    snprintf(line, sizeof line, "Value: %s.", words);
    print_wrapped("# ", line, false);
    snprintf(line, sizeof line, "Default: %s%s.",
             setting->fallback || !setting->more ? "" : "not set, ",
             setting->more ? setting->more : default_words(setting));
    // A default that stands in the line itself needs no words.
    if (!is_live(setting) && (setting->more || !setting->fallback))
        print_wrapped("# ", line, false);
    printf("%s%s = %s\n", is_live(setting) ? "" : "#", setting->key,
           setting->fallback ? setting->fallback : setting->example);
}

void reference_ini(void)
{
    static const char *const names[SECTION_KINDS] = {[SECTION_CREDENTIAL] = "main",
                                                     [SECTION_SCOPES] = "main",
                                                     [SECTION_UPSTREAM] = "api",
                                                     [SECTION_ROUTE] = "read"};
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
        // A catalogue would have to hold the scopes of this file.
        const char *free_line = section_infos[kind].free_line;
        printf("%s%s\n", free_line ? "#" : "", section_label((enum section_kind)kind, names[kind]));
        if (free_line)
            printf("#%s\n", free_line);
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
        if (section_infos[kind].free_line)
            printf("\n* Example: `%s`\n", section_infos[kind].free_line);
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
        if (section_infos[kind].free_line)
            printf(".Pp\n.Dl %s\n", section_infos[kind].free_line);
        if (!count)
            continue;
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
    if (section_infos[kind].free_line)
        printf("  Example: %s\n", section_infos[kind].free_line);
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
