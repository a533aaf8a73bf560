// SPDX-License-Identifier: MIT
// bearerd ping: does the proxy answer at the first `listen` of this configuration? For health
// checks where there is no shell, and no admin listener.
#include <stdio.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/probe.h"

#define TIMEOUT_MS 2000

int cli_ping(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    struct admin_options where = {.config_path = DEFAULT_CONFIG_PATH};
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        if (!admin_option_take(&where, option, optarg))
            return command_usage(argv[0], NULL);
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    struct admin_client client;
    struct err err;
    const char *address = NULL;
    bool is_up = admin_client_open(&client, &where, &err);
    if (is_up) {
        address = admin_client_proxy(&client, &err);
        is_up = address && probe_proxy(address, TIMEOUT_MS, &err);
    }
    if (is_up)
        printf("bearerd answers at %s\n", address);
    else
        fprintf(stderr, "ping: %s\n", err.text);
    admin_client_close(&client);
    return is_up ? EXIT_DONE : EXIT_FAILED;
}
