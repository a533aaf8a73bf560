// SPDX-License-Identifier: MIT
// The rows of [upstream NAME] and [route NAME]. See settings.h for the columns.
#include "config/config.h"
#include "config/settings_rows.h"

static const char *const unmatched_words[] = {"reject", "pass", NULL};         // config_unmatched
static const char *const policies[] = {"replace", "keep", "reject", NULL};     // config_client_auth
static const char *const replay_words[] = {"no", "yes", "safe-methods", NULL}; // config_replay

const struct setting settings_upstream[] = {
    {URL("url", config_upstream, url), .section = SECTION_UPSTREAM, .flags = SETTING_REQUIRED,
     .help = "Where requests go: scheme, host, port and base path.",
     .example = "https://api.example.com/v2"},
    {WORDS("hosts", config_upstream, hosts), .section = SECTION_UPSTREAM, .item = item_host,
     .help =
         "Hosts that select this upstream, in absolute-form targets (clients that use http_proxy) "
         "and in the Host field.",
     .more = "the host of url", .example = "api.example.com api.example.com:8443"},
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
    {NUMBER("keepalive", config_upstream, keepalive), .section = SECTION_UPSTREAM, .fallback = "64",
     .min = 0, .max = 100000,
     .help = "Unused connections kept open for the next requests, for each worker.",
     .example = "8"},
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
};
const size_t settings_route_count = ARRAY_LEN(settings_route);
