// SPDX-License-Identifier: MIT
// The rows of [proxy], [log] and [store]. See settings.h for what the columns mean.
#include "config/config.h"
#include "config/settings_rows.h"

const struct setting settings_proxy[] = {
    {WORDS("listen", config, listen), .section = SECTION_PROXY,
     .flags = SETTING_REPEATS | SETTING_NO_EMPTY, .fallback = "127.0.0.1:8080", .item = item_listen,
     .help =
         "Address to take requests on: IPv4:PORT, [IPv6]:PORT, or unix:PATH for a socket in the "
         "file system. Repeat it for more.",
     .example = "unix:/run/bearerd/proxy.sock"},
    {BOOL("expose", config, expose), .section = SECTION_PROXY, .fallback = "no",
     .help = "Whether listen may name an address other machines can reach. Everybody who reaches "
             "bearerd acts with its tokens, so think of client_key, too.",
     .example = "yes"},
    {NUMBER("workers", config, workers), .section = SECTION_PROXY, .fallback = "auto", .min = 1,
     .max = 64, .zero = "auto", .help = "Number of threads that move requests.",
     .more = "as many as processors are online, 4 at most", .example = "2"},
    {SIZE("header_limit", config, header_limit), .section = SECTION_PROXY, .fallback = "16k",
     .min = 4 * KIB, .max = 64 * KIB,
     .help = "Memory for one message's head, request and answer together. What does not fit is "
             "answered with 431, 414 or 502. Idle connections keep this memory.",
     .example = "32k"},
    {SIZE("body_limit", config, body_limit), .section = SECTION_PROXY, .fallback = "none", .min = 1,
     .max = KIB * KIB * KIB * KIB, .zero = "none",
     .help = "Largest request body; a larger one is answered with 413. Bodies are streamed, never "
             "held, so the default needs no memory.",
     .example = "100m"},
    {NUMBER("max_connections", config, max_connections), .section = SECTION_PROXY,
     .fallback = "4096", .min = 1, .max = 1000000,
     .help = "Client connections open at a time, all workers together.", .example = "500"},
    {WORDS("accept_hosts", config, accept_hosts), .section = SECTION_PROXY, .item = item_host,
     .help = "Values of the Host field to answer besides the listen addresses, localhost and the "
             "upstreams' hosts. Others are refused: a web page could otherwise reach bearerd by a "
             "name of its own (DNS rebinding).",
     .example = "bearerd bearerd:8080"},
    {WORDS("allow_origins", config, allow_origins), .section = SECTION_PROXY, .item = item_origin,
     .help = "Origins of web pages whose requests are taken. All others' are refused, as told by "
             "the Origin and Sec-Fetch-Site fields.",
     .example = "https://app.example.com"},
    {WORDS("allow_uids", config, allow_uids), .section = SECTION_PROXY, .flags = SETTING_NO_EMPTY,
     .item = item_user, .help = "Users, by name or number, who may call over a unix: socket.",
     .more = "all that the socket's mode lets in", .example = "1000 1001"},
    {SECRET("client_key", config, client_key), .section = SECTION_PROXY,
     .help = "Secret that callers must present, in Proxy-Authorization or X-Bearerd-Key.",
     .more = "no key is asked for", .example = "file:/etc/bearerd/client_key"},
    {DURATION("token_timeout", config, token_timeout_ms), .section = SECTION_PROXY,
     .fallback = "10s", .min = 100, .max = 10 * MS_MINUTE,
     .help = "How long a request waits for an access token that is not there yet; then 504.",
     .example = "5s"},
    {DURATION("header_timeout", config, header_timeout_ms), .section = SECTION_PROXY,
     .fallback = "10s", .min = 100, .max = MS_HOUR,
     .help = "How long a client may take to send a whole request head.", .example = "5s"},
    {DURATION("body_timeout", config, body_timeout_ms), .section = SECTION_PROXY, .fallback = "30s",
     .min = 100, .max = MS_HOUR,
     .help = "How long a client may pause while it sends a body or takes an answer.",
     .example = "1m"},
    {DURATION("keepalive_timeout", config, keepalive_timeout_ms), .section = SECTION_PROXY,
     .fallback = "75s", .min = 100, .max = MS_DAY,
     .help = "How long an idle client connection is kept open.", .example = "15s"},
    {DURATION("request_timeout", config, request_timeout_ms), .section = SECTION_PROXY,
     .fallback = "none", .min = 100, .max = 7 * MS_DAY, .zero = "none",
     .help = "How long a request may take from its head to the answer's last byte. A route's "
             "timeout stands above it.",
     .example = "2m"},
    {DURATION("drain_timeout", config, drain_timeout_ms), .section = SECTION_PROXY,
     .fallback = "10s", .min = 0, .max = MS_HOUR,
     .help = "How long requests under way may go on after SIGTERM.", .example = "30s"},
    {MODE("socket_mode", config, listen_mode), .section = SECTION_PROXY, .fallback = "0660",
     .min = 0, .max = 0777, .help = "Permission bits of unix: sockets, in octal.",
     .example = "0600"},
};
const size_t settings_proxy_count = ARRAY_LEN(settings_proxy);

