// SPDX-License-Identifier: MIT
// Rules between settings, and between settings and the machine: what is missing, what contradicts
// what, what would send a secret where it can be read. It changes values in one way only: it
// completes them (an upstream's hosts, the number of workers).
#include <sched.h>
#include <string.h>

#include "config/check.h"
#include "config/draft.h"
#include "config/expand.h"
#include "config/reader.h"
#include "config/url.h"
#include "config/value.h"

#define AUTO_WORKERS_MAX 4
#define STORE_KEY_MIN    16

void check_missing(struct draft *draft, const struct draft_section *section, const char *key)
{
    const struct setting *setting = setting_find(section->kind, str_of(key));
    if (!draft_has(section, key) && !draft_is_guessed(section, key))
        draft_fault(draft, section, section->place, NULL, "%s is missing, as in \"%s = %s\"", key,
                    key, setting->example);
}

static void check_required(struct draft *draft, const struct draft_section *section)
{
    size_t count;
    const struct setting *rows = settings_of(section->kind, &count);
    for (size_t i = 0; i < count; i++)
        if (rows[i].flags & SETTING_REQUIRED)
            check_missing(draft, section, rows[i].key);
}

struct listen_at { // a listen setting, taken apart
    struct authority authority;
    bool is_unix;
};

static bool listen_split(const char *text, struct listen_at *out)
{
    *out = (struct listen_at){.is_unix = strncmp(text, "unix:", 5) == 0};
    struct str host = str_of(text);
    if (str_starts(host, STR("fd:"))) // where that is will be seen when it is there
        return false;
    if (str_ends(host, STR(":0")))
        host.len -= 2;
    return out->is_unix || authority_parse(host, &out->authority, NULL);
}

static void check_useless(struct draft *draft, const struct draft_section *section,
                          const char *const *keys, size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (draft_has(section, keys[i]))
            draft_fault(draft, section, draft_place(section, keys[i], 0), keys[i], "is not used %s",
                        why);
}

// What other machines can reach is opened by name. why: what that would mean.
static void check_listen(struct draft *draft, const struct draft_section *section,
                         const struct config_strings *listen, bool expose, const char *why)
{
    for (size_t i = 0; i < listen->count; i++) {
        const char *text = listen->items[i];
        struct config_place place = draft_place(section, "listen", i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(text, listen->items[j]) == 0 && !str_ends(str_of(text), STR(":0")))
                draft_fault(draft, section, place, "listen", "%s is named twice, first in line %u",
                            text, draft_place(section, "listen", j).line);
        struct listen_at at;
        if (!listen_split(text, &at))
            continue;
        if (!at.is_unix && !expose && !host_is_loopback(at.authority.host))
            draft_fault(draft, section, place, "listen",
                        "%s can be reached from other machines, and %s; if that is meant, add "
                        "expose = yes",
                        text, why);
        authority_fini(&at.authority);
    }
}

static void check_admin(struct draft *draft, const struct draft_section *section)
{
    static const char *const keys[] = {"socket_mode", "key", "expose", "accept_hosts"};
    const struct config *config = section->object;
    const struct config_strings *listen = &config->admin.listen;
    if (!listen->count && !draft_is_broken(section, "listen"))
        check_useless(draft, section, keys, ARRAY_LEN(keys), "without listen");
    check_listen(draft, section, listen, config->admin.expose,
                 "whoever reaches the admin listener sees what bearerd does");
    for (size_t i = 0; i < listen->count; i++)
        for (size_t j = 0; j < config->listen.count; j++)
            if (strcmp(listen->items[i], config->listen.items[j]) == 0 &&
                !str_ends(str_of(listen->items[i]), STR(":0")))
                draft_fault(draft, section, draft_place(section, "listen", i), "listen",
                            "%s is the proxy's own address: the admin listener needs another",
                            listen->items[i]);
    check_secret(draft, section, "key", config->admin.key);
}

