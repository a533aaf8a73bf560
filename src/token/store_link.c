// SPDX-License-Identifier: MIT
// See store_link.h. The door to OpenSSL's TLS. Owns a descriptor and what is spoken over it;
// refuses to know the protocol above. Invariants: the descriptor is non-blocking and every wait is
// a poll() up to the deadline; over TLS nothing is sent before the peer's name was verified.
#include "token/store_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/loop.h"

struct store_link {
    int fd;
    SSL_CTX *tls_ctx; // NULL: without TLS
    SSL *tls;
};

// -- waiting -----------------------------------------------------------------------------------

static bool wait_for(int fd, short events, uint64_t deadline_ms, struct err *err)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now_ms = clock_boottime_us() / 1000;
        if (now_ms >= deadline_ms)
            return err_set(err, "no answer in time");
        uint64_t left_ms = deadline_ms - now_ms;
        // In slices: poll() does not count time that the machine is suspended.
        int count = poll(&poll_fd, 1, left_ms < 1000 ? (int)left_ms : 1000);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return err_errno(err, "cannot wait");
    }
}

// -- connecting --------------------------------------------------------------------------------

static bool connect_to(struct store_link *link, const struct sockaddr *address, socklen_t len,
                       uint64_t deadline_ms, struct err *err)
{
    link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->fd < 0)
        return err_errno(err, "cannot make a socket");
    int code = 0;
    socklen_t code_len = sizeof code;
    if (connect(link->fd, address, len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return err_errno(err, "cannot connect");
    if (!wait_for(link->fd, POLLOUT, deadline_ms, err))
        return false;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &code, &code_len);
    errno = code;
    return code == 0 || err_errno(err, "cannot connect");
}