static const char *const levels[] = {"debug", "info", "warn", "error", NULL}; // enum log_level
static const char *const formats[] = {"logfmt", "json", NULL};                // enum log_format
static const char *const accesses[] = {"no", "yes", "errors", NULL};          // config_access

const struct setting settings_log[] = {
    {CHOICE("level", config, log_level), .section = SECTION_LOG, .fallback = "info",
     .choices = levels,
     .help = "The least level that is written. It can be changed while bearerd runs, see [admin].",
     .example = "warn"},
    {CHOICE("format", config, log_format), .section = SECTION_LOG, .fallback = "logfmt",
     .choices = formats,
     .help = "How lines are written: logfmt is name=value for people, json one object a line.",
     .example = "json"},
    {CHOICE("access", config, log_access), .section = SECTION_LOG, .fallback = "no",
     .choices = accesses,
     .help = "Whether to write a line for each request; errors: only for those that ended with "
             "400 or above, or without a whole answer.",
     .example = "errors"},
    {NUMBER("access_sample", config, log_access_sample), .section = SECTION_LOG, .fallback = "1",
     .min = 1, .max = 1000000,
     .help = "With access = yes: of the requests that went well one in so many is written.",
     .example = "100"},
};
const size_t settings_log_count = ARRAY_LEN(settings_log);

const struct setting settings_store[] = {
    {TEXT("url", config, store.url), .section = SECTION_STORE, .item = item_store_url,
     .help =
         "Where tokens are kept: sqlite:PATH for the processes of one machine, "
         "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// (the same over TLS) or "
         "redis+unix://[[USER]:PASSWORD@]PATH for those of several. Kept are tokens of source = "
         "oauth and login. Those of a command, of an assertion in a file, with idle_ttl, or bound "
         "to a key made at start are of use to one process only and stay in memory.",
     .more = "tokens are kept in memory only", .example = "sqlite:/var/lib/bearerd/tokens.db"},
    {SECRET("key", config, store.key), .section = SECTION_STORE,
     .help = "Secret that tokens are sealed with, 16 bytes or more; needed with url. Processes "
             "that share a store need the same.",
     .example = "file:/etc/bearerd/store_key"},
    {SECRET("key_previous", config, store.key_previous), .section = SECTION_STORE,
     .help = "The key before this one: what was sealed with it can still be opened.",
     .example = "file:/etc/bearerd/store_key.old"},
    {TEXT("prefix", config, store.prefix), .section = SECTION_STORE, .flags = SETTING_NO_EMPTY,
     .fallback = "bearerd:", .item = item_scope, .help = "What the keys in Redis begin with.",
     .example = "staging:bearerd:"},
    {PEM_FILE("ca_file", config, store.tls.ca_file), .section = SECTION_STORE, .help = CA_HELP,
     .more = "the system's authorities", .example = "/etc/bearerd/redis-ca.pem"},
    {PEM_FILE("cert_file", config, store.tls.cert_file), .section = SECTION_STORE,
     .help = "PEM file of the client certificate to show to Redis; needs key_file.",
     .example = "/etc/bearerd/client.pem"},
    {PEM_FILE("key_file", config, store.tls.key_file), .section = SECTION_STORE,
     .help = "PEM file of the certificate's private key.", .example = "/etc/bearerd/client.key"},
    {DURATION("timeout", config, store.timeout_ms), .section = SECTION_STORE, .fallback = "1s",
     .min = 10, .max = MS_MINUTE,
     .help = "How long the store may take for one operation; then bearerd goes on without it.",
     .example = "500ms"},
};
const size_t settings_store_count = ARRAY_LEN(settings_store);
