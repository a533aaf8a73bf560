// SPDX-License-Identifier: MIT
// bearerd ping: does bearerd live? By /livez of the admin listener, which answers when the proxy is
// busy with as many clients as it may have; else by the proxy, at the first `listen` of this
// configuration. For health checks where there is no shell.
#include <stdio.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/probe.h"

#define TIMEOUT_MS 2000

// One that cannot be connected to, for it is somebody else's or not there yet, says nothing of the
// proxy. One that can, and does not answer, hangs.
static const char *ask(const struct admin_client *client, struct err *err)
{
    struct admin_answer answer;
    if (!client->address || !probe_connect(client->address, TIMEOUT_MS, err)) {
        const char *proxy = admin_client_proxy(client, err);
        return proxy && probe_proxy(proxy, TIMEOUT_MS, err) ? proxy : NULL;
    }
    bool is_up = admin_client_ask(client, "GET /livez", TIMEOUT_MS, &answer, err);
    if (is_up && answer.status != 200)
        is_up = err_set(err, "%s: answered with %d", client->address, answer.status);
    admin_answer_fini(&answer);
    return is_up ? client->address : NULL;
}

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
    const char *address = admin_client_open(&client, &where, &err) ? ask(&client, &err) : NULL;
    if (address)
        printf("bearerd answers at %s\n", address);
    else
        fprintf(stderr, "ping: %s\n", err.text);
    admin_client_close(&client);
    return address ? EXIT_DONE : EXIT_FAILED;
}
