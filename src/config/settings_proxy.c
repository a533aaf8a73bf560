// SPDX-License-Identifier: MIT
// The rows of [proxy], [log] and [store]. See settings.h for what the columns mean.
#include "config/config.h"
#include "config/settings_rows.h"

static const char *const sandboxes[] = {"auto", "off", "strict", NULL}; // enum config_sandbox
static const char *const connect_words[] = {"refuse", "tunnel", NULL};  // enum config_connect
static const char *const cors_words[] = {"answer", "pass", NULL};       // config_cors
static const char *const request_id_words[] = {"pass", "make", NULL};   // config_request_id

const struct setting settings_proxy[] = {
    {WORDS("listen", config, listen), .section = SECTION_PROXY,
     .flags = SETTING_REPEATS | SETTING_NO_EMPTY, .fallback = "127.0.0.1:8080", .item = item_listen,
     .help =
         "Address to take requests on: IPv4:PORT, [IPv6]:PORT, unix:PATH for a socket in the file "
         "system, or fd:NAME for one that a service manager hands over by that name (systemd's "
         "FileDescriptorName). A socket that is handed over is also found by its address. Repeat "
         "it for more.",
     .example = "unix:/run/bearerd/proxy.sock"},
    {BOOL("expose", config, expose), .section = SECTION_PROXY, .fallback = "no",
     .help = "Whether listen may name an address other machines can reach. Everybody who reaches "
             "bearerd acts with its tokens, so think of client_key, too.",
     .example = "yes"},
    {NUMBER("workers", config, workers), .section = SECTION_PROXY, .flags = SETTING_RESTART,
     .fallback = "auto", .min = 1, .max = 64, .zero = "auto",
     .help = "Number of threads that move requests.",
     .more = "as many as processors are online, 4 at most", .example = "2"},
    {SIZE("header_limit", config, header_limit), .section = SECTION_PROXY, .flags = SETTING_RESTART,
     .fallback = "16k", .min = 4 * KIB, .max = 64 * KIB,
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
     .help = "Client connections open at a time, all workers together; each worker has its share. "
             "At the limit the longest idle one is closed for a newcomer; if none is idle, "
             "newcomers wait to be accepted.",
     .example = "500"},
    {NUMBER("max_connections_per_client", config, max_connections_per_client),
     .section = SECTION_PROXY, .flags = SETTING_RESTART, .fallback = "none", .min = 1,
     .max = 1000000, .zero = "none",
     .help = "Connections that one client may have open at a time: an address, or a user of a "
             "unix: socket. A further one is answered with 503 and closed.",
     .example = "100"},
    {NUMBER("max_requests", config, max_requests), .section = SECTION_PROXY, .fallback = "none",
     .min = 1, .max = 1000000, .zero = "none",
     .help = "Requests under way at a time, all workers together; each worker has its share. A "
             "further one is answered with 503.",
     .example = "1000"},
    {WORDS("accept_hosts", config, accept_hosts), .section = SECTION_PROXY, .item = item_host,
     .help = "Values of the Host field to answer besides the listen addresses, localhost and the "
             "upstreams' hosts. Others are refused: a web page could otherwise reach bearerd by a "
             "name of its own (DNS rebinding).",
     .example = "bearerd bearerd:8080"},
    {WORDS("allow_origins", config, allow_origins), .section = SECTION_PROXY, .item = item_origin,
     .help = "Origins of web pages whose requests are taken. All others' are refused, as told by "
             "the Origin, Sec-Fetch-Site and Referer fields; pages that come through bearerd "
             "itself, too, unless its own origin is named.",
     .example = "https://app.example.com"},
    {CHOICE("cors", config, cors), .section = SECTION_PROXY, .fallback = "answer",
     .choices = cors_words,
     .help = "Who tells browsers that a page of allow_origins may read answers. answer: bearerd, "
             "preflights included; the upstreams' Access-Control fields are dropped. pass: the "
             "upstreams; preflights are requests like any other.",
     .example = "pass"},
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
     .help = "How long a client may take to send a whole request head; then 408.", .example = "5s"},
    {DURATION("body_timeout", config, body_timeout_ms), .section = SECTION_PROXY, .fallback = "30s",
     .min = 100, .max = MS_HOUR,
     .help = "How long a client may pause while it sends a body, then 408; or while it takes an "
             "answer, then the connection is closed.",
     .example = "1m"},
    {SIZE("body_min_rate", config, body_min_rate), .section = SECTION_PROXY, .fallback = "240",
     .min = 1, .max = KIB * KIB * KIB, .zero = "none",
     .help = "Bytes a second that a client must send of a body, or take of an answer, on average "
             "of body_timeout. Only the time counts in which bearerd waits for the client. none "
             "lets it be as slow as body_timeout allows, as an upload without end may be.",
     .example = "none"},
    {DURATION("keepalive_timeout", config, keepalive_timeout_ms), .section = SECTION_PROXY,
     .fallback = "75s", .min = 100, .max = MS_DAY,
     .help = "How long an idle client connection is kept open.", .example = "15s"},
    {DURATION("request_timeout", config, request_timeout_ms), .section = SECTION_PROXY,
     .fallback = "none", .min = 100, .max = 7 * MS_DAY, .zero = "none",
     .help = "How long a request may take from its head to the answer's last byte. A route's "
             "timeout stands above it.",
     .example = "2m"},
    {CHOICE("connect", config, connect), .section = SECTION_PROXY, .fallback = "refuse",
     .choices = connect_words,
     .help = "What happens to CONNECT, by which clients ask for a tunnel to https:// URLs: refuse "
             "answers 501, tunnel opens one to those in connect_hosts. No token can be put into a "
             "tunnel.",
     .example = "tunnel"},
    {WORDS("connect_hosts", config, connect_hosts), .section = SECTION_PROXY,
     .item = item_connect_host, .help = "Hosts with ports that tunnels may be opened to.",
     .more = "none", .example = "registry.example.com:443 [2001:db8::7]:8443"},
    {DURATION("connect_timeout", config, connect_timeout_ms), .section = SECTION_PROXY,
     .fallback = "5s", .min = 10, .max = 10 * MS_MINUTE,
     .help = "How long connecting may take for a tunnel; then 504.", .example = "2s"},
    {DURATION("tunnel_idle_timeout", config, tunnel_idle_timeout_ms), .section = SECTION_PROXY,
     .fallback = "10m", .min = 100, .max = 7 * MS_DAY,
     .help = "How long a tunnel that CONNECT opened may be silent both ways; then it is closed.",
     .example = "1h"},
    {DURATION("drain_timeout", config, drain_timeout_ms), .section = SECTION_PROXY,
     .fallback = "10s", .min = 0, .max = MS_HOUR,
     .help = "How long requests under way may go on after SIGTERM.", .example = "30s"},
    {DURATION("drain_delay", config, drain_delay_ms), .section = SECTION_PROXY, .fallback = "0s",
     .min = 0, .max = MS_HOUR,
     .help = "How long new requests are still taken after SIGTERM, while readiness is off already: "
             "for load balancers (Kubernetes) that need a while to notice. drain_timeout begins "
             "after it.",
     .example = "5s"},
    {PATH("pid_file", config, pid_file), .section = SECTION_PROXY,
     .flags = SETTING_RESTART | SETTING_WRITTEN,
     .help = "File to write the process's number to, once it takes requests: for bearerd reload "
             "and for whatever else sends signals. Its folder should hold neither the "
             "configuration nor "
             "a command: see sandbox.",
     .more = "none is written", .example = "/run/bearerd/bearerd.pid"},
    {MODE("socket_mode", config, listen_mode), .section = SECTION_PROXY, .fallback = "0660",
     .min = 0, .max = 0777, .help = "Permission bits of unix: sockets, in octal.",
     .example = "0600"},
    {TEXT("user", config, user), .section = SECTION_PROXY,
     .flags = SETTING_NO_EMPTY | SETTING_RESTART, .item = item_text,
     .help = "User, by name or number, to become when started as root; commands run as this user, "
             "too. It must be able to read the configuration and the files named in it: they are "
             "read again later.",
     .more = "bearerd stays who it was started as", .example = "daemon"},
    {TEXT("group", config, group), .section = SECTION_PROXY,
     .flags = SETTING_NO_EMPTY | SETTING_RESTART, .item = item_text,
     .help = "Group, by name or number, to go with user.", .more = "the user's own",
     .example = "daemon"},
    {CHOICE("sandbox", config, sandbox), .section = SECTION_PROXY, .flags = SETTING_RESTART,
     .fallback = "auto", .choices = sandboxes,
     .help = "Whether bearerd gives up, once it has started, what it does not need: files outside "
             "of the folders it has been told of (Landlock) and system calls a proxy does not make "
             "(seccomp). auto takes what the kernel has; strict does not start without both, nor "
             "as root, nor where the store or the pid_file lies in one folder with the "
             "configuration or with a command, of which auto warns; off is for tracing and "
             "debugging.",
     .example = "strict"},
    {CHOICE("request_id", config, request_id), .section = SECTION_PROXY, .fallback = "pass",
     .choices = request_id_words,
     .help = "X-Request-Id towards upstreams. pass: the client's, if it sends one; make: one of "
             "bearerd's own where there is none, or none that is fit for a log. Problems and log "
             "lines name the request by it.",
     .example = "make"},
    {BOOL("trace", config, trace), .section = SECTION_PROXY, .fallback = "no",
     .help = "Whether to start a trace (traceparent, W3C Trace Context) where the client sends "
             "none, or a malformed one. A valid one is always passed on.",
     .example = "yes"},
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
         "oauth and login, and what replaces an expired static one. Those of a command, of an "
         "assertion in a file, with idle_ttl, or bound "
         "to a key made at start are of use to one process only and stay in memory. A database "
         "should have a folder of its own: see sandbox.",
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
