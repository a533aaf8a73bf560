// SPDX-License-Identifier: MIT
// The rows of [upstream NAME] and [route NAME]. See settings.h for the columns.
#include "config/config.h"
#include "config/settings_rows.h"

static const char *const unmatched_words[] = {"reject", "pass", NULL};         // config_unmatched
static const char *const policies[] = {"replace", "keep", "reject", NULL};     // config_client_auth
static const char *const replay_words[] = {"no", "yes", "safe-methods", NULL}; // config_replay
static const char *const query_token_words[] = {"reject", "pass", NULL};       // config_query_token
static const char *const caching_words[] = {"private", "pass", NULL};          // config_caching
static const char *const forwarded_words[] = {"off", "append", "replace", NULL}; // config_forwarded

#define RESPONSE_SET_HELP                                                                          \
    "Field to send to the client with every response of the upstream, instead of the upstream's "  \
    "of that name. Repeat it for more."
#define RESPONSE_REMOVE_HELP "The upstream's fields to keep from the client."

const char *const setting_tls_versions[] = {"1.2", "1.3", NULL};

const struct setting settings_upstream[] = {
    {URL("url", config_upstream, url), .section = SECTION_UPSTREAM, .flags = SETTING_REQUIRED,
     .help = "Where requests go: scheme, host, port and base path.",
     .example = "https://api.example.com/v2"},
    {WORDS("hosts", config_upstream, hosts), .section = SECTION_UPSTREAM, .item = item_host,
     .help =
         "Hosts that select this upstream, in absolute-form targets (clients that use http_proxy) "
         "and in the Host field.",
     .more = "the host of url, and host_header", .example = "api.example.com api.example.com:8443"},
    {TEXT("mount", config_upstream, mount), .section = SECTION_UPSTREAM, .flags = SETTING_NO_EMPTY,
     .item = item_mount,
     .help = "Path prefix that selects this upstream when the host does not; it is swapped for "
             "url's base path. The longest wins. Several upstreams that leave it out are reached "
             "by their hosts alone.",
     .more = "/ for the only upstream that leaves it out", .example = "/orders"},
    {CHOICE("unmatched", config_upstream, unmatched), .section = SECTION_UPSTREAM,
     .fallback = "reject", .choices = unmatched_words,
     .help = "What happens to requests that no route matches: reject answers 403, pass forwards "
             "them without a token.",
     .example = "pass"},
    {PEM_FILE("ca_file", config_upstream, tls.ca_file), .section = SECTION_UPSTREAM,
     .help = CA_HELP, .more = "the system's authorities", .example = "/etc/bearerd/api-ca.pem"},
    {PEM_FILE("cert_file", config_upstream, tls.cert_file), .section = SECTION_UPSTREAM,
     .help = "PEM file of the client certificate to show to the upstream; needs key_file.",
     .example = "/etc/bearerd/client.pem"},
    {PEM_FILE("key_file", config_upstream, tls.key_file), .section = SECTION_UPSTREAM,
     .help = "PEM file of the certificate's private key.", .example = "/etc/bearerd/client.key"},
    {CHOICE("tls_min", config_upstream, tls.min), .section = SECTION_UPSTREAM, .fallback = "1.2",
     .choices = setting_tls_versions, .help = TLS_MIN_HELP, .example = "1.3"},
    {TEXT("tls_ciphers", config_upstream, tls.ciphers), .section = SECTION_UPSTREAM,
     .item = item_ciphers, .help = TLS_CIPHERS_HELP, .more = "OpenSSL's own choice",
     .example = TLS_CIPHERS_EXAMPLE},
    {TEXT("tls_ciphersuites", config_upstream, tls.ciphersuites), .section = SECTION_UPSTREAM,
     .item = item_ciphers, .help = TLS_SUITES_HELP, .more = "OpenSSL's own choice",
     .example = TLS_SUITES_EXAMPLE},
    {TEXT("tls_pin", config_upstream, tls.pin), .section = SECTION_UPSTREAM,
     .flags = SETTING_NO_EMPTY, .item = item_pins, .help = TLS_PIN_HELP,
     .more = "any that is trusted", .example = TLS_PIN_EXAMPLE},
    {TEXT("tls_name", config_upstream, tls_name), .section = SECTION_UPSTREAM,
     .flags = SETTING_NO_EMPTY, .item = item_tls_name,
     .help = "Name that the upstream's certificate must have, and that is asked for in the "
             "handshake (SNI), where it is another one than the host of url.",
     .more = "the host of url", .example = "api.example.com"},
    {TEXT("host_header", config_upstream, host_header), .section = SECTION_UPSTREAM,
     .flags = SETTING_NO_EMPTY, .item = item_host_field,
     .help =
         "The Host field of requests to the upstream; clients that name it select the upstream, "
         "too.",
     .more = "host and port of url", .example = "api.example.com"},
    {TEXT("socket", config_upstream, socket), .section = SECTION_UPSTREAM, .item = item_socket,
     .help = "Path of a unix socket to connect to, in the place of the host and port of url. With "
             "it url may be http://.",
     .more = "a connection to the host of url", .example = "/run/api/api.sock"},
    {TEXT("proxy", config_upstream, proxy), .section = SECTION_UPSTREAM, .item = item_proxy,
     .help = PROXY_HELP, .more = "a direct connection", .example = "socks5h://127.0.0.1:1080"},
    {DURATION("connect_timeout", config_upstream, connect_timeout_ms), .section = SECTION_UPSTREAM,
     .fallback = "5s", .min = 10, .max = 10 * MS_MINUTE,
     .help = "How long connecting may take, TLS included; then 504.", .example = "2s"},
    {DURATION("first_byte_timeout", config_upstream, first_byte_timeout_ms),
     .section = SECTION_UPSTREAM, .fallback = "60s", .min = 10, .max = MS_DAY,
     .help = "How long the upstream may take to begin its answer once it has the request; then "
             "504.",
     .example = "5m"},
    {DURATION("idle_timeout", config_upstream, idle_timeout_ms), .section = SECTION_UPSTREAM,
     .fallback = "60s", .min = 10, .max = MS_DAY,
     .help = "How long the upstream may pause within an answer or in taking a body.",
     .example = "10m"},
    {WORDS("upgrade", config_upstream, upgrade), .section = SECTION_UPSTREAM, .item = item_protocol,
     .fallback = "websocket",
     .help = "Protocols that a connection may switch to when client and upstream agree (Upgrade). "
             "The token goes with the request that asks. none: requests go on without the "
             "question.",
     .example = "websocket"},
    {DURATION("tunnel_idle_timeout", config_upstream, tunnel_idle_timeout_ms),
     .section = SECTION_UPSTREAM, .fallback = "10m", .min = 100, .max = 7 * MS_DAY,
     .help = "How long a connection that has switched protocols may be silent both ways; then it "
             "is closed.",
     .example = "1h"},
    {NUMBER("max_connections", config_upstream, max_connections), .section = SECTION_UPSTREAM,
     .fallback = "512", .min = 1, .max = 100000,
     .help = "Connections to the upstream at a time, for each worker.", .example = "32"},
    {NUMBER("max_queue", config_upstream, max_queue), .section = SECTION_UPSTREAM,
     .fallback = "1024", .min = 0, .max = 1000000,
     .help = "Requests that wait for one of max_connections to come free, for each worker; those "
             "beyond are answered with 503.",
     .example = "100"},
    {DURATION("queue_timeout", config_upstream, queue_timeout_ms), .section = SECTION_UPSTREAM,
     .fallback = "5s", .min = 10, .max = MS_HOUR,
     .help = "How long a request waits for one of max_connections to come free; then 503.",
     .example = "1s"},
    {NUMBER("keepalive", config_upstream, keepalive), .section = SECTION_UPSTREAM, .fallback = "64",
     .min = 0, .max = 100000,
     .help = "Unused connections kept open for the next requests, for each worker.",
     .example = "8"},
    {DURATION("keepalive_timeout", config_upstream, keepalive_timeout_ms),
     .section = SECTION_UPSTREAM, .fallback = "55s", .min = 10, .max = MS_DAY,
     .help = "How long an unused connection is kept open. It should be less than the upstream's "
             "own limit (often 60s), so that no request meets a connection that is just being "
             "closed.",
     .example = "4s"},
    {BOOL("allow_plaintext", config_upstream, allow_plaintext), .section = SECTION_UPSTREAM,
     .fallback = "no",
     .help = "Whether url may be http:// on another machine: tokens can then be read on the way.",
     .example = "yes"},
    {HEADERS("set_header", config_upstream, set_header), .section = SECTION_UPSTREAM,
     .flags = SETTING_REPEATS,
     .help = "Field to send upstream, instead of the client's of that name. Repeat it for more.",
     .example = "X-Tenant: acme"},
    {WORDS("remove_header", config_upstream, remove_header), .section = SECTION_UPSTREAM,
     .item = item_header_name, .help = "The client's fields to keep from the upstream.",
     .example = "Cookie X-Debug"},
    {CHOICE("forwarded", config_upstream, forwarded), .section = SECTION_UPSTREAM,
     .fallback = "off", .choices = forwarded_words,
     .help = "The Forwarded field (RFC 7239), which tells the upstream of the client's address, "
             "host and scheme. off: none is sent, the client's is dropped; append: bearerd's part "
             "follows the client's; replace: bearerd's part only.",
     .example = "replace"},
    {CHOICE("x_forwarded", config_upstream, x_forwarded), .section = SECTION_UPSTREAM,
     .fallback = "off", .choices = forwarded_words,
     .help = "The same for X-Forwarded-For, -Host and -Proto. With append, what the client says of "
             "host and scheme stands, and so do its other X-Forwarded fields.",
     .example = "append"},
    {HEADERS("response_set_header", config_upstream, response_set_header),
     .section = SECTION_UPSTREAM, .flags = SETTING_REPEATS, .help = RESPONSE_SET_HELP,
     .example = "X-Frame-Options: DENY"},
    {WORDS("response_remove_header", config_upstream, response_remove_header),
     .section = SECTION_UPSTREAM, .item = item_header_name, .help = RESPONSE_REMOVE_HELP,
     .example = "Server X-Powered-By"},
    {BOOL("scrub", config_upstream, scrub), .section = SECTION_UPSTREAM, .fallback = "yes",
     .help = "Whether to drop fields of a response that hold a token which was sent with the "
             "request. Bodies are not searched.",
     .example = "no"},
};
const size_t settings_upstream_count = ARRAY_LEN(settings_upstream);

