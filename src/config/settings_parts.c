// SPDX-License-Identifier: MIT
// The rows of [credential NAME], [upstream NAME] and [route NAME]. See settings.h for the columns.
#include "config/config.h"
#include "config/settings_rows.h"

static const char *const auth_methods[] = {"client_secret_basic", "client_secret_post", "none",
                                           NULL};                      // enum config_auth_method
static const char *const encodings[] = {"form", "raw", NULL};          // enum config_basic_encoding
static const char *const unmatched_words[] = {"reject", "pass", NULL}; // enum config_unmatched
static const char *const policies[] = {"replace", "keep", "reject",
                                       NULL}; // enum config_client_auth

#define CA_HELP                                                                                    \
    "PEM file of the certification authorities to trust instead of the system's. A file that "     \
    "cannot be read is a fault, never a reason to go on without it."
#define PROXY_HELP                                                                                 \
    "Proxy to connect through: http://, https://, socks4://, socks4a://, socks5:// or "            \
    "socks5h://, "                                                                                 \
    "host and port, with user:password@ where needed. Variables such as https_proxy in the "       \
    "environment have no effect."

const struct setting settings_credential[] = {
    {URL("token_url", config_credential, token_url), .section = SECTION_CREDENTIAL,
     .flags = SETTING_REQUIRED,
     .help = "The authorization server's token endpoint. A query in it is kept.",
     .example = "https://idp.example.com/oauth2/token"},
    {TEXT("client_id", config_credential, client_id), .section = SECTION_CREDENTIAL,
     .flags = SETTING_REQUIRED, .item = item_client_id,
     .help = "The client identifier that the authorization server issued.",
     .example = "legacy-app"},
    {SECRET("client_secret", config_credential, client_secret), .section = SECTION_CREDENTIAL,
     .help = "The client's password, by reference or as it is. Needed unless auth_method is none.",
     .example = "env:CLIENT_SECRET"},
    {CHOICE("auth_method", config_credential, auth_method), .section = SECTION_CREDENTIAL,
     .fallback = "client_secret_basic", .choices = auth_methods,
     .help = "How the client shows who it is: in an Authorization field, in the form, or not at "
             "all (a public client).",
     .example = "client_secret_post"},
    {CHOICE("basic_encoding", config_credential, basic_encoding), .section = SECTION_CREDENTIAL,
     .fallback = "form", .choices = encodings,
     .help = "How client_secret_basic encodes identifier and secret: form is what RFC 6749 says; "
             "raw is for servers that do not decode it.",
     .example = "raw"},
    {WORDS("scopes", config_credential, scopes), .section = SECTION_CREDENTIAL, .item = item_scope,
     .help = "Scopes to ask for with every token of this credential, besides those of the route.",
     .example = "openid"},
    {TEXT("audience", config_credential, audience), .section = SECTION_CREDENTIAL,
     .item = item_text,
     .help = "Value of the audience parameter, which some authorization servers want.",
     .example = "https://api.example.com"},
    {WORDS("resource", config_credential, resource), .section = SECTION_CREDENTIAL,
     .flags = SETTING_REPEATS, .item = item_resource,
     .help = "Resource the token is for (RFC 8707): an absolute URI. Repeat it for more.",
     .example = "https://api.example.com/"},
    {DURATION("clock_skew", config_credential, clock_skew_ms), .section = SECTION_CREDENTIAL,
     .fallback = "10s", .min = 0, .max = 10 * MS_MINUTE,
     .help = "How long before its expiry a token is no longer used.", .example = "30s"},
    {DURATION("refresh_before", config_credential, refresh_before_ms),
     .section = SECTION_CREDENTIAL, .fallback = "60s", .min = 0, .max = MS_DAY,
     .help = "How long before the end of its use a token is renewed in the background; never more "
             "than a quarter of its lifetime.",
     .example = "5m"},
    {DURATION("default_ttl", config_credential, default_ttl_ms), .section = SECTION_CREDENTIAL,
     .fallback = "60s", .min = MS_SECOND, .max = MS_DAY,
     .help = "Lifetime of a token whose answer tells none (no expires_in).", .example = "5m"},
    {TEXT("header", config_credential, header), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY, .fallback = "Authorization", .item = item_header_name,
     .help = "Field that the token is sent in.", .example = "X-Access-Token"},
    {TEXT("prefix", config_credential, prefix), .section = SECTION_CREDENTIAL, .fallback = "Bearer",
     .item = item_prefix,
     .help = "What stands before the token in that field; an empty value sends the token alone.",
     .example = ""},
    {PATH("ca_file", config_credential, tls.ca_file), .section = SECTION_CREDENTIAL,
     .help = CA_HELP, .more = "the system's authorities", .example = "/etc/bearerd/idp-ca.pem"},
    {PATH("cert_file", config_credential, tls.cert_file), .section = SECTION_CREDENTIAL,
     .help = "PEM file of the client certificate to show to the token endpoint; needs key_file.",
     .example = "/etc/bearerd/client.pem"},
    {PATH("key_file", config_credential, tls.key_file), .section = SECTION_CREDENTIAL,
     .help = "PEM file of the certificate's private key.", .example = "/etc/bearerd/client.key"},
    {TEXT("proxy", config_credential, proxy), .section = SECTION_CREDENTIAL, .item = item_proxy,
     .help = PROXY_HELP, .more = "a direct connection", .example = "http://proxy.example.com:3128"},
    {DURATION("connect_timeout", config_credential, connect_timeout_ms),
     .section = SECTION_CREDENTIAL, .fallback = "5s", .min = 10, .max = 10 * MS_MINUTE,
     .help = "How long connecting to the token endpoint may take, TLS included.", .example = "2s"},
    {DURATION("timeout", config_credential, timeout_ms), .section = SECTION_CREDENTIAL,
     .fallback = "10s", .min = 10, .max = 10 * MS_MINUTE,
     .help = "How long a whole token request may take.", .example = "30s"},
    {BOOL("allow_plaintext", config_credential, allow_plaintext), .section = SECTION_CREDENTIAL,
     .fallback = "no",
     .help = "Whether token_url may be http:// on another machine: secret and token can then be "
             "read on the way.",
     .example = "yes"},
};
const size_t settings_credential_count = ARRAY_LEN(settings_credential);

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
    {PATH("ca_file", config_upstream, tls.ca_file), .section = SECTION_UPSTREAM, .help = CA_HELP,
     .more = "the system's authorities", .example = "/etc/bearerd/api-ca.pem"},
    {PATH("cert_file", config_upstream, tls.cert_file), .section = SECTION_UPSTREAM,
     .help = "PEM file of the client certificate to show to the upstream; needs key_file.",
     .example = "/etc/bearerd/client.pem"},
    {PATH("key_file", config_upstream, tls.key_file), .section = SECTION_UPSTREAM,
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
     .help =
         "Name of the credential to send a token of; several names send several tokens, each in "
         "its own field; none forwards without a token.",
     .more = "the only one there is", .item = item_text, .example = "main"},
    {WORDS("scopes", config_route, scopes), .section = SECTION_ROUTE, .item = item_scope,
     .help = "Scopes that a token for these requests needs, separated by spaces. Those of the "
             "credential are added. Routes with equal sets share a token.",
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
