// SPDX-License-Identifier: MIT
// See command.h. Long options are read by each subcommand itself; a test compares.
#include "cli/command.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_OPTION                                                                              \
    {                                                                                              \
        "-c", "FILE", "the configuration; " DEFAULT_CONFIG_PATH " if not given"                    \
    }
#define ADMIN_OPTION                                                                               \
    {                                                                                              \
        "--admin", "ADDRESS", "the admin listener, instead of the configuration's"                 \
    }
#define KEY_OPTION                                                                                 \
    {                                                                                              \
        "--key-file", "FILE", "holds the admin key, instead of the configuration's"                \
    }

static const struct command_option config_only[] = {CONFIG_OPTION, {0}};

static const struct command_option check_options[] = {
    CONFIG_OPTION, {"--live", NULL, "get every token once and show what came of it"}, {0}};

static const struct command_option explain_options[] = {
    CONFIG_OPTION, {"-H", "'NAME: VALUE'", "a field of the request; may be repeated"}, {0}};

static const struct command_option token_options[] = {
    CONFIG_OPTION,
    {"--route", "NAME", "the token that requests of this route bear"},
    {"--credential", "NAME", "a token of this credential, or which of a route's"},
    {"--scope", "SCOPE", "other scopes than the credential's; may be repeated"},
    {"--decode", NULL, "print what a JWT says"},
    {"--header", NULL, "print the field as it is sent"},
    {0}};

static const struct command_option init_options[] = {
    {"--token-url", "URL", "the token endpoint of the authorization server"},
    {"--issuer", "URL", "the authorization server, which says where its token endpoint is"},
    {"--client-id", "ID", "who asks for tokens"},
    {"--secret-file", "FILE", "the file that holds the client secret"},
    {"--secret-env", "NAME", "the variable that holds it; CLIENT_SECRET if not given"},
    {"--upstream", "URL", "the API"},
    {"--scope", "SCOPE", "what tokens are asked for; may be repeated"},
    {"--auth-method", "METHOD", "how the client shows who it is; client_secret_basic"},
    {"--ca-file", "FILE", "authorities to trust, of both servers, instead of the system's"},
    {"--listen", "ADDRESS", "where clients come in; port 8080 of loopback if not given"},
    {"--admin", "ADDRESS", "an admin listener, for status, wait, reload and metrics"},
    {"--output", "FILE", "bearerd.ini if not given"},
    {"--force", NULL, "write over a file that is there"},
    {"--try", NULL, "then get a token"},
    {0}};

static const struct command_option status_options[] = {
    CONFIG_OPTION,
    ADMIN_OPTION,
    KEY_OPTION,
    {"--watch", NULL, "show it again every two seconds, until Ctrl-C"},
    {"--json", NULL, "print /status.json as it is"},
    {"--quiet", NULL, "print nothing when it is ready, for health checks"},
    {0}};

static const struct command_option wait_options[] = {
    CONFIG_OPTION,
    ADMIN_OPTION,
    KEY_OPTION,
    {"--timeout", "TIME", "how long, as in 60s (which it is if not given)"},
    {0}};

static const struct command_option reload_options[] = {
    CONFIG_OPTION,
    ADMIN_OPTION,
    KEY_OPTION,
    {"--pid", "NUMBER", "send SIGHUP to this process"},
    {0}};

static const struct command_option drain_options[] = {CONFIG_OPTION, ADMIN_OPTION, KEY_OPTION, {0}};

static const struct command_option demo_options[] = {{"--once", NULL, "end after the table"}, {0}};

static const struct command commands[] = {
    {"serve", "[-c FILE]", "run the proxy", cli_serve, config_only},
    {"init", "--upstream URL [OPTION ...]", "write a first configuration", cli_init, init_options},
    {"check", "[--live] [-c FILE]",
     "report every fault of the configuration, perhaps try its tokens", cli_check, check_options},
    {"explain", "[-c FILE] [-H 'NAME: VALUE'] METHOD URL", "say what would happen to a request",
     cli_explain, explain_options},
    {"token", "[-c FILE] {--route | --credential} NAME", "get a token and print it", cli_token,
     token_options},
    {"status", "[-c FILE] [--watch | --json | --quiet]", "show how a running bearerd does",
     cli_status, status_options},
    {"wait", "[-c FILE] [--timeout TIME]", "wait until a bearerd is ready", cli_wait, wait_options},
    {"reload", "[-c FILE] [--pid NUMBER | --admin ADDRESS]",
     "have a running bearerd read its configuration again", cli_reload, reload_options},
    {"drain", "[-c FILE]", "have a running bearerd end what is under way and exit", cli_drain,
     drain_options},
    {"ping", "[-c FILE]", "ask a running bearerd whether it answers", cli_ping, config_only},
    {"demo", "[--once]", "show the proxy at work on built-in servers", cli_demo, demo_options},
    {"version", "", "versions of bearerd and of its libraries", cli_version, NULL},
    {"help", "[KEY]", "this list, or the meaning of a setting", cli_help, NULL},
    {NULL, NULL, NULL, NULL, NULL},
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

int command_usage(const char *name, const char *why)
{
    const struct command *command = command_find(name);
    if (why)
        fprintf(stderr, "%s: %s\n", name, why);
    fprintf(stderr, "usage: bearerd %s %s\n", name, command ? command->usage : "");
    return EXIT_USAGE;
}

void command_help(const struct command *command)
{
    printf("usage: bearerd %s %s\n  %s\n", command->name, command->usage, command->summary);
    if (command->options)
        putchar('\n');
    for (const struct command_option *option = command->options; option && option->name; option++) {
        char head[64];
        snprintf(head, sizeof head, "%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("  %-22s %s\n", head, option->summary);
    }
}