const struct setting settings_route[] = {
    {MATCHES("match", config_route, matches), .section = SECTION_ROUTE, .item = item_match,
     .flags = SETTING_REPEATS | SETTING_REQUIRED,
     .help = "Requests this route is for: methods (none: all), then a path pattern relative to the "
             "upstream's base. A segment is literal, * or {name} for any one, a last ** for any "
             "rest. The most specific pattern of all routes wins. Repeat it for more.",
     .example = "GET HEAD /items/**"},
    {TEXT("upstream", config_route, upstream_name), .section = SECTION_ROUTE, .item = item_text,
     .help = "Name of the upstream whose requests are meant.", .more = "the only one there is",
     .example = "api"},
    {WORDS("credential", config_route, credential_names), .section = SECTION_ROUTE,
     .help = "Name of the credential to send a token of; several names (8 at most) send several "
             "tokens, each in its own field; none forwards without a token.",
     .more = "the only one there is", .item = item_text, .example = "main"},
    {WORDS("scopes", config_route, scopes), .section = SECTION_ROUTE, .item = item_scope,
     .help = "Scopes that a token for these requests needs, separated by spaces. Those of the "
             "credential are added. Routes with equal sets share a token. Where the credential "
             "has a catalogue ([scopes NAME]), aliases or values of it.",
     .example = "items:read items:write"},
    {TEXT("audience", config_route, audience), .section = SECTION_ROUTE, .item = item_text,
     .help = "Value of the audience parameter.", .more = "the credential's",
     .example = "https://api.example.com"},
    {WORDS("resource", config_route, resource), .section = SECTION_ROUTE, .flags = SETTING_REPEATS,
     .item = item_resource,
     .help = "Resource the token is for (RFC 8707): an absolute URI. Repeat it for more.",
     .more = "the credential's", .example = "https://api.example.com/items"},
    {CHOICE("client_authorization", config_route, client_authorization), .section = SECTION_ROUTE,
     .fallback = "replace", .choices = policies,
     .help =
         "What happens to an Authorization field that the client sends: replace puts the token in "
         "its place, keep forwards the client's, reject answers 400.",
     .example = "reject"},
    {CHOICE("query_token", config_route, query_token), .section = SECTION_ROUTE,
     .fallback = "reject", .choices = query_token_words,
     .help = "What happens to requests with an access_token in the query where bearerd adds one: "
             "two tokens on a request are an error (RFC 6750, 2), so reject answers 400; pass "
             "forwards both.",
     .example = "pass"},
    {CHOICE("cache_control", config_route, caching), .section = SECTION_ROUTE,
     .fallback = "private", .choices = caching_words,
     .help = "Answers to requests that bearerd gave a token. private: adds Cache-Control: private, "
             "unless the upstream said public, s-maxage or must-revalidate; a shared cache on "
             "the client's side cannot know that a token was needed. pass: adds nothing.",
     .example = "pass"},
    {TEXT("authorization_details", config_route, authorization_details), .section = SECTION_ROUTE,
     .item = item_authorization_details,
     .help = "Rich authorization request (RFC 9396): a JSON array of objects, each with a type.",
     .more = "the credential's", .example = "[{\"type\":\"payment_initiation\"}]"},
    {CHOICE("replay_on_401", config_route, replay_on_401), .section = SECTION_ROUTE,
     .fallback = "yes", .choices = replay_words,
     .help = "Whether a request that the upstream answers with 401 is sent once more, with a new "
             "token. yes: any method, for a 401 says that the request was not carried out; "
             "safe-methods: GET, HEAD and OPTIONS only; no: the 401 is passed on. "
             "insufficient_scope is never a reason to.",
     .example = "safe-methods"},
    {SIZE("replay_limit", config_route, replay_limit), .section = SECTION_ROUTE, .fallback = "64k",
     .min = 0, .max = KIB * KIB,
     .help = "Largest request body that is held in memory to be sent once more; with a larger one "
             "the 401 is passed on.",
     .example = "256k"},
    {DURATION("timeout", config_route, timeout_ms), .section = SECTION_ROUTE, .fallback = "default",
     .min = 100, .max = 7 * MS_DAY, .zero = "default",
     .help = "How long such a request may take from its head to the answer's last byte.",
     .more = "request_timeout of [proxy]", .example = "10m"},
    {HEADERS("set_header", config_route, set_header), .section = SECTION_ROUTE,
     .flags = SETTING_REPEATS,
     .help = "Field to send upstream, instead of the client's of that name. Repeat it for more.",
     .example = "X-Tenant: acme"},
    {WORDS("remove_header", config_route, remove_header), .section = SECTION_ROUTE,
     .item = item_header_name, .help = "The client's fields to keep from the upstream.",
     .example = "Cookie X-Debug"},
    {HEADERS("response_set_header", config_route, response_set_header), .section = SECTION_ROUTE,
     .flags = SETTING_REPEATS, .help = RESPONSE_SET_HELP, .example = "X-Frame-Options: DENY"},
    {WORDS("response_remove_header", config_route, response_remove_header),
     .section = SECTION_ROUTE, .item = item_header_name, .help = RESPONSE_REMOVE_HELP,
     .example = "Server X-Powered-By"},
};
const size_t settings_route_count = ARRAY_LEN(settings_route);
