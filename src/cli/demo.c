// SPDX-License-Identifier: MIT
// bearerd demo: the proxy at work on this machine alone, between a small authorization server and
// an upstream of its own (cli/demo_*.c). The proxy itself is the one that `serve` runs: same
// daemon, on a configuration file that the demo writes. Loopback and free ports only.
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/demo.h"
#include "cli/terminal.h"
#include "daemon/daemon.h"

#define REQUESTS 3

struct demo {
    bool is_once;
    bool use_utf8;
    struct demo_servers *servers;
    struct demo_files files;
    struct config *config;
    struct daemon *daemon;
    bool is_right; // set by the client's thread, read after it was joined
};

static void print_head(const struct demo *demo)
{
    struct err err;
    printf("\nbearerd demo: everything below runs in this process, on loopback.\n\n"
           "  legacy client  -->  bearerd http://%s  -->  upstream http://%s\n"
           "                         |\n"
           "                         +-- tokens from the authorization server http://%s\n\n"
           "The configuration it runs on (%s):\n\n",
           daemon_address(demo->daemon, 0), demo_servers_upstream_address(demo->servers),
           demo_servers_auth_address(demo->servers), demo->files.config_path);
    if (!demo_files_print(&demo->files, stdout, &err))
        printf("  %s\n\n", err.text);
}

static bool send_requests(const struct demo *demo)
{
    const char *address = daemon_address(demo->daemon, 0);
    const struct demo_request requests[REQUESTS] = {
        {.method = "GET",
         .target = "/items",
         .host = address,
         .expected_line = "GET /items",
         .expected_scopes = DEMO_READ,
         .expected_new = true},
        {.method = "GET",
         .target = "http://" DEMO_HOST "/items/7",
         .host = DEMO_HOST,
         .expected_line = "GET /items/7",
         .expected_scopes = DEMO_READ,
         .expected_new = false},
        {.method = "POST",
         .target = "/items",
         .host = address,
         .authorization = "Bearer dummy-key",
         .body = "{\"name\": \"lamp\"}",
         .expected_line = "POST /items",
         .expected_scopes = DEMO_READ | DEMO_WRITE,
         .expected_new = true},
    };
    struct demo_result results[REQUESTS];
    bool is_right = true;
    for (size_t i = 0; i < REQUESTS; i++) {
        demo_client_send(address, &requests[i], &results[i]);
        is_right = is_right && results[i].is_right;
    }
    demo_table_print(stdout, demo->use_utf8, requests, results, REQUESTS);
    return is_right;
}

static void print_hints(const struct demo *demo)
{
    const char *address = daemon_address(demo->daemon, 0);
    printf(
        "\n[...] is a token's fingerprint, the start of its SHA-256. The time runs from the "
        "client's\n"
        "first byte to the upstream's handler: it holds the token request where one was made.\n");
    if (demo->is_once)
        return;
    printf("\nTry it:\n\n"
           "  # base URL: the proxy in place of the API\n"
           "  curl -i http://%s/items\n\n"
           "  # http_proxy: the client asks for the API, by way of the proxy\n"
           "  http_proxy=http://%s curl -i http://" DEMO_HOST "/items/7\n\n"
           "  # the API without the proxy: 401\n"
           "  curl -i http://%s/items\n\n"
           "Your requests are logged here. Ctrl-C ends the demo and removes its files.\n\n",
           address, address, demo_servers_upstream_address(demo->servers));
}

static void *client_main(void *arg)
{
    struct demo *demo = arg;
    demo->is_right = send_requests(demo);
    if (demo->is_right)
        print_hints(demo);
    fflush(stdout);
    if (demo->is_once || !demo->is_right)
        daemon_stop(demo->daemon);
    else
        log_set_level(LOG_INFO);
    return NULL;
}

// The client needs a thread of its own: this one runs the control loop. Signals are the loop's.
static bool run_with_client(struct demo *demo, struct err *err)
{
    pthread_t client;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&client, NULL, client_main, demo);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return err_set(err, "no thread for the client: %s", strerror(failure));
    bool is_done = daemon_run(demo->daemon, err);
    pthread_join(client, NULL);
    return is_done;
}

static bool demo_load(struct demo *demo, struct err *err)
{
    struct config_faults faults = {0};
    demo->config = config_load(demo->files.config_path, &faults);
    if (!demo->config)
        err_set(err, "%s:%u: %s", demo->files.config_path, faults.count ? faults.items[0].line : 0,
                faults.count ? faults.items[0].message : "cannot be read");
    config_faults_fini(&faults);
    return demo->config != NULL;
}

static bool demo_run(struct demo *demo, struct err *err)
{
    if (!daemon_prepare_process(err))
        return false;
    demo->servers = demo_servers_new(err);
    if (!demo->servers || !demo_files_write(&demo->files, demo->servers, err) ||
        !demo_load(demo, err))
        return false;
    demo->daemon = daemon_new(demo->config, NULL, err);
    if (!demo->daemon)
        return false;
    print_head(demo);
    log_set_level(LOG_WARN); // the table first; then the log
    return run_with_client(demo, err);
}

static void demo_fini(struct demo *demo)
{
    if (demo->daemon)
        daemon_free(demo->daemon);
    config_unref(demo->config);
    demo_files_remove(&demo->files);
    demo_servers_free(demo->servers);
}

int cli_demo(int argc, char **argv)
{
    struct demo demo = {.use_utf8 = terminal_wants_utf8(stdout)};
    struct err err;
    demo.is_once = argc == 2 && !strcmp(argv[1], "--once");
    if (argc > 1 && !demo.is_once) {
        fprintf(stderr, "demo: unexpected argument \"%s\"; usage: bearerd demo [--once]\n",
                argv[1]);
        return EXIT_USAGE;
    }
    bool is_done = demo_run(&demo, &err);
    if (!is_done)
        fprintf(stderr, "demo: %s\n", err.text);
    demo_fini(&demo);
    return is_done && demo.is_right ? EXIT_DONE : EXIT_FAILED;
}
