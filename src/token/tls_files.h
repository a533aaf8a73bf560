// SPDX-License-Identifier: MIT
// Are the TLS settings of a configuration what they should be, its files above all? Looked at when
// the configuration is loaded, so that a wrong one is a fault with its line, not a connection that
// fails later. Pure but for reading the files.
#ifndef TOKEN_TLS_FILES_H
#define TOKEN_TLS_FILES_H

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"
#include "http/tls.h"

// ca_file holds certificates; cert_file holds one, and key_file (or cert_file itself) its private
// key, without a passphrase; OpenSSL knows the ciphers. NULL members are fine.
bool tls_files_check(const struct config_tls *tls, struct err *err) WARN_UNUSED;

// The same settings, as connections take them; borrowed.
static inline struct tls_options tls_files_options(const struct config_tls *tls)
{
    return (struct tls_options){
        .ca_file = tls->ca_file,
        .cert_file = tls->cert_file,
        .key_file = tls->key_file,
        .is_13_only = tls->min == TLS_MIN_1_3,
        .ciphers = tls->ciphers,
        .ciphersuites = tls->ciphersuites,
        .pin = tls->pin,
    };
}
// What is in the files, as one hash: connections made with other contents are others. "": there are
// no files.
#define TLS_MARK_LEN 64
void tls_files_mark(const struct config_tls *tls, char out[TLS_MARK_LEN + 1]);

#endif
