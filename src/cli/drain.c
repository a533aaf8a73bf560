// SPDX-License-Identifier: MIT
// bearerd drain: have a running bearerd end what is under way and exit, as on SIGTERM.
#include <stdio.h>

#include "cli/admin_client.h"
#include "cli/command.h"

#define TIMEOUT_MS 10000

static bool drain(const struct admin_client *client, struct err *err)
{
    struct admin_answer answer;
    if (!client->address) {
        struct err why;
        admin_client_explain(client, &why);
        return err_set(err, "%s; or send SIGTERM to the process", why.text);
    }
    bool is_done = admin_client_ask(client, "POST /drain", TIMEOUT_MS, &answer, err);
    if (is_done && answer.status != 202) {
        admin_answer_complain(&answer, "drain: ");
        is_done = err_set(err, "%s: answered with %d", client->address, answer.status);
    }
    admin_answer_fini(&answer);
    return is_done;
}

int cli_drain(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_LONG_OPTIONS, {0}};
    struct admin_options options = {0};
    struct admin_client client;
    struct err err;
    int option;
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1)
        if (!admin_option_take(&options, option, optarg))
            return command_usage(argv[0], NULL);
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    bool is_open = admin_client_open(&client, &options, &err);
    bool is_done = is_open && drain(&client, &err);
    int code = is_done ? EXIT_DONE : is_open && client.is_elsewhere ? EXIT_NO_ANSWER : EXIT_FAILED;
    if (is_done)
        puts("draining: what is under way ends, then bearerd exits");
    else
        fprintf(stderr, "drain: %s\n", err.text);
    admin_client_close(&client);
    return code;
}
