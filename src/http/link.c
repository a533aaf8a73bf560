// SPDX-License-Identifier: MIT
// See link.h. libcurl is used with CURLOPT_CONNECT_ONLY. A plain connection's socket is taken out
// of libcurl once it stands. A TLS one stays there until it is closed, in a multi of its own, since
// libcurl walks all connections of a multi to find it; its bytes go past libcurl (link_tls.c).
// Invariant: `fd` is watched exactly while is_connected.
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http/link_private.h"
#include "http/multi.h"
#include "http/trust.h"

void *link_owner(const struct link *link)
{
    return link->owner;
}

bool link_is_quiet(struct link *link)
{
    char byte;
    return !link->has_hung_up && (link->is_drained || link_recv(link, &byte, 1) == LINK_AGAIN);
}

// -- connecting --------------------------------------------------------------------------------

static enum link_error link_error_of(CURLcode code)
{
    static const struct {
        CURLcode code;
        enum link_error error;
    } table[] = {
        {CURLE_OPERATION_TIMEDOUT, LINK_TIMEOUT},
        {CURLE_SSL_CONNECT_ERROR, LINK_TLS},
        {CURLE_PEER_FAILED_VERIFICATION, LINK_TLS},
        {CURLE_SSL_ISSUER_ERROR, LINK_TLS},
        {CURLE_SSL_PINNEDPUBKEYNOTMATCH, LINK_TLS},
        {CURLE_SSL_INVALIDCERTSTATUS, LINK_TLS},
        {CURLE_SSL_CLIENTCERT, LINK_TLS},
        {CURLE_SSL_CERTPROBLEM, LINK_LOCAL},
        {CURLE_SSL_CACERT_BADFILE, LINK_LOCAL},
        {CURLE_SSL_ENGINE_INITFAILED, LINK_LOCAL},
        {CURLE_FAILED_INIT, LINK_LOCAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].code == code)
            return table[i].error;
    return LINK_UNREACHABLE;
}

// libcurl does not tell why it got no socket.
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct link *link = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    link->has_no_socket =
        fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void on_watch_ready(struct watch *watch, unsigned ready)
{
    struct link *link = CONTAINER_OF(watch, struct link, watch);
    if (ready & (LOOP_READ | LOOP_HANGUP))
        link->is_drained = link->is_read_empty = false;
    if (ready & LOOP_HANGUP)
        link->has_hung_up = true;
    link->ops->on_ready(link, ready & LOOP_HANGUP);
}

// libcurl closes the sockets it tried in vain; the one that was taken out is not its own any more.
static int on_close_socket(void *arg, curl_socket_t fd)
{
    const struct link *link = arg;
    if (link->is_connected && !link->multi && fd == link->fd)
        return 0;
    return close(fd);
}

static void link_on_done(void *easy, int code)
{
    char *arg = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &arg);
    struct link *link = (struct link *)(void *)arg;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (link->is_closed)
        return;
    if (code == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD) {
        const char *why = *link->error_text ? link->error_text : curl_easy_strerror((CURLcode)code);
        enum link_error error = link_error_of((CURLcode)code);
        if (error == LINK_UNREACHABLE && link->has_no_socket)
            error = LINK_EXHAUSTED;
        link->ops->on_connect(link, error, why);
        return;
    }
    link->fd = fd;
    link->is_connected = true;
    if (!link->multi) {
        multi_remove(link->context->multi, link->easy);
        curl_easy_cleanup(link->easy);
        link->easy = NULL;
        link->is_drained = true; // an edge will tell if something is there already
    }
    struct err err;
    if (watch_start(link->context->loop, &link->watch, fd,
                    LOOP_READ | LOOP_WRITE | LOOP_HANGUP | LOOP_EDGE, &err))
        link->ops->on_connect(link, LINK_OK, "");
    else
        link->ops->on_connect(link, LINK_EXHAUSTED, err.text);
}

static void on_done(void *arg, void *easy, int code)
{
    (void)arg;
    link_on_done(easy, code);
}

