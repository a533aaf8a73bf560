// SPDX-License-Identifier: MIT
// What link.c (connecting, closing, plain bytes) and link_tls.c (bytes under TLS) share; nobody
// else includes this.
#ifndef HTTP_LINK_PRIVATE_H
#define HTTP_LINK_PRIVATE_H

#include "base/list.h"
#include "http/link.h"

#define LINK_ERROR_SIZE 256 // libcurl's CURL_ERROR_SIZE

struct bio_method_st;
struct ssl_st;

struct link_context {
    struct loop *loop;
    struct multi *multi; // plain connections on their way up
    void *share;         // CURLSH, of plain ones
    struct trusts *trusts;
    struct bio_method_st *wire; // of TLS ones: OpenSSL's way to the socket
    struct list dead;           // of struct link, closed in this turn
    struct task bury_task;
};

struct link {
    struct link_context *context;
    const struct link_target *target;
    const struct link_ops *ops;
    void *owner;
    void *easy;          // CURL; NULL once a plain socket was taken out
    struct multi *multi; // TLS: its own; plain: NULL
    struct trust *trust; // TLS: whom it believes; NULL: libcurl reads the file
    struct curl_slist *connect_to;
    struct ssl_st *tls; // of a TLS one, once something was read
    bool is_taken_over; // from libcurl: what OpenSSL reads and writes does not pass it any more
    struct watch watch;
    struct list dead_link;
    struct task fail_task;       // it could not even be started: told from the loop …
    enum link_error start_error; // … as this
    int fd;
    bool is_connected, is_closed;
    bool has_no_socket; // the last try found no descriptor or memory for one
    bool has_failed;    // for good
    bool is_drained;    // the last read took all there was, so wait for the next edge …
    bool has_hung_up;   // … unless the peer's end is still to be read
    bool is_read_empty; // TLS: what the socket had is with OpenSSL
    char error_text[LINK_ERROR_SIZE];
};

// link_tls.c
bool link_has_tls_proxy(const struct link *link);
// The link is a connected TLS one.
struct bio_method_st *wire_new(void); // NULL: no memory; BIO_meth_free() when its links are gone
ssize_t link_recv_tls(struct link *link, char *out, size_t out_max);
ssize_t link_send_tls(struct link *link, const struct str *parts, size_t part_count);
void link_shut_tls(const struct link *link);

#endif
