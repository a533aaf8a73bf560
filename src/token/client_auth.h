// SPDX-License-Identifier: MIT
// How a client proves itself at the token endpoint (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2):
// exactly one method per request, either a header field or parameters of the form body. The outputs
// hold secrets: whoever owns the buffers ends them with buf_fini(), which wipes.
#ifndef TOKEN_CLIENT_AUTH_H
#define TOKEN_CLIENT_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

#define CLIENT_AUTH_READ_MAX    ((size_t)2 * SECRET_MAX)
#define CLIENT_ASSERTION_LIFE_S 60

// Appends what the credential's auth_method works with, read anew: the secret (or the next one),
// the signing key with its certificate, the TLS certificate, or the assertion that somebody else
// has put into a file. Nothing for AUTH_NONE.
bool client_auth_read(const struct config_credential *credential, bool is_next, struct buf *out,
                      struct err *err) WARN_UNUSED;

struct client_auth {
    const struct config_credential *credential;
    struct str secret;    // as read
    const char *audience; // of an assertion made here, unless the credential names another
    int64_t now_s;        // wall clock
};

// Adds what the credential's auth_method asks for: "Authorization: Basic …" to header (empty
// before), or parameters to form. *shown, empty before, gets what was shown of the secret (the
// encoded pair, the assertion), which an answer must not repeat. A fresh assertion each time (T16).
// False: something that the method cannot carry.
bool client_auth_add(const struct client_auth *auth, struct buf *header, struct buf *form,
                     struct buf *shown, struct err *err) WARN_UNUSED;

// application/x-www-form-urlencoded (RFC 6749 appendix B). False when out is full.
bool client_auth_form_encode(struct str text, struct buf *out) WARN_UNUSED;

#endif
