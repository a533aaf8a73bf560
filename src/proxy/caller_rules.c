// SPDX-License-Identifier: MIT
// Compiles what the configuration says about callers into sets.
//
// Host: the listen address with its exact port, localhost, 127.0.0.1 and [::1] with that port, the
// upstreams' hosts, accept_hosts. A wildcard address (0.0.0.0, [::]) is no name for us: browsers
// reach loopback by it. On a unix socket there is no port, so `localhost` alone is accepted there,
// too. The key is wiped when the rules go.
#include <string.h>

#include "proxy/caller_private.h"
#include "proxy/target.h"

static void text_add(struct caller_rules *rules, struct map *map, struct str text)
{
    if (map_get(map, text))
        return;
    if (rules->text_count == rules->text_cap) {
        rules->text_cap = rules->text_cap ? rules->text_cap * 2 : 16;
        rules->texts = mem_realloc(rules->texts, rules->text_cap * sizeof *rules->texts);
    }
    char *copy = str_dup(text);
    rules->texts[rules->text_count++] = copy;
    map_put(map, (struct str){copy, text.len}, copy);
}

// As target_normal_host() will hand it in: origin-form is plain http, so the default port is 80.
static bool host_add(struct caller_rules *rules, struct map *map, struct str authority)
{
    char *normal = mem_alloc(authority.len + 1);
    size_t len;
    bool is_valid = target_normal_authority(authority, 80, normal, &len);
    if (is_valid)
        text_add(rules, map, (struct str){normal, len});
    mem_free(normal);
    return is_valid;
}

static bool host_add_port(struct caller_rules *rules, struct str host, struct str port)
{
    struct buf text;
    buf_init(&text, 4096);
    bool is_valid = buf_printf(&text, "%.*s:%.*s", STR_ARG(host), STR_ARG(port)) &&
                    host_add(rules, &rules->hosts, buf_str(&text));
    buf_fini(&text);
    return is_valid;
}

// The port of "host:port", "[v6]:port", ":port", "*:port"; empty for unix sockets.
static struct str listen_port(struct str listen, struct str *out_host)
{
    size_t at = listen.len;
    while (at && listen.ptr[at - 1] != ':' && listen.ptr[at - 1] != ']')
        at--;
    *out_host = (struct str){listen.ptr, at ? at - 1 : 0};
    if (!at || listen.ptr[at - 1] != ':' || str_starts(listen, STR("unix:")) ||
        str_starts(listen, STR("fd:")))
        return STR_NONE;
    return str_from(listen, at);
}

static bool is_wildcard(struct str host)
{
    return !host.len || str_eq(host, STR("*")) || str_eq(host, STR("0.0.0.0")) ||
           str_eq(host, STR("[::]"));
}

static void listen_add(struct caller_rules *rules, const struct config *config, struct str listen)
{
    struct str host, port = listen_port(listen, &host);
    if (!port.len)
        return;
    // What is no valid authority, port 0 say, can be no client's Host either: nothing to add then.
    if (!is_wildcard(host) && !host_add_port(rules, host, port))
        return;
    static const struct str loopback[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"[::1]", 5}};
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
        if (!host_add_port(rules, loopback[i], port))
            return;
    // accept_hosts without a port: on any port we listen on. One with a port is added as it is.
    for (size_t i = 0; i < config->accept_hosts.count; i++)
        if (!host_add_port(rules, str_of(config->accept_hosts.items[i]), port))
            continue;
}

static bool hosts_add(struct caller_rules *rules, const struct config *config,
                      const struct config_strings *extra, struct err *err)
{
    for (size_t i = 0; i < config->listen.count; i++)
        listen_add(rules, config, str_of(config->listen.items[i]));
    for (size_t i = 0; extra && i < extra->count; i++)
        listen_add(rules, config, str_of(extra->items[i]));
    for (size_t i = 0; i < config->accept_hosts.count; i++)
        if (!host_add(rules, &rules->hosts, str_of(config->accept_hosts.items[i])))
            return err_set(err, "accept_hosts: `%s` is not a host[:port]",
                           config->accept_hosts.items[i]);
    for (size_t i = 0; i < config->upstream_count; i++) {
        const struct config_strings *hosts = &config->upstreams[i]->hosts;
        for (size_t j = 0; j < hosts->count; j++)
            if (!host_add(rules, &rules->hosts, str_of(hosts->items[j])))
                return err_set(err, "hosts: `%s` is not a host[:port]", hosts->items[j]);
    }
    return host_add(rules, &rules->unix_hosts, STR("localhost"));
}

// "null" is what every sandboxed frame and local file sends: no list may hold it.
static bool origins_add(struct caller_rules *rules, const struct config *config, struct err *err)
{
    for (size_t i = 0; i < config->allow_origins.count; i++) {
        struct str origin = str_of(config->allow_origins.items[i]), rest = origin;
        bool is_url = str_starts(origin, STR("http://")) || str_starts(origin, STR("https://"));
        size_t slashes = 0;
        while (str_find(rest, '/', &slashes))
            rest = str_from(rest, slashes + 1);
        if (!is_url || !rest.len || rest.ptr != strstr(origin.ptr, "://") + 3)
            return err_set(err,
                           "allow_origins: `%s` is not an origin such as https://app.example.com",
                           origin.ptr);
        text_add(rules, &rules->origins, origin);
    }
    rules->origin_count = config->allow_origins.count;
    rules->passes_cors = config->cors == CORS_PASS;
    return true;
}

static bool uids_add(struct caller_rules *rules, const struct config *config, struct err *err)
{
    rules->uids = mem_array(config->allow_uids.count, sizeof *rules->uids);
    for (size_t i = 0; i < config->allow_uids.count; i++) {
        uint64_t uid;
        // The last number means "no user" to the kernel.
        if (!str_to_u64(str_of(config->allow_uids.items[i]), &uid) || uid >= UINT32_MAX)
            return err_set(err, "allow_uids: `%s` is not a user's number",
                           config->allow_uids.items[i]);
        rules->uids[rules->uid_count++] = (uint32_t)uid;
    }
    return true;
}

struct caller_rules *caller_rules_new(const struct config *config,
                                      const struct config_strings *extra_hosts, struct err *err)
{
    struct caller_rules *rules = mem_alloc(sizeof *rules);
    buf_init(&rules->key, CALLER_KEY_MAX);
    if (!hosts_add(rules, config, extra_hosts, err) || !origins_add(rules, config, err) ||
        !uids_add(rules, config, err))
        goto fail;
    if (config->client_key && !secret_read(config->client_key, &rules->key, err))
        goto fail;
    if (config->client_key && !rules->key.len) {
        err_set(err, "client_key is empty");
        goto fail;
    }
    return rules;
fail:
    caller_rules_free(rules);
    return NULL;
}

void caller_rules_free(struct caller_rules *rules)
{
    if (!rules)
        return;
    map_fini(&rules->hosts);
    map_fini(&rules->unix_hosts);
    map_fini(&rules->origins);
    for (size_t i = 0; i < rules->text_count; i++)
        mem_free(rules->texts[i]);
    mem_free(rules->texts);
    mem_free(rules->uids);
    buf_fini(&rules->key);
    mem_free(rules);
}