static void check_socket_users(struct draft *draft, const struct draft_section *section)
{
    const struct config *config = section->object;
    bool has_unix = false;
    for (size_t i = 0; i < config->listen.count; i++)
        has_unix |= strncmp(config->listen.items[i], "unix:", 5) == 0 ||
                    strncmp(config->listen.items[i], "fd:", 3) == 0; // may be one
    if (has_unix && (config->listen_mode & 0002) && !config->allow_uids.count)
        draft_warn(draft, section, "socket_mode",
                   "every user of this machine may call over the socket; allow_uids names those "
                   "who shall");
    if (!has_unix && config->allow_uids.count)
        draft_warn(draft, section, "allow_uids",
                   "has no effect: there is no unix: socket among the listen addresses");
}

static void check_connect(struct draft *draft, const struct draft_section *section)
{
    const struct config *config = section->object;
    if (config->connect == CONNECT_TUNNEL && !config->connect_hosts.count &&
        !draft_is_guessed(section, "connect_hosts"))
        draft_fault(draft, section, draft_place(section, "connect", 0), "connect",
                    "tunnel needs connect_hosts, which names where tunnels may lead");
    if (config->connect != CONNECT_TUNNEL && config->connect_hosts.count)
        draft_warn(draft, section, "connect_hosts", "has no effect without connect = tunnel");
}

// Reads it: false when that cannot be done now, which is a warning.
static bool read_secret(struct draft *draft, const struct draft_section *section, const char *key,
                        const struct secret *secret, struct buf *out)
{
    struct err err;
    buf_init(out, SECRET_MAX);
    if (!secret)
        return false;
    if (secret_read(secret, out, &err))
        return true;
    draft_warn(draft, section, key, "%s; it is tried again when it is needed", err.text);
    return false;
}

void check_secret(struct draft *draft, const struct draft_section *section, const char *key,
                  const struct secret *secret)
{
    struct buf value;
    if (read_secret(draft, section, key, secret, &value) &&
        item_first_unprintable(buf_str(&value)) < value.len)
        draft_fault(draft, section, draft_place(section, key, 0), key,
                    "the value of %s has a character that is not printable ASCII",
                    secret_origin(secret));
    buf_fini(&value);
}

void check_binary_secret(struct draft *draft, const struct draft_section *section, const char *key,
                         const struct secret *secret, size_t min)
{
    struct buf value;
    if (read_secret(draft, section, key, secret, &value) && value.len < min)
        draft_fault(draft, section, draft_place(section, key, 0), key,
                    "the value of %s has %zu bytes; %zu is the least", secret_origin(secret),
                    value.len, min);
    buf_fini(&value);
}

void check_private_key(struct draft *draft, const struct draft_section *section, const char *key,
                       const struct secret *secret)
{
    struct buf value;
    if (read_secret(draft, section, key, secret, &value) &&
        !memmem(value.ptr, value.len, "PRIVATE KEY-----", 16))
        draft_fault(draft, section, draft_place(section, key, 0), key,
                    "the value of %s is no private key in PEM: it has no -----BEGIN … PRIVATE "
                    "KEY----- line",
                    secret_origin(secret));
    buf_fini(&value);
}

void check_plaintext(struct draft *draft, const struct draft_section *section, const char *key,
                     const struct config_url *url, bool is_allowed)
{
    if (!url->host || url->is_https || is_allowed || host_is_loopback(url->host))
        return;
    draft_fault(draft, section, draft_place(section, key, 0), key,
                "%s is not encrypted: what is sent can be read on the way; use https://, or add "
                "allow_plaintext = yes",
                url->text);
}

void check_certificate(struct draft *draft, const struct draft_section *section,
                       const struct config_tls *tls)
{
    bool has_cert = draft_has(section, "cert_file"), has_key = draft_has(section, "key_file");
    if (has_cert && !has_key)
        draft_fault(draft, section, draft_place(section, "cert_file", 0), "cert_file",
                    "key_file is missing: a certificate is of no use without its key");
    if (has_key && !has_cert)
        draft_fault(draft, section, draft_place(section, "key_file", 0), "key_file",
                    "cert_file is missing: a key is of no use without its certificate");
    if (tls->key_file && reader_is_world_readable(tls->key_file))
        draft_fault(draft, section, draft_place(section, "key_file", 0), "key_file",
                    "every user of this machine can read the private key; chmod o= %s",
                    tls->key_file);
}

