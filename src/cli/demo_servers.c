// SPDX-License-Identifier: MIT
// DEMO ONLY. One thread, one loop, two HTTP servers on loopback and free ports: the authorization
// server and the upstream. The tokens they share are this thread's alone, so there is no lock.
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo.h"

#define BODY_MAX  65536
#define REPLY_MAX 65536

struct demo_servers;

typedef void answer_fn(struct demo_tokens *tokens, const struct request *request, struct str body,
                       struct demo_answer *out);

struct endpoint { // one of the two servers
    struct demo_servers *owner;
    answer_fn *answer;
    int fd; // -1: none
    char address[64];
    struct server *server;
};

struct demo_servers {
    struct loop *loop;
    struct endpoint auth, upstream;
    struct demo_tokens tokens;
    pthread_t thread;
    bool is_running;
};

struct exchange { // one request's life
    struct endpoint *endpoint;
    struct buf body;
    bool is_too_large;
    struct demo_answer answer;
};

static void on_request(void *arg, struct request *request)
{
    struct exchange *exchange = mem_alloc(sizeof(*exchange));
    exchange->endpoint = arg;
    buf_init(&exchange->body, BODY_MAX);
    buf_init(&exchange->answer.body, REPLY_MAX);
    request->user = exchange;
    request_accept(request);
}

static size_t on_body(struct request *request, struct str bytes)
{
    struct exchange *exchange = request->user;
    if (!exchange->is_too_large && !buf_append(&exchange->body, bytes))
        exchange->is_too_large = true; // the rest is read and thrown away
    return bytes.len;
}

static void on_body_end(struct request *request)
{
    struct exchange *exchange = request->user;
    struct endpoint *endpoint = exchange->endpoint;
    struct demo_answer *answer = &exchange->answer;
    if (exchange->is_too_large)
        answer->status = 413;
    else
        endpoint->answer(&endpoint->owner->tokens, request, buf_str(&exchange->body), answer);
    struct reply reply = {
        .status = answer->status,
        .fields = &answer->fields,
        .is_whole = true,
        .body = buf_str(&answer->body),
    };
    request_reply(request, &reply);
}

static void on_end(struct request *request, bool is_complete)
{
    struct exchange *exchange = request->user;
    (void)is_complete;
    if (!exchange)
        return;
    buf_fini(&exchange->body);
    buf_fini(&exchange->answer.body);
    mem_free(exchange);
    request->user = NULL;
}

static const struct server_ops demo_ops = {
    .on_request = on_request,
    .on_body = on_body,
    .on_body_end = on_body_end,
    .on_end = on_end,
};

static bool endpoint_open(struct endpoint *endpoint, struct demo_servers *owner, answer_fn *answer,
                          struct err *err)
{
    static const struct server_config config = {
        .header_limit = 16384,
        .max_connections = 256,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .keepalive_timeout_ms = 60000,
    };
    endpoint->owner = owner;
    endpoint->answer = answer;
    endpoint->fd =
        listen_open("127.0.0.1:0", false, 0, endpoint->address, sizeof(endpoint->address), err);
    if (endpoint->fd < 0)
        return false;
    endpoint->server = server_new(owner->loop, &config, &demo_ops, endpoint, err);
    return endpoint->server && server_listen(endpoint->server, endpoint->fd, err);
}

static void endpoint_close(struct endpoint *endpoint)
{
    if (endpoint->server)
        server_free(endpoint->server);
    if (endpoint->fd >= 0)
        close(endpoint->fd);
}

static void *servers_main(void *arg)
{
    struct demo_servers *servers = arg;
    loop_run(servers->loop);
    return NULL;
}

// Signals are the control thread's: this one takes none.
static bool servers_start(struct demo_servers *servers, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&servers->thread, NULL, servers_main, servers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return err_set(err, "demo servers: no thread: %s", strerror(failure));
    servers->is_running = true;
    return true;
}

struct demo_servers *demo_servers_new(struct err *err)
{
    struct demo_servers *servers = mem_alloc(sizeof(*servers));
    servers->auth.fd = servers->upstream.fd = -1;
    demo_random_hex(servers->tokens.client_secret);
    servers->loop = loop_new(err);
    if (!servers->loop || !endpoint_open(&servers->auth, servers, demo_auth_answer, err) ||
        !endpoint_open(&servers->upstream, servers, demo_upstream_answer, err) ||
        !servers_start(servers, err)) {
        demo_servers_free(servers);
        return NULL;
    }
    return servers;
}

void demo_servers_free(struct demo_servers *servers)
{
    if (!servers)
        return;
    if (servers->is_running) {
        loop_stop(servers->loop);
        pthread_join(servers->thread, NULL);
    }
    endpoint_close(&servers->auth);
    endpoint_close(&servers->upstream);
    if (servers->loop)
        loop_free(servers->loop);
    mem_wipe(&servers->tokens, sizeof(servers->tokens));
    mem_free(servers);
}

const char *demo_servers_auth_address(const struct demo_servers *servers)
{
    return servers->auth.address;
}

const char *demo_servers_upstream_address(const struct demo_servers *servers)
{
    return servers->upstream.address;
}

const char *demo_servers_client_secret(const struct demo_servers *servers)
{
    return servers->tokens.client_secret;
}
