// SPDX-License-Identifier: MIT
// `bearerd serve`: load the configuration, run the daemon until it is told to stop.
#include <stdio.h>
#include <string.h>

#include "base/helper.h"
#include "base/log.h"
#include "base/log_sink.h"
#include "cli/command.h"
#include "config/config.h"
#include "daemon/confine.h"
#include "daemon/daemon.h"
#include "http/multi.h"
#include "http/server.h"

static void print_faults(const struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->items[i];
        if (fault->line)
            fprintf(stderr, "%s:%u: %s\n", fault->file, fault->line, fault->message);
        else
            fprintf(stderr, "%s: %s\n", fault->file, fault->message);
    }
}

// Takes the configuration over: a reload may put another in its place, and then nothing of it is to
// stay.
static int serve(struct config *config, const char *path)
{
    char *const argv[] = {mem_unconst("bearerd"), mem_unconst("serve"), mem_unconst("-c"),
                          mem_unconst(path), NULL};
    const struct daemon_service service = {.argv = argv};
    struct err err;
    log_set_level((enum log_level)config->log_level);
    struct daemon *daemon =
        daemon_confine(config, &service, &err) ? daemon_new(config, &service, &err) : NULL;
    config_unref(config);
    bool ok = daemon && daemon_run(daemon, &err);
    if (!ok)
        fprintf(stderr, "bearerd: %s\n", err.text);
    daemon_free(daemon);
    helper_stop();
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int cli_serve(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG_PATH;
    if (argc == 3 && (!strcmp(argv[1], "-c") || !strcmp(argv[1], "--config")))
        path = argv[2];
    else if (argc != 1)
        return command_usage(argv[0], NULL);
    struct config_faults faults = {0};
    struct err err;
    struct config *config = config_load(path, &faults);
    if (!config) {
        print_faults(&faults);
        config_faults_fini(&faults);
        return EXIT_FAILED;
    }
    config_faults_fini(&faults);
    int code = EXIT_FAILED;
    log_sink_open();
    log_set_format((enum log_format)config->log_format);
    if (daemon_prepare_process(&err)) {
        log_info("starting", F_TEXT("version", BEARERD_VERSION), F_TEXT("config", path),
                 F_TEXT("libmicrohttpd", server_library_version()),
                 F_TEXT("libcurl", multi_library_version()));
        code = serve(config, path);
    } else {
        fprintf(stderr, "bearerd: %s\n", err.text);
        config_unref(config);
    }
    return code;
}
