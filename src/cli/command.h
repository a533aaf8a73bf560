// SPDX-License-Identifier: MIT
// The subcommands: one table, one file each. Exit codes: 0 done, 1 the answer is no or it failed,
// 2 wrong usage.
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

struct command {
    const char *name;
    const char *usage;                 // what follows the name: "-c FILE METHOD URL"
    const char *summary;               // one line
    int (*run)(int argc, char **argv); // argv[0] is the subcommand
};

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

const struct command *command_table(void); // ends with name == NULL
const struct command *command_find(const char *name);

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_ping(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

#define DEFAULT_CONFIG_PATH "/etc/bearerd/bearerd.ini"

#endif
