// SPDX-License-Identifier: MIT
// Any bytes as a configuration file: no crash, no leak, and either faults or a configuration that
// keeps its promises. Files with `include` are left out: what they read is not ours to choose.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void write_file(const uint8_t *data, size_t size)
{
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/bearerd-fuzz-XXXXXX");
        int fd = mkstemp(path);
        if (fd < 0 || close(fd) != 0 || atexit(remove_file) != 0)
            abort();
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

#define PROMISE(truth)                                                                             \
    do {                                                                                           \
        if (!(truth))                                                                              \
            abort();                                                                               \
    } while (0)

static void check_asking(const struct config_credential *credential)
{
    bool by_secret = credential->auth_method <= AUTH_CLIENT_SECRET_JWT;
    bool by_jwt = credential->auth_method == AUTH_CLIENT_SECRET_JWT ||
                  credential->auth_method == AUTH_PRIVATE_KEY_JWT;
    PROMISE((credential->token_url.host != NULL) != (credential->issuer != NULL));
    PROMISE(credential->client_id || credential->auth_method == AUTH_ASSERTION_FILE);
    PROMISE(!by_secret == !credential->client_secret);
    PROMISE(!by_jwt == !credential->signing_alg);
    PROMISE(credential->signing_key || credential->auth_method != AUTH_PRIVATE_KEY_JWT);
    PROMISE(credential->assertion_file || credential->auth_method != AUTH_ASSERTION_FILE);
    PROMISE(credential->tls.cert_file || credential->auth_method != AUTH_TLS_CLIENT);
}

static void check_credential(const struct config_credential *credential)
{
    const struct config_login *login = &credential->login;
    PROMISE(credential->header && credential->prefix && credential->auth_method <= AUTH_NONE);
    PROMISE(credential->has_endpoint || credential->source != SOURCE_OAUTH);
    if (credential->has_endpoint)
        check_asking(credential);
    PROMISE(!credential->tls.cert_file == !credential->tls.key_file);
    PROMISE((credential->source == SOURCE_EXEC) == (credential->command != NULL));
    PROMISE((credential->source == SOURCE_STATIC) == (credential->token != NULL));
    PROMISE((credential->source == SOURCE_LOGIN) ==
            (login->url.host && login->body && login->token));
}

static void check_promises(const struct config *config)
{
    PROMISE(!config->store.url == !config->store.key);
    PROMISE(config->upstream_count > 0 && config->workers > 0 && config->listen.count > 0);
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = config->routes[i];
        PROMISE(route->index == i && route->upstream && route->match_count > 0);
        for (size_t j = 0; j < route->slot_count; j++)
            PROMISE(config->slots[route->slots[j]->index] == route->slots[j]);
    }
    for (size_t i = 0; i < config->credential_count; i++) {
        const struct config_credential *credential = config->credentials[i];
        check_credential(credential);
    }
    for (size_t i = 0; i < config->upstream_count; i++)
        PROMISE(config->upstreams[i]->url.path[0] == '/' && config->upstreams[i]->hosts.count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && memmem(data, size, "include", 7))
        return 0;
    write_file(data, size);
    struct config_faults faults = {0};
    struct config *config = config_load(path, &faults);
    PROMISE((config != NULL) == (faults.count == 0));
    if (config)
        check_promises(config);
    else
        config_unref(config_inspect(path, &faults));
    config_unref(config);
    config_faults_fini(&faults);
    return 0;
}
