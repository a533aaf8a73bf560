// SPDX-License-Identifier: MIT
// See url.h.
#include "config/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define HOST_LEN_MAX 253

static char *lower_copy(struct str text)
{
    char *copy = str_dup(text);
    for (char *c = copy; *c; c++)
        *c = str_lower(*c);
    return copy;
}

static bool is_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len > 0;
}

static bool check_name_char(char c, struct err *err)
{
    char lower = str_lower(c);
    if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '-' ||
        lower == '_' || lower == '.')
        return true;
    if (c == ',')
        return err_set(err, "a host's name holds a comma; separate names by spaces");
    if ((unsigned char)c >= 0x80)
        return err_set(err, "a host's name is not ASCII; write it in its xn-- form");
    return err_set(err, "a host's name holds \"%c\"", c);
}

// Forms such as 127.1, 0x7f000001 or 2130706433 mean an address to some readers and a name to
// others.
static bool parse_ipv4_or_name(struct str text, struct authority *out, struct err *err)
{
    if (str_ends(text, STR(".")))
        text.len--;
    if (!text.len || text.len > HOST_LEN_MAX)
        return err_set(err, text.len ? "the host's name is too long" : "the host is missing");
    struct str rest = text, label = STR_NONE;
    for (size_t i = 0; i < text.len; i++)
        if (!check_name_char(text.ptr[i], err))
            return false;
    while (str_split(&rest, '.', &label))
        if (!label.len)
            return err_set(err, "the host's name has an empty label");
    out->host = lower_copy(text);
    struct in_addr address;
    bool looks_numeric = is_digits(label) || str_starts(str_of(out->host), STR("0x"));
    if (looks_numeric && inet_pton(AF_INET, out->host, &address) != 1)
        return err_set(err, "\"%s\" is no IPv4 address of four decimal numbers", out->host);
    return true;
}

static bool parse_ipv6(struct str text, struct authority *out, struct err *err)
{
    struct in6_addr address;
    char canonical[INET6_ADDRSTRLEN];
    char *copy = str_dup(text);
    bool ok = inet_pton(AF_INET6, copy, &address) == 1 &&
              inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
    mem_free(copy);
    if (!ok)
        return err_set(err, "what stands in [ ] is no IPv6 address");
    out->host = mem_strdup(canonical);
    out->is_ipv6 = true;
    return true;
}

static bool parse_port(struct str text, struct authority *out, struct err *err)
{
    uint64_t port;
    if (!str_to_u64(text, &port) || text.len > 5 || port < 1 || port > 65535)
        return err_set(err, "the port must be a number from 1 to 65535");
    out->port = (uint16_t)port;
    return true;
}

bool authority_parse(struct str text, struct authority *out, struct err *err)
{
    *out = (struct authority){0};
    size_t end;
    struct str port = STR_NONE;
    bool ok;
    if (str_starts(text, STR("["))) {
        if (!str_find(text, ']', &end))
            return err_set(err, "the ] of the IPv6 address is missing");
        ok = parse_ipv6((struct str){text.ptr + 1, end - 1}, out, err);
        port = str_from(text, end + 1);
        if (ok && port.len && port.ptr[0] != ':')
            ok = err_set(err, "there is text behind the ] of the IPv6 address");
    } else {
        struct str host = text;
        if (str_find(text, ':', &end)) {
            host.len = end;
            port = str_from(text, end);
        }
        ok = !str_has(str_from(port, 1), ':') ? parse_ipv4_or_name(host, out, err)
                                              : err_set(err, "an IPv6 address is written in [ ]");
    }
    if (ok && port.len)
        ok = parse_port(str_from(port, 1), out, err);
    if (!ok)
        authority_fini(out);
    return ok;
}

void authority_fini(struct authority *authority)
{
    mem_free(authority->host);
    *authority = (struct authority){0};
}

bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool host_is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
           strcmp(host, "::ffff:0.0.0.0") == 0;
}

static bool cut_scheme(struct str *rest, struct config_url *out, struct err *err)
{
    size_t at;
    bool has_scheme = str_find(*rest, ':', &at) && str_starts(str_from(*rest, at), STR("://"));
    if (!has_scheme)
        return err_set(err, "a URL starts with https:// or http://");
    struct str scheme = {rest->ptr, at};
    out->is_https = str_eq_nocase(scheme, STR("https"));
    if (!out->is_https && !str_eq_nocase(scheme, STR("http")))
        return err_set(err, "the scheme must be https or http, not %.*s", (int)(at < 20 ? at : 20),
                       scheme.ptr);
    *rest = str_from(*rest, at + 3);
    return true;
}

static size_t authority_len(struct str rest)
{
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?' && rest.ptr[len] != '#')
        len++;
    return len;
}

static bool is_dot_segment(struct str segment)
{
    return str_eq(segment, STR(".")) || str_eq(segment, STR(".."));
}

static bool check_path_and_query(struct str rest, struct err *err)
{
    for (size_t i = 0; i < rest.len; i++) {
        unsigned char byte = (unsigned char)rest.ptr[i];
        if (byte == '#')
            return err_set(err, "a fragment (#…) has no meaning here");
        if (byte <= 0x20 || byte >= 0x7f || strchr("\"<>\\^`{|}", byte))
            return err_set(err, "the path or query holds a character that must be %%-encoded");
        if (byte == '%' && (i + 2 >= rest.len || str_hex_digit(rest.ptr[i + 1]) < 0 ||
                            str_hex_digit(rest.ptr[i + 2]) < 0))
            return err_set(err, "a %% must be followed by two hexadecimal digits");
    }
    struct str path = rest, segment;
    size_t query;
    if (str_find(rest, '?', &query))
        path.len = query;
    while (str_split(&path, '/', &segment))
        if (is_dot_segment(segment))
            return err_set(err, "the path holds a \".\" or \"..\" segment");
    return true;
}

static char *authority_text(const struct config_url *url, bool is_ipv6)
{
    char text[HOST_LEN_MAX + 16], port[8] = "";
    if (url->port != (url->is_https ? 443 : 80))
        snprintf(port, sizeof port, ":%u", (unsigned)url->port);
    snprintf(text, sizeof text, "%s%s%s%s", is_ipv6 ? "[" : "", url->host, is_ipv6 ? "]" : "",
             port);
    return mem_strdup(text);
}

static bool parse_all(struct str text, struct config_url *out, struct err *err)
{
    struct str rest = text;
    if (!cut_scheme(&rest, out, err))
        return false;
    struct str host = {rest.ptr, authority_len(rest)};
    if (str_has(host, '@'))
        return err_set(err, "a user name or password does not belong into a URL");
    struct authority authority;
    if (!authority_parse(host, &authority, err))
        return false;
    rest = str_from(rest, host.len);
    out->host = authority.host;
    out->port = authority.port ? authority.port : out->is_https ? 443 : 80;
    out->authority = authority_text(out, authority.is_ipv6);
    if (!check_path_and_query(rest, err))
        return false;
    size_t query;
    if (str_find(rest, '?', &query)) {
        out->query = str_dup(str_from(rest, query + 1));
        rest.len = query;
    }
    out->path = rest.len ? str_dup(rest) : mem_strdup("/");
    out->text = str_dup(text);
    return true;
}

bool url_parse(struct str text, struct config_url *out, struct err *err)
{
    *out = (struct config_url){0};
    if (parse_all(text, out, err))
        return true;
    url_fini(out);
    return false;
}

void url_fini(struct config_url *url)
{
    mem_free(url->host);
    mem_free(url->path);
    mem_free(url->query);
    mem_free(url->authority);
    mem_free(url->text);
    *url = (struct config_url){0};
}
