// SPDX-License-Identifier: MIT
// bearerd check: reads a configuration as `serve` would, and says everything that is wrong with it.
// Opens no socket and asks no server; with --live it then gets every token once.
#include <getopt.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/live.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "proxy/policy.h"
#include "token/jose.h"
#include "token/store_redis_url.h"

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

// A secret that cannot be read now has its warning already.
static struct jose_key *read_key(const struct secret *secret, enum jose_alg alg, struct err *err)
{
    struct buf pem;
    struct err ignored;
    buf_init(&pem, SECRET_MAX);
    err->text[0] = '\0';
    struct jose_key *key = NULL;
    if (secret && secret_read(secret, &pem, &ignored))
        key = jose_key_from_pem(buf_str(&pem), alg, err);
    buf_fini(&pem);
    return key;
}

static void add_fault(struct config_faults *faults, const struct config_credential *credential,
                      const char *key, const struct err *err)
{
    if (err->text[0])
        config_faults_add(faults, credential->place, "[credential %s] %s: %s", credential->name,
                          key, err->text);
}

static void check_certificate(const struct config_credential *credential,
                              const struct jose_key *key, struct config_faults *faults)
{
    struct buf pem;
    struct err err = {0};
    char thumbprint[JOSE_THUMBPRINT_LEN + 1];
    buf_init(&pem, SECRET_MAX);
    if (!file_read(credential->signing_certificate, &pem, &err) ||
        !jose_certificate_thumbprint(buf_str(&pem), key, thumbprint, &err))
        add_fault(faults, credential, "signing_certificate", &err);
    buf_fini(&pem);
}

// Keys are for a library that the configuration does not know: do they fit what they are for?
static void check_keys(const struct config_credential *credential, struct config_faults *faults)
{
    enum jose_alg alg;
    struct err err = {0};
    if (credential->auth_method == AUTH_PRIVATE_KEY_JWT && credential->signing_alg &&
        jose_alg_parse(str_of(credential->signing_alg), &alg)) {
        struct jose_key *key = read_key(credential->signing_key, alg, &err);
        add_fault(faults, credential, "signing_key", &err);
        if (key && credential->signing_certificate)
            check_certificate(credential, key, faults);
        jose_key_unref(key);
    }
    jose_key_unref(read_key(credential->dpop_key, JOSE_ES256, &err));
    add_fault(faults, credential, "dpop_key", &err);
}

static void check_tokens(const struct config *config, struct config_faults *faults)
{
    struct err err;
    struct redis_url url;
    for (size_t i = 0; i < config->credential_count; i++)
        check_keys(config->credentials[i], faults);
    if (!config->store.url || str_starts(str_of(config->store.url), STR("sqlite:")))
        return;
    if (redis_url_parse(str_of(config->store.url), &url, &err))
        redis_url_fini(&url);
    else
        config_faults_add(faults, (struct config_place){config->path, 0}, "%s", err.text);
}

// What serve builds of it: routes, caller rules, TLS files.
static void check_compiled(struct config *config, struct config_faults *faults)
{
    policy_unref(policy_new(config, NULL, NULL, faults));
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

static bool get_tokens(struct config *config)
{
    struct err err;
    size_t count = config->slot_count;
    struct live_token *tokens = mem_array(count + 1, sizeof *tokens);
    for (size_t i = 0; i < count; i++)
        tokens[i].slot = config->slots[i];
    log_set_level(LOG_WARN);
    bool is_ok = live_get(config, false, tokens, count, &err);
    if (is_ok)
        live_table_print(stdout, tokens, count);
    else
        fprintf(stderr, "bearerd check: %s\n", err.text);
    for (size_t i = 0; is_ok && i < count; i++)
        is_ok = !tokens[i].failure;
    live_fini(tokens, count);
    mem_free(tokens);
    return is_ok;
}

struct config *check_inspect(const char *path, struct config_faults *faults)
{
    struct config *config = config_inspect(path, faults);
    if (config->files.count)
        check_compiled(config, faults);
    check_tokens(config, faults);
    config_faults_sort(faults);
    return config;
}

int check_run(const char *path, bool is_live)
{
    struct config_faults faults = {0};
    struct config *config = check_inspect(path, &faults);
    print_all(&faults, "");
    print_all(&config->warnings, "warning: ");
    bool is_ok = faults.count == 0;
    if (is_ok)
        print_summary(config);
    if (is_ok && is_live && config->slot_count)
        is_ok = fflush(stdout) == 0 && get_tokens(config);
    is_ok = fflush(stdout) == 0 && is_ok; // a full disk must not look like a good configuration
    config_unref(config);
    config_faults_fini(&faults);
    return is_ok ? EXIT_DONE : EXIT_FAILED;
}

int cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"live", no_argument, NULL, 'l'}, {0}};
    const char *path = DEFAULT_CONFIG_PATH;
    bool is_live = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'l')
            is_live = true;
        else if (option == 'c')
            path = optarg;
        else
            return command_usage(argv[0], NULL);
    }
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    // Before keys are looked at: OpenSSL takes our memory functions only while it holds nothing.
    struct err err;
    if (is_live && !daemon_prepare_process(&err)) {
        fprintf(stderr, "check: %s\n", err.text);
        return EXIT_FAILED;
    }
    return check_run(path, is_live);
}
