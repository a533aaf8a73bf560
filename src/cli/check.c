// SPDX-License-Identifier: MIT
// bearerd check: reads a configuration as `serve` would, and says everything that is wrong with it.
// Opens no socket and asks no server.
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "config/config.h"
#include "proxy/policy.h"

static void print_all(const struct config_faults *faults, const char *kind)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->items[i];
        if (fault->line)
            fprintf(stderr, "%s:%u: %s%s\n", fault->file, fault->line, kind, fault->message);
        else
            fprintf(stderr, "%s: %s%s\n", fault->file, kind, fault->message);
    }
}

// What only the layers above the configuration can judge: patterns, and who may call.
// What serve builds of it: routes, caller rules, TLS files.
static void check_compiled(struct config *config, struct config_faults *faults)
{
    policy_free(policy_new(config, NULL, faults));
    config_faults_sort(faults);
}

static void print_count(size_t count, const char *noun)
{
    printf(", %zu %s%s", count, noun, count == 1 ? "" : "s");
}

static void print_summary(const struct config *config)
{
    printf("%s: ok", config->path);
    print_count(config->credential_count, "credential");
    print_count(config->upstream_count, "upstream");
    print_count(config->route_count, "route");
    print_count(config->slot_count, "token");
    printf(" to hold\n");
}

static int check_file(const char *path)
{
    struct config_faults faults = {0};
    struct config *config = config_inspect(path, &faults);
    if (config->files.count)
        check_compiled(config, &faults);
    print_all(&faults, "");
    print_all(&config->warnings, "warning: ");
    bool is_ok = faults.count == 0;
    if (is_ok)
        print_summary(config);
    is_ok = is_ok && fflush(stdout) == 0; // a full disk must not look like a good configuration
    config_unref(config);
    config_faults_fini(&faults);
    return is_ok ? EXIT_DONE : EXIT_FAILED;
}

static int usage(void)
{
    fprintf(stderr, "usage: bearerd check [-c FILE]\n");
    return EXIT_USAGE;
}

int cli_check(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
    const char *path = DEFAULT_CONFIG_PATH;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c')
            return usage();
        path = optarg;
    }
    if (optind < argc)
        return usage();
    return check_file(path);
}
