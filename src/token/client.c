// SPDX-License-Identifier: MIT
// See client.h. Owns the registry and the key's coming into being; refuses to know what a token
// request looks like. Invariant: a key that was handed out stays the same for the client's life, so
// that all slots of a credential are bound to one.
#include "token/client.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"

struct clients {
    struct loop *loop;
    struct fetcher *fetcher;
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

void clients_free(struct clients *clients)
{
    struct list *link;
    if (!clients)
        return;
    while ((link = list_take_first(&clients->list))) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        discovery_free(client->discovery);
        jose_key_unref(client->binding);
        mem_free(client);
    }
    mem_free(clients);
}

struct client *clients_get(struct clients *clients, const struct config_credential *credential)
{
    struct list *link = clients->list.next;
    for (; link != &clients->list; link = link->next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        if (client->credential == credential)
            return client;
    }
    struct client *client = mem_alloc(sizeof *client);
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

bool client_take_nonce(struct client *client, struct str nonce)
{
    if (!jose_nonce_is_valid(nonce))
        return false;
    snprintf(client->nonce, sizeof client->nonce, "%.*s", STR_ARG(nonce));
    return true;
}
