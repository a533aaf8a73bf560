// SPDX-License-Identifier: MIT
// What a TLS connection that we open has to be like, told to libcurl in one place: always verified,
// TLS 1.2 or later, nothing from the environment.
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stdint.h>

struct tls_options {                  // borrowed
    const char *ca_file;              // NULL: the system's authorities
    const char *cert_file, *key_file; // NULL: none; the key may be in cert_file
    bool is_13_only;
    const char *ciphers, *ciphersuites; // OpenSSL's lists, up to TLS 1.2 and for 1.3; NULL: its own
    const char *pin;                    // "sha256//BASE64;sha256//…" of public keys; NULL: any
};

// easy: a CURL *.
void tls_apply(void *easy, const struct tls_options *options);
// Authorities that were parsed longer ago are read again, and after a minute in any case; and no
// session that older ones verified is resumed.
void tls_forget_authorities(void *easy, uint64_t age_max_s);

#endif
