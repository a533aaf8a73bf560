// SPDX-License-Identifier: MIT
// See caller.h. The compiled rules are sets of exact texts: what is not in them is refused, and
// nothing is ever resolved, shortened or matched by suffix. The key is compared in constant time
// and wiped when the rules go.
//
// Host: the listen address with its exact port, localhost, 127.0.0.1 and [::1] with that port, the
// upstreams' hosts, accept_hosts. A wildcard address (0.0.0.0, [::]) is no name for us: browsers
// reach loopback by it. On a unix socket there is no port, so `localhost` alone is accepted there,
// too.
#include "proxy/caller.h"

#include <string.h>

#include "proxy/target.h"

struct caller_rules {
    struct map hosts;      // authority -> itself
    struct map unix_hosts; // accepted on unix sockets only
    struct map origins;    // allow_origins
    char **texts;          // what the maps have views of
    size_t text_count, text_cap;
    uint32_t *uids; // allow_uids
    size_t uid_count;
    struct buf key; // client_key; len 0: none
};

#define KEY_MAX 1024 // longer ones are refused: they are compared in a buffer on the stack

// ---- compiling

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

// The port of "host:port", "[v6]:port", ":port", "*:port"; empty for unix sockets and fd:NAME.
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
    buf_init(&rules->key, KEY_MAX);
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

// ---- checking

static bool host_is_allowed(const struct caller_rules *rules, const struct caller *caller)
{
    if (caller->is_absolute)
        return true;
    // No Host at all: HTTP/1.0, so no browser, which is what the check is against.
    if (!caller->host.len)
        return !fields_find(caller->fields, STR("Host"));
    return map_get(&rules->hosts, caller->host) ||
           (caller->is_unix && map_get(&rules->unix_hosts, caller->host));
}

static bool uid_is_allowed(const struct caller_rules *rules, const struct caller *caller)
{
    if (!caller->is_unix || !rules->uid_count)
        return true;
    for (size_t i = 0; i < rules->uid_count; i++)
        if (rules->uids[i] == caller->uid)
            return true;
    return false;
}

// Sent by a web page, other than one that allow_origins names?
static bool is_foreign_page(const struct caller_rules *rules, const struct fields *fields)
{
    const struct field *origin = fields_find(fields, STR("Origin"));
    if (origin)
        return !map_get(&rules->origins, origin->value) || fields_count(fields, STR("Origin")) > 1;
    const struct field *site = fields_find(fields, STR("Sec-Fetch-Site"));
    return site &&
           ((!str_eq(site->value, STR("none")) && !str_eq(site->value, STR("same-origin"))) ||
            fields_count(fields, STR("Sec-Fetch-Site")) > 1);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Into out (room for text.len * 3 / 4 bytes). Padding may be missing; anything else odd is refused.
static bool base64_decode(struct str text, char *out, size_t *out_len)
{
    for (int pad = 0; pad < 2 && text.len && text.ptr[text.len - 1] == '='; pad++)
        text.len--;
    unsigned bits = 0, held = 0;
    *out_len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        held = held << 6 | (unsigned)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[(*out_len)++] = (char)(held >> bits & 0xff);
        }
    }
    return bits < 6;
}

static bool key_is(const struct caller_rules *rules, struct str key)
{
    return !mem_secret_differs(key.ptr, key.len, rules->key.ptr, rules->key.len);
}

// Basic: the user's name may be anything, the key is the password.
static bool basic_is_key(const struct caller_rules *rules, struct str text)
{
    char plain[KEY_MAX * 2];
    size_t len, colon;
    if (text.len / 4 * 3 + 3 > sizeof plain)
        return false;
    bool is_key = base64_decode(text, plain, &len) &&
                  str_find((struct str){plain, len}, ':', &colon) &&
                  key_is(rules, str_from((struct str){plain, len}, colon + 1));
    mem_wipe(plain, sizeof plain);
    return is_key;
}

static bool has_key(const struct caller_rules *rules, const struct fields *fields)
{
    const struct field *field = fields_find(fields, STR("X-Bearerd-Key"));
    if (field && key_is(rules, field->value))
        return true;
    field = fields_find(fields, STR("Proxy-Authorization"));
    struct str scheme, rest = field ? field->value : STR_NONE;
    if (!str_word(&rest, &scheme))
        return false;
    rest = str_trim(rest);
    if (str_eq_nocase(scheme, STR("Bearer")))
        return key_is(rules, rest);
    return str_eq_nocase(scheme, STR("Basic")) && basic_is_key(rules, rest);
}

struct caller_verdict caller_check_method(struct str method)
{
    if (str_eq(method, STR("CONNECT")))
        return (struct caller_verdict){
            501, "connect-not-supported",
            "tunnels would carry no access token: give the client http:// URLs, which bearerd "
            "forwards over TLS where the upstream is https"};
    if (str_eq(method, STR("TRACE")))
        return (struct caller_verdict){405, "method-not-allowed",
                                       "TRACE would show the access token to the client"};
    return (struct caller_verdict){0};
}

struct caller_verdict caller_check(const struct caller_rules *rules, const struct caller *caller)
{
    if (!host_is_allowed(rules, caller))
        return (struct caller_verdict){403, "host-not-allowed",
                                       "the Host field names neither this proxy nor a configured "
                                       "upstream; add it to accept_hosts if it should"};
    if (!uid_is_allowed(rules, caller))
        return (struct caller_verdict){403, "user-not-allowed",
                                       "allow_uids does not name the user of this process"};
    if (is_foreign_page(rules, caller->fields))
        return (struct caller_verdict){403, "origin-not-allowed",
                                       "requests from web pages are refused unless allow_origins "
                                       "names the page's origin"};
    if (rules->key.len && !has_key(rules, caller->fields))
        return (struct caller_verdict){caller->is_absolute ? 407 : 401, "key-required",
                                       "present client_key as Proxy-Authorization (Basic password "
                                       "or Bearer) or X-Bearerd-Key"};
    return (struct caller_verdict){0};
}

bool caller_is_key_field(struct str name)
{
    return str_eq_nocase(name, STR("X-Bearerd-Key"));
}
