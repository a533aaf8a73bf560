// SPDX-License-Identifier: MIT
// Listening sockets: TCP on a literal address, or a unix socket with its mode. A stale unix socket
// file (nobody answers on it) is replaced; a living one is an error.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/server.h"

#define BACKLOG 1024

// A unix socket's file gets the mode of the socket: none, so that nobody gets in before it is
// right. Not by the umask, which is the whole process's: other threads create files.
static bool hide(int family, int fd)
{
    return family != AF_UNIX || fchmod(fd, 0) == 0;
}

static int listen_on(int family, const struct sockaddr *address, socklen_t address_len,
                     bool is_shared)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (is_shared && family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!hide(family, fd) || bind(fd, address, address_len) || listen(fd, BACKLOG)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static bool unix_is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool alive = !connect(fd, (const struct sockaddr *)address, sizeof *address);
    alive = alive || (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return alive;
}

static int listen_unix(const char *path, unsigned mode, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        err_set(err, "socket path %s is longer than %zu bytes", path, sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    struct stat st;
    if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
        if (unix_is_alive(&address)) {
            err_set(err, "another process answers on %s", path);
            return -1;
        }
        unlink(path);
    }
    int fd = listen_on(AF_UNIX, (const struct sockaddr *)&address, sizeof address, false);
    if (fd < 0 || chmod(path, mode)) {
        err_errno(err, "cannot listen on unix:%s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

struct inet_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t len;
};

static bool inet_parse(const char *text, struct inet_address *out)
{
    struct str address = str_of(text);
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (!colon || !str_to_u64(str_from(address, colon), &port) || port > 65535)
        return false;
    char host[64];
    struct str name = {address.ptr, colon - 1};
    bool is_v6 = name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
    if (is_v6)
        name = (struct str){name.ptr + 1, name.len - 2};
    if (str_eq_nocase(name, STR("localhost")))
        name = STR("127.0.0.1");
    if (!name.len)
        name = STR("0.0.0.0");
    if (name.len >= sizeof host)
        return false;
    memcpy(host, name.ptr, name.len);
    host[name.len] = '\0';
    *out = (struct inet_address){0};
    if (is_v6) {
        out->len = sizeof out->socket.v6;
        out->socket.v6.sin6_family = AF_INET6;
        out->socket.v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &out->socket.v6.sin6_addr) == 1;
    }
    out->len = sizeof out->socket.v4;
    out->socket.v4.sin_family = AF_INET;
    out->socket.v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out->socket.v4.sin_addr) == 1;
}

static void inet_print(int fd, char *out, size_t out_max)
{
    struct inet_address bound = {.len = sizeof bound.socket};
    char host[64] = "";
    if (getsockname(fd, &bound.socket.any, &bound.len) < 0)
        return;
    if (bound.socket.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &bound.socket.v6.sin6_addr, host, sizeof host);
        snprintf(out, out_max, "[%s]:%u", host, (unsigned)ntohs(bound.socket.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &bound.socket.v4.sin_addr, host, sizeof host);
        snprintf(out, out_max, "%s:%u", host, (unsigned)ntohs(bound.socket.v4.sin_port));
    }
}

void listen_address(int fd, char out[LISTEN_ADDRESS_MAX])
{
    struct sockaddr_un bound = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    out[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&bound, &len))
        return;
    size_t head = offsetof(struct sockaddr_un, sun_path), path_len = len > head ? len - head : 0;
    if (bound.sun_family != AF_UNIX)
        inet_print(fd, out, LISTEN_ADDRESS_MAX);
    else if (path_len && bound.sun_path[0]) // neither without a name nor abstract
        snprintf(out, LISTEN_ADDRESS_MAX, "unix:%.*s", (int)path_len, bound.sun_path);
}

static bool is_wildcard(const struct inet_address *address)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    if (address->socket.any.sa_family == AF_INET6)
        return !memcmp(&address->socket.v6.sin6_addr, &any, sizeof any);
    return address->socket.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static bool is_same_host(const struct inet_address *one, const struct inet_address *other)
{
    if (one->socket.any.sa_family == AF_INET6)
        return !memcmp(&one->socket.v6.sin6_addr, &other->socket.v6.sin6_addr,
                       sizeof one->socket.v6.sin6_addr);
    return one->socket.v4.sin_addr.s_addr == other->socket.v4.sin_addr.s_addr;
}

const char *listen_path(const char *address)
{
    static const char scheme[] = "unix:";
    size_t len = sizeof scheme - 1;
    return strncmp(address, scheme, len) == 0 ? address + len : NULL;
}

bool listen_overlaps(const char *address, const char *other)
{
    struct inet_address a, b;
    if (!inet_parse(address, &a) || !inet_parse(other, &b) ||
        a.socket.any.sa_family != b.socket.any.sa_family ||
        a.socket.v4.sin_port != b.socket.v4.sin_port) // which lies where it does in the other one
        return false;
    return is_wildcard(&a) || is_wildcard(&b) || is_same_host(&a, &b);
}

bool listen_is_free(const char *address, struct err *err)
{
    struct inet_address parsed;
    int on = 1;
    if (!inet_parse(address, &parsed))
        return true; // listen_open() has more to say about it
    int fd = socket(parsed.socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (parsed.socket.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    bool is_free = fd >= 0 && !bind(fd, &parsed.socket.any, parsed.len);
    if (!is_free)
        err_errno(err, "cannot listen on %s", address);
    if (fd >= 0)
        close(fd);
    return is_free;
}

int listen_open(const char *address, bool is_shared, unsigned unix_mode, char *out_bound,
                size_t out_bound_max, struct err *err)
{
    const char *path = listen_path(address);
    if (path) {
        snprintf(out_bound, out_bound_max, "%s", address);
        return listen_unix(path, unix_mode, err);
    }
    struct inet_address parsed;
    if (!inet_parse(address, &parsed)) {
        err_set(err,
                "%s is not an address to listen on: write 127.0.0.1:8080, [::1]:8080 or unix:/path",
                address);
        return -1;
    }
    int fd = listen_on(parsed.socket.any.sa_family, &parsed.socket.any, parsed.len, is_shared);
    if (fd < 0)
        err_errno(err, "cannot listen on %s", address);
    else
        inet_print(fd, out_bound, out_bound_max);
    return fd;
}
