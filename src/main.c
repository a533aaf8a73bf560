// SPDX-License-Identifier: MIT
// Looks the subcommand up in the table, runs it, returns its exit code.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        name = "version";
    const struct command *command = command_find(name);
    if (!command) {
        fprintf(stderr, "bearerd: there is no subcommand \"%s\"; see bearerd --help\n", name);
        return EXIT_USAGE;
    }
    int code = EXIT_DONE;
    if (argc > 2 && !strcmp(argv[2], "--help") && command_find(argv[1]))
        command_help(command);
    else
        code = argc < 2 ? command->run(1, argv) : command->run(argc - 1, argv + 1);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "bearerd: the output could not be written\n");
        return code ? code : EXIT_FAILED;
    }
    return code;
}