void check_tls(struct draft *draft, const struct draft_section *section,
               const struct config_tls *tls, const struct config_url *url)
{
    static const char *const keys[] = {"ca_file",          "cert_file", "tls_min", "tls_ciphers",
                                       "tls_ciphersuites", "tls_pin",   "tls_name"};
    check_certificate(draft, section, tls);
    if (tls->min == TLS_MIN_1_3 && tls->ciphers)
        draft_fault(draft, section, draft_place(section, "tls_ciphers", 0), "tls_ciphers",
                    "is not used with tls_min = 1.3, which has tls_ciphersuites");
    for (size_t i = 0; url->host && !url->is_https && i < ARRAY_LEN(keys); i++)
        if (draft_has(section, keys[i]))
            draft_warn(draft, section, keys[i], "has no effect: %s is not https", url->text);
}

void check_commas(struct draft *draft, const struct draft_section *section,
                  const struct config_strings *scopes)
{
    for (size_t i = 0; i < scopes->count; i++)
        if (str_ends(str_of(scopes->items[i]), STR(",")))
            draft_warn(draft, section, "scopes",
                       "\"%s\" ends with a comma, which is part of the scope; scopes are separated "
                       "by spaces",
                       scopes->items[i]);
}

// A file's database stands beside the file that names it; one by name alone would move about.
static void resolve_sqlite(const struct draft_section *section, struct config_store *store)
{
    struct str path = str_from(str_of(store->url), 7);
    char *resolved = reader_resolve(section->place.file, path);
    struct buf url;
    buf_init(&url, (size_t)2 * VALUE_MAX);
    if (buf_printf(&url, "sqlite:%s", resolved)) {
        mem_free(store->url);
        store->url = buf_take(&url);
    }
    buf_fini(&url);
    mem_free(resolved);
}

static void check_store(struct draft *draft, const struct draft_section *section)
{
    static const char *const keys[] = {"key",     "key_previous", "timeout", "prefix",
                                       "ca_file", "cert_file",    "key_file"};
    struct config_store *store = &((struct config *)section->object)->store;
    struct str url = str_of(store->url);
    if (!store->url) {
        if (!draft_is_broken(section, "url") && !draft_is_guessed(section, "url"))
            check_useless(draft, section, keys, ARRAY_LEN(keys), "without url");
        return;
    }
    if (str_starts(url, STR("sqlite:"))) {
        check_useless(draft, section, keys + 3, 4, "with sqlite:");
        resolve_sqlite(section, store);
    } else if (!str_starts(url, STR("rediss://"))) {
        check_useless(draft, section, keys + 4, 3, "without TLS, which rediss:// has");
    } else {
        check_certificate(draft, section, &store->tls);
    }
    check_missing(draft, section, "key");
    check_binary_secret(draft, section, "key", store->key, STORE_KEY_MIN);
    check_binary_secret(draft, section, "key_previous", store->key_previous, STORE_KEY_MIN);
}

// HS-3: a request would go round until something is exhausted.
static bool is_same_place(const struct config_url *url, const struct listen_at *at)
{
    if (at->is_unix || !at->authority.port || at->authority.port != url->port)
        return false;
    if (strcmp(url->host, at->authority.host) == 0)
        return true;
    bool is_local = host_is_loopback(url->host) || host_is_wildcard(url->host);
    bool is_named = strcmp(url->host, "localhost") == 0;
    return is_local && (host_is_wildcard(at->authority.host) ||
                        (is_named && host_is_loopback(at->authority.host)));
}

static bool is_same_socket(const char *path, const char *listen)
{
    return str_starts(str_of(listen), STR("unix:")) && strcmp(listen + 5, path) == 0;
}

static void check_loop(struct draft *draft, const struct draft_section *section)
{
    const struct config_upstream *upstream = section->object;
    const struct config_strings *listen = &draft->config->listen;
    for (size_t i = 0; upstream->url.host && i < listen->count; i++) {
        struct listen_at at;
        if (upstream->socket) {
            if (is_same_socket(upstream->socket, listen->items[i]))
                draft_fault(draft, section, draft_place(section, "socket", 0), "socket",
                            "is bearerd itself: requests would go round in a circle");
            continue;
        }
        if (!listen_split(listen->items[i], &at))
            continue;
        if (is_same_place(&upstream->url, &at))
            draft_fault(draft, section, draft_place(section, "url", 0), "url",
                        "%s is bearerd itself (listen = %s): requests would go round in a circle",
                        upstream->url.text, listen->items[i]);
        authority_fini(&at.authority);
    }
}

