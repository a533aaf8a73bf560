// SPDX-License-Identifier: MIT
// See command.h.
#include "cli/command.h"

#include <stddef.h>
#include <string.h>

static const struct command commands[] = {
    {"serve", "[-c FILE]", "run the proxy", cli_serve},
    {"check", "[--live] [-c FILE]",
     "report every fault of the configuration; --live: try its tokens", cli_check},
    {"explain", "[-c FILE] [-H 'NAME: VALUE'] METHOD URL", "say what would happen to a request",
     cli_explain},
    {"token", "[-c FILE] {--route | --credential} NAME", "get a token and print it", cli_token},
    {"ping", "[-c FILE]", "ask a running bearerd whether it answers", cli_ping},
    {"reload", "[-c FILE] [--pid NUMBER | --admin ADDRESS]",
     "have a running bearerd read its configuration again", cli_reload},
    {"demo", "[--once]", "show the proxy at work on built-in servers", cli_demo},
    {"version", "", "versions of bearerd and of its libraries", cli_version},
    {"help", "[KEY]", "this list, or the meaning of a setting", cli_help},
    {NULL, NULL, NULL, NULL},
};

const struct command *command_table(void)
{
    return commands;
}

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}
