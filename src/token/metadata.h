// SPDX-License-Identifier: MIT
// Internal to token/: authorization server metadata as text (RFC 8414, OpenID Connect Discovery):
// where it is, what it says, how long it may be kept. Pure. What a server says about itself is
// believed only if it names the issuer that was asked for, byte for byte, and never leads to a less
// protected connection than the issuer's own.
#ifndef TOKEN_METADATA_H
#define TOKEN_METADATA_H

#include "base/buf.h"
#include "config/config.h"

#define METADATA_BODY_MAX ((size_t)256 * 1024)

enum metadata_form { METADATA_OAUTH, METADATA_OPENID, METADATA_FORMS };

// The well-known URL of the issuer's metadata. NULL: the issuer is no usable URL.
char *metadata_url(const char *issuer, enum metadata_form form) WARN_UNUSED;

enum metadata_doubt {            // what the server does not say it supports
    METADATA_NO_METHOD = 1,      // the credential's auth_method
    METADATA_NO_SIGNING_ALG = 2, // its signing_alg
    METADATA_NO_DPOP_ALG = 4,    // ES256 for proofs
    METADATA_NO_GRANT = 8,       // client_credentials
    METADATA_DOUBTS_END = 16,
};

struct metadata {
    char *token_endpoint; // the mTLS alias if the credential shows a certificate
    unsigned doubts;      // metadata_doubt
};

// False and why (printable), with nothing in out: these metadata must not be used.
bool metadata_parse(struct str body, const struct config_credential *credential,
                    struct metadata *out, char *why, size_t why_size) WARN_UNUSED;
void metadata_fini(struct metadata *metadata);
// For people: "auth_method is not among …".
const char *metadata_doubt_text(enum metadata_doubt doubt);

// max-age of a Cache-Control field, milliseconds; 0 when it must not be kept; fallback when it does
// not say.
uint64_t metadata_max_age_ms(struct str cache_control, uint64_t fallback_ms);

#endif
