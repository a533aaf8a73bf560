// SPDX-License-Identifier: MIT
// bearerd ping: does the proxy answer at the first `listen` of this configuration? For health
// checks where there is no shell. It asks with TRACE, which bearerd answers itself, before any
// route or token plays a part; what counts is that the answer is bearerd's, as its Proxy-Status
// field says.
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/probe.h"
#include "config/config.h"
#include "http/h1.h"

#define TIMEOUT_MS 2000
#define ANSWER_MAX 8192

#define QUESTION                                                                                   \
    "TRACE / HTTP/1.1\r\n"                                                                         \
    "Host: localhost\r\n"                                                                          \
    "Max-Forwards: 0\r\n"                                                                          \
    "Connection: close\r\n\r\n"

static bool is_bearerd(struct str answer)
{
    struct h1_response response;
    const char *why;
    if (h1_parse_response(answer, false, &response, &why) != H1_DONE)
        return false;
    const struct field *field = fields_find(&response.fields, STR("Proxy-Status"));
    return field && str_starts(field->value, STR("bearerd"));
}

static bool ping(const char *address, struct err *err)
{
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    bool is_up = probe_exchange(address, STR(QUESTION), TIMEOUT_MS, &answer, err);
    if (is_up && !is_bearerd(buf_str(&answer)))
        is_up = err_set(err, "%s: something answers there, but it is not bearerd", address);
    buf_fini(&answer);
    return is_up;
}

static bool check_address(const char *address, struct err *err)
{
    return !str_starts(str_of(address), STR("fd:")) ||
           err_set(err, "listen = %s: where that socket is, only who hands it over knows", address);
}

int cli_ping(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG_PATH;
    int option;
    while ((option = getopt(argc, argv, "c:")) != -1) {
        if (option != 'c')
            return EXIT_USAGE;
        path = optarg;
    }
    if (optind < argc) {
        fprintf(stderr, "ping: unexpected argument \"%s\"; usage: bearerd ping [-c FILE]\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    struct config_faults faults = {0};
    struct config *config = config_load(path, &faults);
    struct err err;
    bool is_up = config && check_address(config->listen.items[0], &err) &&
                 ping(config->listen.items[0], &err);
    if (is_up)
        printf("bearerd answers at %s\n", config->listen.items[0]);
    else if (config)
        fprintf(stderr, "ping: %s\n", err.text);
    else
        fprintf(stderr, "ping: %s; see bearerd check\n",
                faults.count ? faults.items[0].message : "the configuration cannot be read");
    config_faults_fini(&faults);
    config_unref(config);
    return is_up ? EXIT_DONE : EXIT_FAILED;
}
