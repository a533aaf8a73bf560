// SPDX-License-Identifier: MIT
// See client.h. Owns the registry and the key's coming into being; refuses to know what a token
// request looks like. Invariant: a key that was handed out stays the same for the client's life, so
// that all slots of a credential are bound to one.
#include "token/client.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

struct clients {
    struct loop *loop;
    struct fetcher *fetcher;
    struct config *config; // referenced; NULL: none was turned to
    struct list list;
};

struct clients *clients_new(struct loop *loop, struct fetcher *fetcher)
{
    struct clients *clients = mem_alloc(sizeof *clients);
    clients->loop = loop;
    clients->fetcher = fetcher;
    list_init(&clients->list);
    return clients;
}

void client_unref(struct client *client)
{
    if (!client || --client->refs > 0)
        return;
    discovery_free(client->discovery);
    jose_key_unref(client->binding);
    config_unref(client->config);
    mem_free(client);
}

void clients_free(struct clients *clients)
{
    struct list *link;
    if (!clients)
        return;
    while ((link = list_take_first(&clients->list)))
        client_unref(CONTAINER_OF(link, struct client, link));
    config_unref(clients->config);
    mem_free(clients);
}

struct client *clients_get(struct clients *clients, const struct config_credential *credential)
{
    struct list *link = clients->list.next;
    for (; link != &clients->list; link = link->next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        if (client->credential == credential) {
            client->refs++;
            return client;
        }
    }
    struct client *client = mem_alloc(sizeof *client);
    client->refs = 2;
    client->config = clients->config ? config_ref(clients->config) : NULL;
    client->credential = credential;
    client->discovery = discovery_new(clients->loop, clients->fetcher, credential);
    list_append(&clients->list, &client->link);
    return client;
}

struct jose_key *clients_binding(struct clients *clients,
                                 const struct config_credential *credential)
{
    struct client *client = clients_get(clients, credential);
    struct err err;
    if (!client_bind(client, &err))
        log_error("token.local", F_TEXT("credential", credential->name),
                  F_TEXT("text", "cannot read the DPoP key"), F_TEXT("cause", err.text));
    client_unref(client); // the registry has it
    return client->binding;
}

static struct jose_key *read_binding(const struct config_credential *credential, struct err *err)
{
    struct buf pem;
    buf_init(&pem, SECRET_MAX);
    struct jose_key *key = secret_read(credential->dpop_key, &pem, err)
                               ? jose_key_from_pem(buf_str(&pem), JOSE_ES256, err)
                               : NULL;
    buf_fini(&pem);
    return key;
}

bool client_bind(struct client *client, struct err *err)
{
    const struct config_credential *credential = client->credential;
    if (credential->dpop && !client->binding)
        client->binding =
            credential->dpop_key ? read_binding(credential, err) : jose_key_generate(err);
    return !credential->dpop || client->binding;
}

// -- another configuration ---------------------------------------------------------------------

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

// A key made at start is as good as ever; a configured one may have been replaced.
static bool is_key_current(const struct client *client, const struct config_credential *credential)
{
    bool was_configured = client->credential->dpop_key != NULL;
    if (credential->dpop != client->credential->dpop ||
        was_configured != (credential->dpop_key != NULL))
        return false;
    if (!was_configured || !client->binding)
        return true;
    struct jose_key *key = read_binding(credential, NULL);
    bool ok = !key || !strcmp(jose_key_thumbprint(key), jose_key_thumbprint(client->binding));
    jose_key_unref(key);
    return ok;
}

static bool client_fits(const struct client *client, const struct config_credential *credential)
{
    const struct config_credential *before = client->credential;
    return is_same_text(before->token_url.text, credential->token_url.text) &&
           is_same_text(before->issuer, credential->issuer) &&
           is_same_text(before->client_id, credential->client_id) &&
           before->auth_method == credential->auth_method &&
           (before->tls.cert_file != NULL) == (credential->tls.cert_file != NULL) && // RFC 8705 5
           is_key_current(client, credential);
}

static void client_turn_to(struct client *client, struct config *config,
                           const struct config_credential *credential)
{
    if (!credential || !client_fits(client, credential)) {
        list_remove(&client->link);
        client_unref(client);
        return;
    }
    discovery_turn_to(client->discovery, credential);
    client->credential = credential;
    config_unref(client->config);
    client->config = config_ref(config);
}

void clients_turn_to(struct clients *clients, struct config *config)
{
    struct map by_name;
    struct list *next;
    map_init(&by_name);
    for (size_t i = 0; i < config->credential_count; i++)
        map_put(&by_name, str_of(config->credentials[i]->name), config->credentials[i]);
    for (struct list *link = clients->list.next; link != &clients->list; link = next) {
        next = link->next;
        struct client *client = CONTAINER_OF(link, struct client, link);
        client_turn_to(client, config, map_get(&by_name, str_of(client->credential->name)));
    }
    map_fini(&by_name);
    config_unref(clients->config);
    clients->config = config_ref(config);
}

bool client_take_nonce(struct client *client, struct str nonce)
{
    if (!jose_nonce_is_valid(nonce))
        return false;
    snprintf(client->nonce, sizeof client->nonce, "%.*s", STR_ARG(nonce));
    return true;
}