static CURLcode on_ssl_ctx(CURL *easy, void *ctx, void *arg)
{
    (void)easy;
    const struct link *link = arg;
    if (link->trust)
        trust_set_store(link->trust, ctx);
    // What could not be written is offered again from wherever it lies by then; OpenSSL refuses
    // that unless told so.
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
    // libcurl has them given back after each record: allocated, and wiped, with every request.
    SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1); // a record's head and body with one read
    return CURLE_OK;
}

static void link_set_tls(struct link *link, CURL *easy)
{
    tls_apply(easy, &link->target->tls);
    if (link->trust)
        trust_use(link->trust, easy);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, link);
}

// libcurl takes SNI and the name to verify from the URL, and connects somewhere else if told so.
static bool link_set_address(struct link *link, CURL *easy)
{
    const struct link_target *target = link->target;
    const char *name = target->is_https && target->tls_name ? target->tls_name : target->host;
    bool is_elsewhere = name != target->host && !target->unix_socket;
    char text[600];
    snprintf(text, sizeof text, strchr(name, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/",
             target->is_https ? "https" : "http", name, (unsigned)target->port);
    curl_easy_setopt(easy, CURLOPT_URL, text);
    if (target->unix_socket)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_socket);
    if (!is_elsewhere)
        return true;
    snprintf(text, sizeof text, strchr(target->host, ':') ? "::[%s]:%u" : "::%s:%u", target->host,
             (unsigned)target->port);
    link->connect_to = curl_slist_append(NULL, text);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, link->connect_to);
    return link->connect_to != NULL;
}

static void link_set_options(struct link *link, CURL *easy)
{
    const struct link_target *target = link->target;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); // ALPN, too
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // do not wait for a resolver thread
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    // "" and not NULL: NULL would obey http_proxy of the environment, which may be ourselves.
    curl_easy_setopt(easy, CURLOPT_PROXY, target->proxy ? target->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, target->proxy ? "" : "*");
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)target->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, link);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, link->error_text);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, link);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, link);
    if (target->is_https)
        link_set_tls(link, easy);
    if (!link->trust)
        curl_easy_setopt(easy, CURLOPT_SHARE, link->context->share);
}

static void on_fail_task(struct task *task)
{
    struct link *link = CONTAINER_OF(task, struct link, fail_task);
    link->ops->on_connect(link, link->start_error, link->error_text);
}

static bool link_prepare_tls(struct link *link, struct err *err)
{
    const struct link_target *target = link->target;
    // On the way through an https:// proxy libcurl would ask for the store twice, and add those
    // whom it trusts as a proxy to those whom we trust as an upstream.
    bool has_tls_proxy = link_has_tls_proxy(link);
    if (!has_tls_proxy)
        link->trust =
            trusts_find(link->context->trusts, target->tls.ca_file, target->tls.cert_file, err);
    if (!has_tls_proxy && !link->trust) {
        link->start_error = LINK_LOCAL;
        return false;
    }
    link->multi = multi_new(link->context->loop, on_done, NULL, err);
    return link->multi != NULL;
}

struct link *link_new(struct link_context *context, const struct link_target *target,
                      const struct link_ops *ops, void *owner)
{
    struct link *link = mem_alloc(sizeof *link);
    struct err err = {"cannot create a libcurl handle"};
    *link =
        (struct link){.context = context, .target = target, .ops = ops, .owner = owner, .fd = -1};
    link->start_error = LINK_EXHAUSTED;
    link->watch.on_ready = on_watch_ready;
    task_init(&link->fail_task, on_fail_task);
    link->easy = curl_easy_init();
    if (!link->easy)
        goto fail;
    if (target->is_https && !link_prepare_tls(link, &err))
        goto fail;
    link_set_options(link, link->easy);
    if (link_set_address(link, link->easy) &&
        multi_add(link->multi ? link->multi : context->multi, link->easy, &err))
        return link;
fail:
    snprintf(link->error_text, sizeof link->error_text, "%.200s", err.text);
    loop_defer(context->loop, &link->fail_task);
    return link;
}

// -- closing -----------------------------------------------------------------------------------

