// SPDX-License-Identifier: MIT
// The demo: the proxy at work between servers of its own. Demo only: nothing here is part of
// `serve`, nothing outside cli/demo*.c uses it.
//
// The two built-in servers share one thread and its loop. Nobody else reads their memory: what the
// upstream saw comes back to the demo's client as fields of the answer, through the proxy.
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/server.h"
#include "token/token.h"

#define DEMO_CLIENT_ID   "demo-client"
#define DEMO_HOST        "api.demo.test" // what http_proxy clients call the upstream
#define DEMO_TOKEN_TTL_S 300
#define DEMO_SECRET_LEN  32

enum { DEMO_READ = 1, DEMO_WRITE = 2 }; // the scopes of the demo API
const char *demo_scope_text(unsigned scopes);

// --- the tokens that were issued (demo_auth.c) ---------------------------------------------------
#define DEMO_TOKENS_MAX 64 // the oldest is forgotten

struct demo_token {
    char value[DEMO_SECRET_LEN + 1];
    unsigned scopes;
    unsigned uses; // how often the upstream has seen it
    uint64_t expires_us;
};

struct demo_tokens {
    char client_secret[DEMO_SECRET_LEN + 1];
    struct demo_token items[DEMO_TOKENS_MAX];
    size_t next;
};

// One answer of a built-in server.
struct demo_answer {
    int status;
    struct fields fields; // names and values are literals or in `texts`
    char texts[4][80];
    struct buf body;
};

void demo_random_hex(char out[DEMO_SECRET_LEN + 1]);
// NULL: never issued, forgotten or expired.
struct demo_token *demo_tokens_find(struct demo_tokens *tokens, struct str value);

// The authorization server: RFC 6749 4.4, client_secret_basic.
void demo_auth_answer(struct demo_tokens *tokens, const struct request *request, struct str body,
                      struct demo_answer *out);
// The upstream: wants a token with the right scope (RFC 6750), echoes the request as JSON.
void demo_upstream_answer(struct demo_tokens *tokens, const struct request *request,
                          struct str body, struct demo_answer *out);

// --- both on a thread (demo_servers.c) -----------------------------------------------------------
struct demo_servers;

struct demo_servers *demo_servers_new(struct err *err) WARN_UNUSED; // running when it returns
void demo_servers_free(struct demo_servers *servers);               // stops; NULL is fine
const char *demo_servers_auth_address(const struct demo_servers *servers); // "127.0.0.1:40123"
const char *demo_servers_upstream_address(const struct demo_servers *servers);
const char *demo_servers_client_secret(const struct demo_servers *servers);

// --- its configuration (demo_files.c) ------------------------------------------------------------
struct demo_files {
    char dir[96];
    char config_path[128];
    char secret_path[128];
};

// A new folder (0700) with bearerd.ini and client_secret (0600).
bool demo_files_write(struct demo_files *files, const struct demo_servers *servers,
                      struct err *err) WARN_UNUSED;
void demo_files_remove(const struct demo_files *files);
bool demo_files_print(const struct demo_files *files, FILE *to, struct err *err) WARN_UNUSED;

// --- a client (demo_client.c) and the table it fills (demo_table.c)
// -------------------------------
struct demo_request {
    const char *method, *target;
    const char *host;          // field Host
    const char *authorization; // NULL: none sent
    const char *body;          // NULL: none sent
    const char *expected_line; // method and path that the upstream is to get
    unsigned expected_scopes;
    bool expected_new; // is the token to be fetched for this request?
};

struct demo_result {
    bool is_right;
    char problem[160]; // why not
    int status;
    char upstream_line[64]; // method and target that the upstream got
    char fingerprint[TOKEN_FINGERPRINT_LEN + 1];
    char scope[64];
    bool is_new;      // the upstream saw this token for the first time
    uint64_t took_us; // from the client's first byte to the upstream's handler
};

// Sends one request to the proxy at address (host:port), blocking, and judges the answer.
void demo_client_send(const char *address, const struct demo_request *request,
                      struct demo_result *out);

void demo_table_print(FILE *to, bool use_utf8, const struct demo_request *requests,
                      const struct demo_result *results, size_t count);

#endif
