// SPDX-License-Identifier: MIT
// The configuration as values: parsed, checked, immutable after config_load(), shared between
// threads by reference count. Reading the file is reader.c's, the list of settings is settings.c's.
// It does not know HTTP or tokens: patterns are kept as text and compiled by proxy/route.c.
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/secret.h"

// Where something stands in the files, for messages. file lives as long as the config.
struct config_place {
    const char *file;
    unsigned line;
};

struct config_strings { // a list setting; items are NUL-terminated
    char **items;
    size_t count;
};

struct config_header { // set_header = Name: value
    char *name, *value;
};

struct config_headers {
    struct config_header *items;
    size_t count;
};

enum config_tls_min { TLS_MIN_1_2, TLS_MIN_1_3 };

struct config_tls {                       // of a client connection that bearerd opens
    char *ca_file, *cert_file, *key_file; // NULL: the system's, none, none
    int min;                              // enum config_tls_min
    char *ciphers, *ciphersuites;         // of OpenSSL, up to TLS 1.2 and for 1.3; NULL: its own
    char *pin;                            // "sha256//BASE64;sha256//…"; NULL: none
};

struct config_url { // an absolute http or https URL, split
    bool is_https;
    char *host;      // lower case, no brackets round IPv6
    uint16_t port;   // default filled in
    char *path;      // starts with '/'; "/" if the URL had none
    char *query;     // without '?'; NULL if none
    char *authority; // as it goes into Host: brackets, port only when not the default
    char *text;      // as written
};

enum config_source { SOURCE_OAUTH, SOURCE_LOGIN, SOURCE_EXEC, SOURCE_STATIC };
enum config_auth_method {
    AUTH_CLIENT_SECRET_BASIC,
    AUTH_CLIENT_SECRET_POST,
    AUTH_CLIENT_SECRET_JWT,
    AUTH_PRIVATE_KEY_JWT,
    AUTH_ASSERTION_FILE,
    AUTH_TLS_CLIENT, // RFC 8705: tls_client_auth and self_signed_tls_client_auth
    AUTH_NONE
};
#define AUTH_METHODS (AUTH_NONE + 1)
enum config_granted { GRANTED_WARN, GRANTED_ACCEPT, GRANTED_REFUSE };
enum config_replay { REPLAY_NO, REPLAY_YES, REPLAY_SAFE_METHODS };
enum config_basic_encoding { BASIC_FORM, BASIC_RAW };
enum config_connect { CONNECT_REFUSE, CONNECT_TUNNEL };
enum config_unmatched { UNMATCHED_REJECT, UNMATCHED_PASS };
enum config_sandbox { SANDBOX_AUTO, SANDBOX_OFF, SANDBOX_STRICT };
enum config_access { ACCESS_NO, ACCESS_YES, ACCESS_ERRORS };
enum config_client_auth { CLIENT_AUTH_REPLACE, CLIENT_AUTH_KEEP, CLIENT_AUTH_REJECT };
enum config_query_token { QUERY_TOKEN_REJECT, QUERY_TOKEN_PASS };
enum config_caching { CACHING_PRIVATE, CACHING_PASS };
enum config_cors { CORS_ANSWER, CORS_PASS };
enum config_forwarded { FORWARDED_OFF, FORWARDED_APPEND, FORWARDED_REPLACE };
enum config_request_id { REQUEST_ID_PASS, REQUEST_ID_MAKE };

struct config_scope { // a line of [scopes CREDENTIAL]: Alias = wire-value ; description
    struct config_place place;
    char *alias, *value, *description; // description NULL: none
};

struct config_login { // source = login
    struct config_url url;
    char *body;     // JSON or form; %{env:NAME}, %{file:PATH}, %{credential:NAME} stand for
                    // secrets, see template.h
    bool is_form;   // login_body_type = form
    char *token;    // JSON pointer (RFC 6901) to the token in the answer
    char *lifetime; // JSON pointer to its lifetime in seconds; NULL: login_ttl
    uint64_t ttl_ms;
    char *credential; // that authorises the request itself; NULL: none
};

