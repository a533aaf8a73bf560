// SPDX-License-Identifier: MIT
// bearerd help: the subcommands, or what a section or setting of the configuration means. With
// --format it prints the generated parts of the documents, for scripts/generate.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/reference.h"

#define HEAD_WIDTH 32

static void print_command(const struct command *command)
{
    char head[64];
    snprintf(head, sizeof head, "%s %s", command->name, command->usage);
    if (strlen(head) > HEAD_WIDTH)
        printf("  %s\n  %*s %s\n", head, HEAD_WIDTH, "", command->summary);
    else
        printf("  %-*s %s\n", HEAD_WIDTH, head, command->summary);
}

static int print_commands(void)
{
    puts("bearerd gives legacy HTTP clients OAuth 2.0 access tokens.\n\n"
         "usage: bearerd COMMAND [OPTION ...]\n");
    for (const struct command *command = command_table(); command->name; command++)
        print_command(command);
    printf("\nFILE is %s unless -c names another.\n"
           "`bearerd help COMMAND` (or COMMAND --help) lists a command's options.\n"
           "`bearerd help SECTION` lists the settings of proxy, log, admin, store, credential,\n"
           "scopes, upstream or route; `bearerd help KEY` or `bearerd help SECTION.KEY` (or\n"
           "--help KEY) explains one.\n",
           DEFAULT_CONFIG_PATH);
    return EXIT_DONE;
}

static int print_format(const char *format)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } formats[] = {
        {"ini", reference_ini},        {"markdown", reference_markdown}, {"man", reference_man},
        {"bash", completion_bash},     {"zsh", completion_zsh},          {"fish", completion_fish},
        {"topics", completion_topics},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(format, formats[i].name) == 0) {
            formats[i].print();
            return EXIT_DONE;
        }
    fprintf(stderr, "help: --format is ini, markdown, man, bash, zsh, fish or topics\n");
    return EXIT_USAGE;
}

static int report_unknown(struct str what)
{
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        const struct setting *nearest = setting_nearest((enum section_kind)kind, what);
        if (nearest) {
            fprintf(stderr, "help: there is no setting \"%.*s\"; did you mean \"%s\"?\n",
                    STR_ARG(what), nearest->key);
            return EXIT_FAILED;
        }
    }
    fprintf(stderr, "help: there is no command, section or setting \"%.*s\"\n", STR_ARG(what));
    return EXIT_FAILED;
}

// The setting in every section that has it, or in the one that is named.
static bool print_settings(struct str section, struct str key)
{
    bool is_found = false;
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        if (section.len && !str_eq(section, str_of(section_infos[kind].name)))
            continue;
        const struct setting *setting = setting_find((enum section_kind)kind, key);
        if (setting && is_found)
            putchar('\n');
        if (setting)
            reference_setting(setting);
        is_found |= setting != NULL;
    }
    return is_found;
}

static int print_topic(const char *topic)
{
    struct str key = str_of(topic), section = STR_NONE;
    enum section_kind kind;
    size_t dot;
    if (section_find(key, &kind)) {
        reference_section(kind);
        if (section_infos[kind].free_line) { // `scopes` is the name of a setting, too
            putchar('\n');
            (void)print_settings(STR_NONE, key);
        }
        return EXIT_DONE;
    }
    if (str_find(key, '.', &dot)) {
        section = (struct str){topic, dot};
        key = str_from(key, dot + 1);
    }
    const struct command *command = command_find(topic); // `token` is a setting, too
    bool is_setting = print_settings(section, key);
    if (is_setting && command)
        putchar('\n');
    if (command)
        command_help(command);
    return is_setting || command ? EXIT_DONE : report_unknown(key);
}

static int print_help(int argc, char **argv)
{
    if (argc < 2)
        return print_commands();
    if (argc > 2) {
        fprintf(stderr, "help: one topic at a time\n");
        return EXIT_USAGE;
    }
    if (strncmp(argv[1], "--format=", 9) == 0)
        return print_format(argv[1] + 9);
    return print_topic(argv[1]);
}

int cli_help(int argc, char **argv)
{
    int code = print_help(argc, argv);
    if (fflush(stdout) == 0)
        return code;
    perror("help: cannot write");
    return EXIT_FAILED;
}