static void link_bury(struct link *link)
{
    if (link->easy) {
        multi_remove(link->multi ? link->multi : link->context->multi, link->easy);
        curl_easy_cleanup(link->easy); // closes a TLS connection's socket
    } else if (link->is_connected) {
        close(link->fd);
    }
    curl_slist_free_all(link->connect_to);
    multi_free(link->multi);
    trust_unref(link->trust);
    mem_free(link);
}

static void on_bury(struct task *task)
{
    struct link_context *context = CONTAINER_OF(task, struct link_context, bury_task);
    struct list *node;
    while ((node = list_take_first(&context->dead)))
        link_bury(CONTAINER_OF(node, struct link, dead_link));
}

void link_close(struct link *link)
{
    // libcurl may be on the stack (a transfer's end is reported from its loop): bury later.
    link->is_closed = true;
    watch_stop(link->context->loop, &link->watch);
    task_cancel(&link->fail_task);
    list_append(&link->context->dead, &link->dead_link);
    loop_defer(link->context->loop, &link->context->bury_task);
}

// -- bytes -------------------------------------------------------------------------------------

static ssize_t link_recv_plain(struct link *link, char *out, size_t out_max)
{
    for (;;) {
        ssize_t got = recv(link->fd, out, out_max, 0);
        if (got >= 0) {
            link->is_drained = (size_t)got < out_max;
            return got;
        }
        if (errno == EAGAIN)
            return LINK_AGAIN;
        if (errno != EINTR)
            return LINK_FAILED;
    }
}

ssize_t link_recv(struct link *link, char *out, size_t out_max)
{
    if (link->is_drained && !link->has_hung_up)
        return LINK_AGAIN;
    return link->easy ? link_recv_tls(link, out, out_max) : link_recv_plain(link, out, out_max);
}

static ssize_t link_send_plain(struct link *link, const struct str *parts, size_t part_count)
{
    struct iovec vector[LINK_PARTS_MAX];
    for (size_t i = 0; i < part_count; i++)
        vector[i] = (struct iovec){mem_unconst(parts[i].ptr), parts[i].len};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = part_count};
    for (;;) {
        // One part is the usual case, and send() the cheaper call.
        ssize_t sent = part_count == 1 ? send(link->fd, parts->ptr, parts->len, MSG_NOSIGNAL)
                                       : sendmsg(link->fd, &message, MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno == EAGAIN)
            return LINK_AGAIN;
        if (errno != EINTR)
            return LINK_FAILED;
    }
}

ssize_t link_send(struct link *link, const struct str *parts, size_t part_count)
{
    ssize_t sent = LINK_FAILED;
    if (!link->has_failed)
        sent = link->easy ? link_send_tls(link, parts, part_count)
                          : link_send_plain(link, parts, part_count);
    link->has_failed = sent == LINK_FAILED;
    return sent;
}

void link_shut(struct link *link)
{
    if (link->easy)
        link_shut_tls(link);
    else
        shutdown(link->fd, SHUT_WR);
    link->has_failed = true; // for whoever would send nevertheless
}

// -- context -----------------------------------------------------------------------------------

struct link_context *link_context_new(struct loop *loop, struct err *err)
{
    struct link_context *context = mem_alloc(sizeof *context);
    context->loop = loop;
    list_init(&context->dead);
    task_init(&context->bury_task, on_bury);
    context->multi = multi_new(loop, on_done, NULL, err);
    context->share = curl_share_init();
    context->trusts = trusts_new();
    context->wire = wire_new();
    if (!context->multi || !context->share || !context->wire) {
        if (context->multi)
            err_set(err, "out of memory");
        link_context_free(context);
        return NULL;
    }
    // One thread uses it, so it needs no locks.
    curl_share_setopt(context->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    return context;
}

void link_context_free(struct link_context *context)
{
    if (!context)
        return;
    on_bury(&context->bury_task);
    task_cancel(&context->bury_task);
    multi_free(context->multi);
    if (context->share)
        curl_share_cleanup(context->share);
    trusts_free(context->trusts);
    BIO_meth_free(context->wire);
    mem_free(context);
}
