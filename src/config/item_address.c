// SPDX-License-Identifier: MIT
// See item.h. The words that are addresses: listen addresses, hosts, origins, proxies, users.
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config/item.h"
#include "config/url.h"

static char *fail(bool ignored)
{
    (void)ignored;
    return NULL;
}

static bool check_socket_path(struct str path, struct err *err)
{
    if (path.len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return err_set(err, "the path is longer than a socket's may be (%zu)",
                       sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    return true;
}

static char *listen_on_unix(struct str text, struct err *err)
{
    struct str path = str_from(text, 5);
    if (!path.len || path.ptr[0] != '/')
        return fail(err_set(err, "unix: must be followed by an absolute path"));
    return check_socket_path(path, err) ? str_dup(text) : NULL;
}

char *item_socket(struct str text, struct err *err)
{
    if (str_starts(text, STR("unix:")))
        text = str_from(text, 5);
    if (!str_starts(text, STR("/")))
        return fail(err_set(err, "\"%.*s\" is no absolute path", STR_ARG(text)));
    return check_socket_path(text, err) ? str_dup(text) : NULL;
}

static bool is_all_of(struct str text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(set, text.ptr[i]))
            return false;
    return true;
}

static char *render_address(struct authority *authority, struct str text, struct err *err)
{
    char out[80];
    if (strcmp(authority->host, "localhost") == 0) { // a name could come to mean another address
        mem_free(authority->host);
        authority->host = mem_strdup("127.0.0.1");
    }
    bool is_numeric = authority->is_ipv6 || is_all_of(str_of(authority->host), "0123456789.");
    if (!is_numeric)
        return fail(err_set(err,
                            "\"%.*s\": only localhost and numeric addresses can be listened on",
                            STR_ARG(text)));
    snprintf(out, sizeof out, authority->is_ipv6 ? "[%s]:%u" : "%s:%u", authority->host,
             (unsigned)authority->port);
    return mem_strdup(out);
}

// The name that a service manager gave to a socket it hands over.
static char *listen_on_passed(struct str text, struct err *err)
{
    struct str name = str_from(text, 3);
    bool ok = name.len > 0 && name.len <= 255; // systemd's own limit
    for (size_t i = 0; ok && i < name.len; i++)
        ok = name.ptr[i] > ' ' && name.ptr[i] <= '~' && name.ptr[i] != ':';
    return ok ? str_dup(text)
              : fail(err_set(err, "fd: must be followed by the name of a socket that is handed "
                                  "over: printable ASCII without spaces and colons"));
}

char *item_listen(struct str text, struct err *err)
{
    if (str_starts(text, STR("unix:")))
        return listen_on_unix(text, err);
    if (str_starts(text, STR("fd:")))
        return listen_on_passed(text, err);
    struct str port = str_starts(text, STR("*:"))  ? str_from(text, 2)
                      : str_starts(text, STR(":")) ? str_from(text, 1)
                                                   : text;
    if (is_all_of(port, "0123456789"))
        return fail(err_set(err,
                            "the address is missing: 127.0.0.1:%.*s takes calls from this "
                            "machine, 0.0.0.0:%.*s from everywhere",
                            STR_ARG(port), STR_ARG(port)));
    // Port 0, "any free one", is for tests; everywhere else it is a mistake.
    bool is_any_port = str_ends(text, STR(":0"));
    struct str host = text;
    if (is_any_port)
        host.len -= 2;
    struct authority authority;
    if (!authority_parse(host, &authority, err))
        return NULL;
    char *out = authority.port || is_any_port
                    ? render_address(&authority, text, err)
                    : fail(err_set(err, "the port is missing, as in %.*s:8080", STR_ARG(text)));
    authority_fini(&authority);
    return out;
}

static char *render_host(const struct authority *authority)
{
    char out[300], port[8] = "";
    if (authority->port && authority->port != 80 && authority->port != 443)
        snprintf(port, sizeof port, ":%u", (unsigned)authority->port);
    snprintf(out, sizeof out, authority->is_ipv6 ? "[%s]%s" : "%s%s", authority->host, port);
    return mem_strdup(out);
}

char *item_host(struct str text, struct err *err)
{
    struct authority authority;
    if (str_has(text, '/'))
        return fail(err_set(err, "\"%.*s\" is not host or host:port", STR_ARG(text)));
    if (!authority_parse(text, &authority, err))
        return NULL;
    char *out = render_host(&authority);
    authority_fini(&authority);
    return out;
}

char *item_connect_host(struct str text, struct err *err)
{
    char out[300];
    struct authority authority;
    if (!authority_parse(text, &authority, err))
        return NULL;
    bool has_port = authority.port != 0;
    if (has_port)
        snprintf(out, sizeof out, authority.is_ipv6 ? "[%s]:%u" : "%s:%u", authority.host,
                 (unsigned)authority.port);
    authority_fini(&authority);
    return has_port ? mem_strdup(out)
                    : fail(err_set(err, "the port is missing, as in %.*s:443", STR_ARG(text)));
}

char *item_host_field(struct str text, struct err *err)
{
    struct authority authority;
    if (str_has(text, '/'))
        return fail(err_set(err, "\"%.*s\" is not host or host:port", STR_ARG(text)));
    if (!authority_parse(text, &authority, err))
        return NULL;
    authority_fini(&authority);
    return str_dup(text);
}

char *item_tls_name(struct str text, struct err *err)
{
    struct authority authority;
    if (!authority_parse(text, &authority, err))
        return NULL;
    char *host = authority.port ? NULL : mem_strdup(authority.host);
    authority_fini(&authority);
    return host ? host : fail(err_set(err, "a certificate's name has no port"));
}

char *item_origin(struct str text, struct err *err)
{
    if (str_eq(text, STR("null")))
        return fail(err_set(err, "null is what every sandboxed frame and local file sends; name "
                                 "the origins"));
    if (str_eq(text, STR("*")))
        return fail(err_set(err, "* would let every web page use the tokens; name the origins"));
    struct config_url url;
    if (!url_parse(text, &url, err))
        return NULL;
    char out[300];
    snprintf(out, sizeof out, "%s://%s", url.is_https ? "https" : "http", url.authority);
    bool is_bare = strcmp(url.path, "/") == 0 && !url.query && !str_ends(text, STR("/"));
    url_fini(&url);
    return is_bare ? mem_strdup(out)
                   : fail(err_set(err, "an origin is scheme, host and port only: %s", out));
}

char *item_user(struct str text, struct err *err)
{
    char out[24], scratch[4096];
    uint64_t uid;
    if (str_to_u64(text, &uid)) {
        if (uid > UINT32_MAX - 1)
            return fail(err_set(err, "%.*s is too large for a user's number", STR_ARG(text)));
    } else {
        struct passwd entry, *found = NULL;
        char *name = str_dup(text);
        int rc = getpwnam_r(name, &entry, scratch, sizeof scratch, &found);
        mem_free(name);
        if (rc != 0 || !found)
            return fail(err_set(err, "there is no user \"%.*s\"", STR_ARG(text)));
        uid = found->pw_uid;
    }
    snprintf(out, sizeof out, "%llu", (unsigned long long)uid);
    return mem_strdup(out);
}

// user:password@ is allowed here: proxies are often asked that way. So the text is never shown.
char *item_proxy(struct str text, struct err *err)
{
    static const char *const schemes[] = {"http",    "https",  "socks4",
                                          "socks4a", "socks5", "socks5h"};
    size_t colon = 0, at;
    bool is_known = false;
    if (str_find(text, ':', &colon) && str_starts(str_from(text, colon), STR("://")))
        for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
            is_known |= str_eq((struct str){text.ptr, colon}, str_of(schemes[i]));
    if (!is_known)
        return fail(err_set(err, "a proxy starts with http://, https://, socks4://, socks4a://, "
                                 "socks5:// or socks5h://"));
    struct str rest = str_from(text, colon + 3);
    while (str_find(rest, '@', &at))
        rest = str_from(rest, at + 1);
    if (str_ends(rest, STR("/")))
        rest.len--;
    struct authority authority;
    if (!authority_parse(rest, &authority, err))
        return NULL;
    bool has_port = authority.port != 0;
    authority_fini(&authority);
    return has_port ? str_dup(text)
                    : fail(err_set(err, "the proxy's port is missing, as in http://host:3128"));
}