static void link_drop_fd(struct store_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static bool connect_unix(struct store_link *link, const char *path, uint64_t deadline_ms,
                         struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path)
        return err_set(err, "the socket's path is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len);
    return connect_to(link, (const struct sockaddr *)&address, sizeof address, deadline_ms, err);
}

static bool connect_tcp(struct store_link *link, const struct store_link_peer *peer,
                        uint64_t deadline_ms, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(peer->host, peer->port, &hints, &found);
    if (code != 0)
        return err_set(err, "%s", gai_strerror(code));
    bool ok = false;
    for (struct addrinfo *at = found; at && !ok; at = at->ai_next) {
        link_drop_fd(link);
        ok = connect_to(link, at->ai_addr, at->ai_addrlen, deadline_ms, err);
    }
    freeaddrinfo(found);
    const int one = 1;
    if (ok)
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return ok;
}

// -- TLS ---------------------------------------------------------------------------------------

static bool tls_failed(struct err *err, const char *what)
{
    char text[200] = "the connection broke";
    unsigned long code = ERR_get_error();
    if (code)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_set(err, "%s: %s", what, text);
}

static bool tls_set_files(SSL_CTX *ctx, const struct config_tls *tls, struct err *err)
{
    if (tls->ca_file ? SSL_CTX_load_verify_file(ctx, tls->ca_file) != 1
                     : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return tls_failed(err, tls->ca_file ? tls->ca_file : "system certificates");
    if (!tls->cert_file)
        return true;
    const char *key_file = tls->key_file ? tls->key_file : tls->cert_file;
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert_file) != 1)
        return tls_failed(err, tls->cert_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return tls_failed(err, key_file);
    return true;
}

// An address is compared with the certificate's addresses, a name with its names.
static bool tls_set_peer(SSL *tls, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1;
    return SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
}

// True: try again, the descriptor is ready for it.
static bool tls_wait(struct store_link *link, int result, uint64_t deadline_ms, bool *out_is_over,
                     struct err *err)
{
    switch (SSL_get_error(link->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(link->fd, POLLIN, deadline_ms, err);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(link->fd, POLLOUT, deadline_ms, err);
    default:
        *out_is_over = true;
        return tls_failed(err, "TLS");
    }
}

static bool tls_start(struct store_link *link, const struct store_link_peer *peer,
                      uint64_t deadline_ms, struct err *err)
{
    bool is_over = false;
    link->tls_ctx = SSL_CTX_new(TLS_client_method());
    if (!link->tls_ctx || SSL_CTX_set_min_proto_version(link->tls_ctx, TLS1_2_VERSION) != 1)
        return tls_failed(err, "TLS");
    SSL_CTX_set_verify(link->tls_ctx, SSL_VERIFY_PEER, NULL);
    if (!tls_set_files(link->tls_ctx, peer->tls, err))
        return false;
    link->tls = SSL_new(link->tls_ctx);
    if (!link->tls || !tls_set_peer(link->tls, peer->host) || SSL_set_fd(link->tls, link->fd) != 1)
        return tls_failed(err, "TLS");
    int result;
    while ((result = SSL_connect(link->tls)) != 1) {
        long verified = SSL_get_verify_result(link->tls);
        if (tls_wait(link, result, deadline_ms, &is_over, err))
            continue;
        if (verified != X509_V_OK)
            err_set(err, "its certificate is refused: %s", X509_verify_cert_error_string(verified));
        return false;
    }
    return true;
}

// -- life --------------------------------------------------------------------------------------

struct store_link *store_link_open(const struct store_link_peer *peer, uint64_t deadline_ms,
                                   struct err *err)
{
    struct store_link *link = mem_alloc(sizeof *link);
    link->fd = -1;
    bool ok = peer->unix_path ? connect_unix(link, peer->unix_path, deadline_ms, err)
                              : connect_tcp(link, peer, deadline_ms, err);
    if (ok && (!peer->tls || tls_start(link, peer, deadline_ms, err)))
        return link;
    store_link_close(link);
    return NULL;
}

void store_link_close(struct store_link *link)
{
    if (!link)
        return;
    SSL_free(link->tls);
    SSL_CTX_free(link->tls_ctx);
    link_drop_fd(link);
    mem_free(link);
}

// -- bytes -------------------------------------------------------------------------------------

// How many went out; 0: none yet; below: it is over.
static ssize_t link_try_send(struct store_link *link, struct str bytes, uint64_t deadline_ms,
                             struct err *err)
{
    bool is_over = false;
    if (link->tls) {
        int result = SSL_write(link->tls, bytes.ptr, (int)bytes.len);
        return result > 0 ? result : tls_wait(link, result, deadline_ms, &is_over, err) ? 0 : -1;
    }
    ssize_t sent = send(link->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (sent >= 0 || errno == EINTR)
        return sent >= 0 ? sent : 0;
    if (errno != EAGAIN) {
        err_errno(err, "cannot send");
        return -1;
    }
    return wait_for(link->fd, POLLOUT, deadline_ms, err) ? 0 : -1;
}

bool store_link_send(struct store_link *link, struct str bytes, uint64_t deadline_ms,
                     struct err *err)
{
    while (bytes.len) {
        ssize_t sent = link_try_send(link, bytes, deadline_ms, err);
        if (sent < 0)
            return false;
        bytes = str_from(bytes, (size_t)sent);
    }
    return true;
}

bool store_link_receive(struct store_link *link, struct buf *out, uint64_t deadline_ms,
                        bool *out_is_over, struct err *err)
{
    *out_is_over = false;
    if (!buf_reserve(out, 1))
        return err_set(err, "it sent too much");
    for (;;) {
        char *into = out->ptr + out->len;
        size_t room = out->cap - out->len;
        ssize_t got =
            link->tls ? SSL_read(link->tls, into, (int)room) : recv(link->fd, into, room, 0);
        if (got > 0) {
            out->len += (size_t)got;
            return true;
        }
        if (link->tls) {
            if (!tls_wait(link, (int)got, deadline_ms, out_is_over, err))
                return false;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            *out_is_over = true;
            return got ? err_errno(err, "cannot receive")
                       : err_set(err, "it closed the connection");
        } else if (!wait_for(link->fd, POLLIN, deadline_ms, err)) {
            return false;
        }
    }
}
