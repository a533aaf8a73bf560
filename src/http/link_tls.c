// SPDX-License-Identifier: MIT
// Bytes under TLS. libcurl has made the connection and verified the upstream; once the first bytes
// were read its TLS session is driven from here, over a way to the socket (a BIO) of our own.
// libcurl's own way would look for the connection with every call, and is open only inside its
// calls. One case stays with it: TLS through a proxy that is spoken to by TLS.
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/link_private.h"

// -- the way to the socket ---------------------------------------------------------------------

static int on_wire_read(BIO *wire, char *out, int out_max)
{
    struct link *link = BIO_get_data(wire);
    ssize_t got;
    do
        got = recv(link->fd, out, (size_t)out_max, 0);
    while (got < 0 && errno == EINTR);
    BIO_clear_retry_flags(wire);
    if (got < 0 && errno == EAGAIN)
        BIO_set_retry_read(wire);
    // A read that brought less than there was room for took all there was.
    link->is_read_empty = got < out_max;
    return (int)got;
}

static int on_wire_write(BIO *wire, const char *bytes, int len)
{
    const struct link *link = BIO_get_data(wire);
    ssize_t sent;
    do
        sent = send(link->fd, bytes, (size_t)len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    BIO_clear_retry_flags(wire);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(wire);
    return (int)sent;
}

static long on_wire_control(BIO *wire, int what, long number, void *arg)
{
    (void)wire, (void)number, (void)arg;
    return what == BIO_CTRL_FLUSH; // nothing is kept back
}

struct bio_method_st *wire_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "link");
    if (method && BIO_meth_set_read(method, on_wire_read) &&
        BIO_meth_set_write(method, on_wire_write) && BIO_meth_set_ctrl(method, on_wire_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

// -- taking over -------------------------------------------------------------------------------

bool link_has_tls_proxy(const struct link *link)
{
    const char *proxy = link->target->proxy;
    return proxy && !strncasecmp(proxy, "https:", 6);
}

// To be asked right behind a read through libcurl: later it does not give the TLS session away.
static void link_find_tls(struct link *link)
{
    struct curl_tlssessioninfo *info = NULL;
    curl_easy_getinfo(link->easy, CURLINFO_TLS_SSL_PTR, &info);
    if (info && info->backend == CURLSSLBACKEND_OPENSSL)
        link->tls = info->internals;
}

// Once the first bytes were read: what the next connection needs to resume the session came before
// them, and libcurl keeps it only inside its calls. Should there be no memory, libcurl goes on.
static void link_take_over(struct link *link)
{
    // What a proxy's TLS gives out is a record at a time, and what OpenSSL writes must pass it,
    // too.
    BIO *wire = link->tls && !link_has_tls_proxy(link) ? BIO_new(link->context->wire) : NULL;
    if (!wire)
        return;
    BIO_set_data(wire, link);
    BIO_set_init(wire, 1);
    SSL_set_bio(link->tls, wire, wire);
    link->is_taken_over = true;
}

// -- bytes -------------------------------------------------------------------------------------

static ssize_t link_result(const struct link *link, int result)
{
    if (result > 0)
        return result;
    if (SSL_want(link->tls) != SSL_NOTHING && BIO_should_retry(SSL_get_rbio(link->tls)))
        return LINK_AGAIN;
    // Only with nothing in OpenSSL's queue of errors, ours or others', does it tell of a
    // close_notify; an alert that ends the connection is none.
    ERR_clear_error();
    return SSL_get_error(link->tls, 0) == SSL_ERROR_ZERO_RETURN ? LINK_EOF : LINK_FAILED;
}

static int clip(size_t len)
{
    return len < INT_MAX ? (int)len : INT_MAX;
}

static ssize_t link_recv_curl(struct link *link, char *out, size_t out_max)
{
    size_t got = 0;
    CURLcode code = curl_easy_recv(link->easy, out, out_max, &got);
    if (!link->tls)
        link_find_tls(link);
    if (got)
        link_take_over(link);
    if (code == CURLE_AGAIN)
        return LINK_AGAIN;
    // libcurl takes the end of the connection for the end of the data; only a close_notify is that.
    bool is_whole = got > 0 || (link->tls && (SSL_get_shutdown(link->tls) & SSL_RECEIVED_SHUTDOWN));
    return code == CURLE_OK && is_whole ? (ssize_t)got : LINK_FAILED;
}

ssize_t link_recv_tls(struct link *link, char *out, size_t out_max)
{
    if (!link->is_taken_over) {
        ssize_t got = link_recv_curl(link, out, out_max);
        link->is_drained = got == LINK_AGAIN;
        return got;
    }
    ssize_t got = link_result(link, SSL_read(link->tls, out, clip(out_max)));
    // Nothing on the socket and nothing read ahead: a read to learn just that can be spared.
    link->is_drained = got == LINK_AGAIN
                           ? SSL_want_read(link->tls)
                           : got > 0 && link->is_read_empty && !SSL_has_pending(link->tls);
    return got;
}

static ssize_t link_send_part(struct link *link, struct str part)
{
    if (link->is_taken_over) {
        ssize_t sent = link_result(link, SSL_write(link->tls, part.ptr, clip(part.len)));
        return sent == LINK_EOF ? LINK_FAILED : sent;
    }
    size_t sent = 0;
    CURLcode code = curl_easy_send(link->easy, part.ptr, part.len, &sent);
    if (code == CURLE_AGAIN)
        return LINK_AGAIN;
    return code == CURLE_OK ? (ssize_t)sent : LINK_FAILED;
}

ssize_t link_send_tls(struct link *link, const struct str *parts, size_t part_count)
{
    size_t total = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (!parts[i].len)
            continue;
        ssize_t sent = link_send_part(link, parts[i]);
        if (sent == LINK_FAILED)
            return LINK_FAILED;
        total += sent > 0 ? (size_t)sent : 0;
        if (sent < (ssize_t)parts[i].len)
            return total ? (ssize_t)total : LINK_AGAIN;
    }
    return (ssize_t)total;
}

void link_shut_tls(const struct link *link)
{
    if (!link->is_taken_over || SSL_shutdown(link->tls) >= 0)
        return;
    ERR_clear_error();
    log_debug("link.no_end"); // the end of the connection tells all
}
