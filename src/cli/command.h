// SPDX-License-Identifier: MIT
// The subcommands: one table, one file each. Help and shell completion come from it. Exit codes: 0
// done, 1 the answer is no or it failed, 2 wrong usage; `status` has one more.
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

struct command_option {
    const char *name;    // "-c", "--admin"
    const char *value;   // "FILE"; NULL: it takes none
    const char *summary; // one line
};

struct command {
    const char *name;
    const char *usage;                    // what follows the name: "-c FILE METHOD URL"
    const char *summary;                  // one line
    int (*run)(int argc, char **argv);    // argv[0] is the subcommand
    const struct command_option *options; // ends with name == NULL; NULL: there are none
};

// EXIT_NO_ANSWER: status could not ask.
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_ANSWER = 3 };

const struct command *command_table(void); // ends with name == NULL
const struct command *command_find(const char *name);
// Says why (NULL: getopt has said it), and how the subcommand is used; returns EXIT_USAGE.
int command_usage(const char *name, const char *why);
void command_help(const struct command *command); // on standard output, with its options

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_init(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_wait(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_drain(int argc, char **argv);
int cli_ping(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

#define DEFAULT_CONFIG_PATH "/etc/bearerd/bearerd.ini"

#endif
