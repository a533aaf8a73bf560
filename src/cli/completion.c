// SPDX-License-Identifier: MIT
// See completion.h. Options, files where a value is one, the topics of `help`; other values are the
// user's own.
#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "config/settings.h"

#define MADE_BY                                                                                    \
    "# SPDX-License-Identifier: MIT\n# Made by scripts/generate from the table of commands."

static bool is_file(const struct command_option *option)
{
    return option->value && !strcmp(option->value, "FILE");
}

static bool is_first(const struct command *of, const struct command_option *wanted)
{
    for (const struct command *command = command_table(); command != of; command++)
        for (const struct command_option *option = command->options; option && option->name;
             option++)
            if (!strcmp(option->name, wanted->name))
                return false;
    return true;
}

static void print_names(void)
{
    for (const struct command *command = command_table(); command->name; command++)
        printf("%s%s", command == command_table() ? "" : " ", command->name);
}

// "-c|--key-file": options whose value is a file, or one that it is not.
static void print_with_value(bool wants_file)
{
    bool is_any = false;
    for (const struct command *command = command_table(); command->name; command++)
        for (const struct command_option *option = command->options; option && option->name;
             option++)
            if (option->value && is_file(option) == wants_file && is_first(command, option)) {
                printf("%s%s", is_any ? "|" : "", option->name);
                is_any = true;
            }
}

void completion_bash(void)
{
    puts(MADE_BY "\n_bearerd() {\n"
                 "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                 "  COMPREPLY=()\n"
                 "  if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("    mapfile -t COMPREPLY < <(compgen -W \"", stdout);
    print_names();
    puts(" --help --version\" -- \"$word\")\n    return\n  fi\n  case $before in");
    fputs("    ", stdout);
    print_with_value(true);
    puts(")\n      mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n      return\n      ;;");
    fputs("    ", stdout);
    print_with_value(false);
    puts(") return ;;\n  esac\n  local words=\n  case ${COMP_WORDS[1]} in");
    for (const struct command *command = command_table(); command->name; command++) {
        if (!command->options)
            continue;
        printf("    %s) words=\"", command->name);
        for (const struct command_option *option = command->options; option->name; option++)
            printf("%s ", option->name);
        puts("--help\" ;;");
    }
    puts("    help | --help) words=$(bearerd help --format=topics 2>/dev/null) ;;\n  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
         "complete -o filenames -F _bearerd bearerd");
}

// Within '…'. Summaries have neither colons nor brackets, which mean something there.
static void print_zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
}

static void print_zsh_options(const struct command *command)
{
    for (const struct command_option *option = command->options; option->name; option++) {
        printf(" \\\n        '%s[", option->name);
        print_zsh_text(option->summary);
        putchar(']');
        if (option->value)
            printf(":%s:%s", is_file(option) ? "file" : "value", is_file(option) ? "_files" : "");
        putchar('\'');
    }
    putchar('\n');
}

void completion_zsh(void)
{
    puts("#compdef bearerd\n" MADE_BY "\n_bearerd() {\n  local -a commands\n"
         "  if (( CURRENT == 2 )); then\n    commands=(");
    for (const struct command *command = command_table(); command->name; command++) {
        printf("      '%s:", command->name);
        print_zsh_text(command->summary);
        puts("'");
    }
    puts("    )\n    _describe command commands\n    return\n  fi\n"
         "  local name=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $name in");
    for (const struct command *command = command_table(); command->name; command++) {
        if (!command->options)
            continue;
        printf("    %s)\n      _arguments", command->name);
        print_zsh_options(command);
        puts("      ;;");
    }
    puts("    help|--help) compadd -- ${(f)\"$(bearerd help --format=topics 2>/dev/null)\"} ;;\n"
         "  esac\n}\n_bearerd \"$@\"");
}

static void print_fish_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

static void print_fish_option(const struct command *command, const struct command_option *option)
{
    bool is_long = option->name[1] == '-';
    printf("complete -c bearerd -n '__fish_seen_subcommand_from %s' %s %s", command->name,
           is_long ? "-l" : "-s", option->name + (is_long ? 2 : 1));
    if (option->value)
        fputs(is_file(option) ? " -r -F" : " -x", stdout);
    fputs(" -d '", stdout);
    print_fish_text(option->summary);
    puts("'");
}

void completion_fish(void)
{
    puts(MADE_BY "\ncomplete -c bearerd -f");
    for (const struct command *command = command_table(); command->name; command++) {
        printf("complete -c bearerd -n __fish_use_subcommand -a %s -d '", command->name);
        print_fish_text(command->summary);
        puts("'");
    }
    for (const struct command *command = command_table(); command->name; command++)
        for (const struct command_option *option = command->options; option && option->name;
             option++)
            print_fish_option(command, option);
    puts("complete -c bearerd -n '__fish_seen_subcommand_from help' "
         "-a '(bearerd help --format=topics 2>/dev/null)'");
}

void completion_topics(void)
{
    for (const struct command *command = command_table(); command->name; command++)
        puts(command->name);
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = settings_of((enum section_kind)kind, &count);
        puts(section_infos[kind].name);
        for (size_t i = 0; i < count; i++)
            printf("%s\n%s.%s\n", rows[i].key, section_infos[kind].name, rows[i].key);
    }
}