struct config_credential {
    char *name;
    struct config_place place;
    int source;         // enum config_source
    int auth_method;    // enum config_auth_method
    int basic_encoding; // enum config_basic_encoding
    bool has_endpoint;  // token_url or issuer is there: always so for SOURCE_OAUTH
    bool required;      // not ready without its tokens, which are fetched at once and kept at hand
    bool dpop;          // header is then Authorization, prefix DPoP
    // RFC 8705 3: every upstream of its routes shows tls.cert_file, too.
    bool certificate_bound;
    bool allow_plaintext;
    // Who asks, and whom.
    struct config_url token_url; // text NULL when it comes from the issuer's metadata
    char *issuer;                // NULL: none; exactly one of the two where has_endpoint
    char *client_id; // NULL: none (AUTH_ASSERTION_FILE may do without, and what has no endpoint)
    struct secret *client_secret;      // NULL for methods without one
    struct secret *client_secret_next; // tried when the other is refused; NULL: none
    struct secret *signing_key;        // PEM, for private_key_jwt
    char *signing_alg, *key_id;        // alg set for the _jwt methods; key_id NULL: thumbprint
    char *signing_certificate;         // PEM file: adds x5t#S256; NULL: none
    char *assertion_file;              // set for AUTH_ASSERTION_FILE
    char *assertion_audience;          // NULL: the issuer if it is known, else the token endpoint
    char *assertion_type;              // "JWT" or "client-authentication+jwt"
    // What for.
    struct config_strings scopes; // default scopes, added to each route's
    struct config_scope *catalogue;
    size_t catalogue_count; // 0: any scope
    int granted_scopes;     // enum config_granted: when they are not those asked for
    char *audience;         // NULL: none
    struct config_strings resource;
    char *authorization_details;          // RFC 9396, canonical JSON; NULL: none
    struct config_headers param;          // name and value, added to the token request's form
    struct config_headers request_header; // added to the token request's head
    struct secret *dpop_key;              // PEM, ES256; NULL: one is made at start
    // The other sources.
    struct secret *token;    // source = static
    int64_t token_expires_s; // UTC; 0: never
    char *command;           // source = exec: a command line, its first word an absolute path
    uint64_t command_timeout_ms;
    struct config_login login;
    // How long it lasts, who is told, and where it is sent.
    uint64_t clock_skew_ms, refresh_before_ms, default_ttl_ms;
    uint64_t idle_ttl_ms;  // a token unused for so long is dead; 0: none
    char *on_token_update; // command; NULL: none
    uint64_t hook_timeout_ms;
    char *header, *prefix; // "Authorization", "Bearer"; prefix may be empty
    // How the token or login request goes out.
    struct config_tls tls;
    char *proxy; // NULL: none
    uint64_t connect_timeout_ms, timeout_ms;
};

struct config_upstream {
    char *name;
    size_t index; // in config->upstreams
    struct config_place place;
    struct config_url url; // url.path is the base path, without a trailing slash unless it is "/"
    struct config_strings hosts; // authorities that select it, lower case; default: url.authority
    char *mount;                 // origin-form prefix; "/" or "/x/y" without a trailing slash
    int unmatched;               // enum config_unmatched
    struct config_tls tls;
    char *tls_name;    // in the certificate and in SNI; NULL: the url's host
    char *host_header; // NULL: the url's authority
    char *socket;      // absolute path of a unix socket to connect to; NULL: none
    char *proxy;
    uint64_t connect_timeout_ms, first_byte_timeout_ms, idle_timeout_ms, tunnel_idle_timeout_ms;
    struct config_strings upgrade; // protocols that connections may switch to
    uint64_t max_connections;      // per worker
    uint64_t max_queue;            // requests that wait for one of them, per worker
    uint64_t queue_timeout_ms;
    uint64_t keepalive; // idle connections kept, per worker
    uint64_t keepalive_timeout_ms;
    bool allow_plaintext;
    struct config_headers set_header;
    struct config_strings remove_header;
    int forwarded, x_forwarded; // enum config_forwarded
    // Of the response, towards the client.
    struct config_headers response_set_header;
    struct config_strings response_remove_header;
    bool scrub; // drop fields that hold a token that was sent
};

struct config_match { // one `match =` line
    struct config_place place;
    char *text; // as written: [METHOD …] PATTERN
};

// One access token to hold: a credential, a normalised scope set, audience, resources (RFC 8707).
// Routes with equal identity share one. Its index is the same in every worker's view.
struct config_slot {
    size_t index;
    const struct config_credential *credential;
    char *scope; // wire values; sorted, de-duplicated, one space between; "" = leave it out
    char *audience;
    struct config_strings resource; // sorted
    char *authorization_details;    // canonical JSON; NULL: none
    const struct config_slot
        *authoriser; // source = login: whose token the login request bears; NULL
};

