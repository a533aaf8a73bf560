// SPDX-License-Identifier: MIT
// Certification authorities as parsed from their PEM file, kept for the next connection: the
// system's bundle takes 20 ms and more to parse, a handshake takes half of one. With them the TLS
// sessions that may be resumed. Files that have changed are read again. One set of these for each
// loop, used on its thread alone.
#ifndef HTTP_TRUST_H
#define HTTP_TRUST_H

#include "base/err.h"
#include "base/mem.h"

struct trusts;
struct trust; // the authorities of one file, and sessions; counted

struct trusts *trusts_new(void) WARN_UNUSED;
void trusts_free(struct trusts *trusts); // those still in use live on; NULL is fine

// ca_file NULL: the system's. cert_file: the client certificate that will be shown, NULL for none;
// a session stands for the certificate it began with, so another one has other sessions. The
// caller's reference is to be given back. NULL, with err, when a file cannot be read or the first
// holds no certificate: there is nothing to fall back on.
struct trust *trusts_find(struct trusts *trusts, const char *ca_file, const char *cert_file,
                          struct err *err) WARN_UNUSED;
void trust_unref(struct trust *trust); // NULL is fine

// Makes a libcurl handle (CURL *) trust these alone, and share DNS answers and TLS sessions with
// the others that do. The trust must outlive the handle, and the multi that it is in may hold no
// other: libcurl takes a store that it finds in the multi for the handle's own.
void trust_use(struct trust *trust, void *easy);
// For the handle's CURLOPT_SSL_CTX_FUNCTION, which may have more to do: ctx is the SSL_CTX *.
void trust_set_store(const struct trust *trust, void *ctx);

#endif