static void check_base_path(struct draft *draft, const struct draft_section *section)
{
    struct config_upstream *upstream = section->object;
    struct config_place place = draft_place(section, "url", 0);
    struct err err;
    if (!upstream->url.host)
        return;
    if (upstream->url.query)
        draft_fault(draft, section, place, "url",
                    "the query (?…) has no meaning here: a request brings its own");
    char *base = item_mount(str_of(upstream->url.path), &err);
    if (!base) {
        draft_fault(draft, section, place, "url", "base path %s", err.text);
        return;
    }
    mem_free(upstream->url.path);
    upstream->url.path = base;
}

// `none` is no protocol: the proxy takes it for an empty list.
static void check_upgrade(struct draft *draft, const struct draft_section *section)
{
    const struct config_strings *upgrade =
        &((const struct config_upstream *)section->object)->upgrade;
    for (size_t i = 0; i < upgrade->count; i++)
        if (strcmp(upgrade->items[i], "none") == 0 && upgrade->count > 1)
            draft_fault(draft, section, draft_place(section, "upgrade", i), "upgrade",
                        "none stands alone: it means that no connection may switch");
}

static void check_upstream(struct draft *draft, const struct draft_section *section)
{
    struct config_upstream *upstream = section->object;
    check_plaintext(draft, section, "url", &upstream->url,
                    upstream->allow_plaintext || upstream->socket);
    check_tls(draft, section, &upstream->tls, &upstream->url);
    if (upstream->socket && upstream->proxy)
        draft_fault(draft, section, draft_place(section, "proxy", 0), "proxy",
                    "is not used with socket: there is no way through a proxy to it");
    check_base_path(draft, section);
    check_loop(draft, section);
    check_upgrade(draft, section);
    if (upstream->hosts.count || !upstream->url.authority)
        return;
    strings_add(&upstream->hosts, mem_strdup(upstream->url.authority));
    struct err err;
    char *host = upstream->host_header ? item_host(str_of(upstream->host_header), &err) : NULL;
    if (host && strcmp(host, upstream->url.authority) != 0)
        strings_add(&upstream->hosts, host);
    else
        mem_free(host);
}

static void check_config(struct draft *draft)
{
    struct config_place whole = {draft->config->path, 0};
    // Without a file that could be read, there is nothing to miss in it.
    if (!draft->config->files.count)
        return;
    if (!draft->config->upstream_count)
        config_faults_add(draft->faults, whole,
                          "there is no [upstream NAME] section: nowhere to send requests to");
    else if (!draft->config->route_count)
        config_faults_add(&draft->config->warnings, whole,
                          "there is no [route NAME] section: no request will get a token");
}

static uint64_t online_processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > AUTO_WORKERS_MAX ? AUTO_WORKERS_MAX : (uint64_t)count;
}

void draft_check(struct draft *draft)
{
    for (size_t i = 0; i < draft->section_count; i++) {
        struct draft_section *section = draft->sections[i];
        check_required(draft, section);
        switch (section->kind) {
        case SECTION_PROXY:
            check_listen(draft, section, &draft->config->listen, draft->config->expose,
                         "whoever reaches bearerd acts with its tokens");
            check_socket_users(draft, section);
            check_process(draft, section);
            check_connect(draft, section);
            check_secret(draft, section, "client_key",
                         ((struct config *)section->object)->client_key);
            break;
        case SECTION_ADMIN:
            check_admin(draft, section);
            break;
        case SECTION_CREDENTIAL:
            check_credential(draft, section);
            break;
        case SECTION_UPSTREAM:
            check_upstream(draft, section);
            break;
        case SECTION_ROUTE:
            check_commas(draft, section, &((struct config_route *)section->object)->scopes);
            break;
        case SECTION_STORE:
            check_store(draft, section);
            break;
        case SECTION_LOG:
        case SECTION_SCOPES:
        case SECTION_KINDS:
            break;
        }
    }
    check_config(draft);
    check_reach(draft);
    if (!draft->config->workers)
        draft->config->workers = online_processors();
}