struct config_route {
    char *name;
    size_t index; // in config->routes
    struct config_place place;
    const struct config_upstream *upstream;
    struct config_match *matches;
    size_t match_count;
    const struct config_slot **slots; // one for each of its credentials
    size_t slot_count;
    int client_authorization; // enum config_client_auth
    int query_token;          // enum config_query_token
    int caching;              // enum config_caching
    int replay_on_401;        // enum config_replay
    uint64_t replay_limit;    // bytes of body held for it
    uint64_t timeout_ms;      // whole request; 0: the proxy's request_timeout
    struct config_headers set_header;
    struct config_strings remove_header;
    struct config_headers response_set_header;
    struct config_strings response_remove_header;
    // As written; `upstream` and `slots` above are what came of them.
    char *upstream_name;                    // NULL: the only one
    struct config_strings credential_names; // empty: the only one; "none": no token, slot_count 0
    struct config_strings scopes, resource;
    char *audience, *authorization_details;
};

struct config_admin {
    struct config_strings listen; // as [proxy]'s; empty: none
    struct config_strings accept_hosts;
    struct secret *key; // NULL: none
    bool expose;
    uint64_t socket_mode;
};

struct config_store {
    char *url;                         // NULL: none. sqlite:PATH, redis://…, rediss://…
    struct secret *key, *key_previous; // what records are sealed with; previous: only opened
    char *prefix;                      // of keys in redis
    struct config_tls tls;
    uint64_t timeout_ms;
};

// Every fault found in one run, in file order.
struct config_fault {
    char *file;
    unsigned line; // 0: the file as a whole
    char *message;
};

struct config_faults {
    struct config_fault *items;
    size_t count;
};

struct config {
    unsigned refs; // atomic; through config_ref/config_unref only
    char *path;
    struct config_strings files;    // all that were read; owns the names in config_place
    struct config_strings includes; // patterns of files to read, resolved, whatever was found there
    struct config_faults warnings;  // what does not keep it from running, but should be looked at
    // [proxy]
    // Numeric and normalised: "127.0.0.1:8080", "[::1]:8080", "unix:/path"; or "fd:name"
    struct config_strings listen;
    bool expose;
    uint64_t workers; // resolved: 1 or more
    uint64_t header_limit, body_limit, max_connections;
    uint64_t max_connections_per_client, max_requests; // 0: any
    struct config_strings accept_hosts, allow_origins; // lower case
    int cors;                                          // enum config_cors
    struct config_strings allow_uids;                  // decimal
    struct secret *client_key;                         // NULL: none
    uint64_t token_timeout_ms, header_timeout_ms, body_timeout_ms, keepalive_timeout_ms;
    uint64_t request_timeout_ms, drain_timeout_ms, drain_delay_ms;
    int connect;                         // enum config_connect
    struct config_strings connect_hosts; // host:port, lower case
    uint64_t connect_timeout_ms, tunnel_idle_timeout_ms;
    uint64_t body_min_rate; // bytes a second; 0: any
    uint64_t listen_mode;   // unix sockets: file mode
    int request_id;         // enum config_request_id
    bool trace;             // start one where there is none
    char *pid_file;         // NULL: none
    char *user, *group;     // to become when started as root; NULL: stay, and the user's own
    int sandbox;            // enum config_sandbox
    struct config_admin admin;
    struct config_store store;
    // [log]
    int log_level;  // enum log_level
    int log_format; // enum log_format
    int log_access; // enum config_access
    uint64_t log_access_sample;
    struct config_credential **credentials;
    size_t credential_count;
    struct config_upstream **upstreams;
    size_t upstream_count;
    struct config_route **routes;
    size_t route_count;
    struct config_slot **slots;
    size_t slot_count;
};

// May its tokens be kept in a store? What a command answers may depend on the machine, an assertion
// in a file on the pod; and of a token that dies unused nobody can tell from the store whether it
// still lives.
bool config_credential_is_storeable(const struct config_credential *credential);

// Adds `file:line: message`; ceiling 1000.
void config_faults_add(struct config_faults *faults, struct config_place place, const char *fmt,
                       ...) __attribute__((format(printf, 3, 4)));
void config_faults_sort(struct config_faults *faults);
void config_faults_fini(struct config_faults *faults);

// Reads and checks the file and those it includes. NULL when there was any fault; *faults
// (initialised to zeros by the caller) then holds all of them. Secrets from env: and literals are
// resolved here; file: secrets are read when they are needed, and a missing one is a warning, not a
// fault.
struct config *config_load(const char *path, struct config_faults *faults) WARN_UNUSED;
// As config_load, but never NULL: with faults, what is sound comes back, so that `check` can go on
// to look at patterns and the like. Not for running.
struct config *config_inspect(const char *path, struct config_faults *faults) WARN_UNUSED;
struct config *config_ref(struct config *config);
// Before anybody else sees it: what cannot be changed without a restart (SETTING_RESTART) stays as
// it is in the configuration that runs. A change that is thereby undone becomes one of its
// warnings.
void config_keep(struct config *config, const struct config *running);
void config_unref(struct config *config); // NULL is fine

#endif
