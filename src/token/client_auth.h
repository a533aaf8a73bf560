// SPDX-License-Identifier: MIT
// How a client proves itself at the token endpoint (RFC 6749 2.3): exactly one method per request,
// either a header field or parameters of the form body. Pure. The outputs hold the secret: whoever
// owns the buffers ends them with buf_fini(), which wipes.
#ifndef TOKEN_CLIENT_AUTH_H
#define TOKEN_CLIENT_AUTH_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

// Adds what the credential's auth_method asks for: "Authorization: Basic …" to header (empty
// before), or `&client_id=…` and `&client_secret=…` to form. False: an id or a secret that the
// method cannot carry.
bool client_auth_add(const struct config_credential *credential, struct str secret,
                     struct buf *header, struct buf *form, struct err *err) WARN_UNUSED;

// application/x-www-form-urlencoded (RFC 6749 appendix B). False when out is full.
bool client_auth_form_encode(struct str text, struct buf *out) WARN_UNUSED;

#endif
