// SPDX-License-Identifier: MIT
// See metadata.h. Owns the reading of metadata documents; refuses to know when and how they are
// fetched. Invariant: an endpoint that leaves this file is a URL that libcurl and we read alike.
#include "token/metadata.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "config/url.h"
#include "token/document.h"
#include "token/grant_error.h"

#define DEPTH_MAX     32
#define URL_MAX       2048
#define MAX_AGE_S_MAX (UINT64_C(365) * 24 * 3600)

// -- where -------------------------------------------------------------------------------------

char *metadata_url(const char *issuer, enum metadata_form form)
{
    struct str text = str_of(issuer), path = STR_NONE;
    size_t scheme_end, path_at;
    // MD-1: without the slash at the end, for both
    if (str_ends(text, STR("/")))
        text.len--;
    if (!str_find(text, ':', &scheme_end) || !str_starts(str_from(text, scheme_end), STR("://")))
        return NULL;
    struct str origin = text;
    if (str_find(str_from(text, scheme_end + 3), '/', &path_at)) {
        origin.len = scheme_end + 3 + path_at;
        path = str_from(text, origin.len);
    }
    struct buf url;
    buf_init(&url, URL_MAX);
    bool ok =
        form == METADATA_OAUTH
            ? buf_append(&url, origin) &&
                  buf_append(&url, STR("/.well-known/oauth-authorization-server")) &&
                  buf_append(&url, path)
            : buf_append(&url, text) && buf_append(&url, STR("/.well-known/openid-configuration"));
    char *result = ok ? str_dup(buf_str(&url)) : NULL;
    buf_fini(&url);
    return result;
}

// -- what is supported -------------------------------------------------------------------------

static bool array_has(const json_t *array, const char *wanted)
{
    size_t i;
    json_t *element;
    json_array_foreach(array, i,
                       element) if (json_is_string(element) &&
                                    strcmp(json_string_value(element), wanted) == 0) return true;
    return false;
}

// One that is not there says nothing against it.
static bool lacks(const json_t *object, const char *member, const char *wanted)
{
    const json_t *array = json_object_get(object, member);
    return json_is_array(array) && !array_has(array, wanted);
}

static bool lacks_method(const json_t *object, const struct config_credential *credential)
{
    static const char member[] = "token_endpoint_auth_methods_supported";
    static const char *const names[AUTH_NONE + 1] = {
        [AUTH_CLIENT_SECRET_BASIC] = "client_secret_basic",
        [AUTH_CLIENT_SECRET_POST] = "client_secret_post",
        [AUTH_CLIENT_SECRET_JWT] = "client_secret_jwt",
        [AUTH_PRIVATE_KEY_JWT] = "private_key_jwt",
        [AUTH_ASSERTION_FILE] = "private_key_jwt",
        [AUTH_TLS_CLIENT] = "tls_client_auth",
        [AUTH_NONE] = "none",
    };
    if (!json_is_array(json_object_get(object, member))) // RFC 8414 2: then it is this one
        return credential->auth_method != AUTH_CLIENT_SECRET_BASIC;
    if (credential->auth_method == AUTH_TLS_CLIENT &&
        !lacks(object, member, "self_signed_tls_client_auth"))
        return false;
    return lacks(object, member, names[credential->auth_method]);
}

static unsigned doubts_of(const json_t *object, const struct config_credential *credential)
{
    bool is_signing = credential->auth_method == AUTH_CLIENT_SECRET_JWT ||
                      credential->auth_method == AUTH_PRIVATE_KEY_JWT;
    unsigned doubts = lacks_method(object, credential) ? METADATA_NO_METHOD : 0;
    if (is_signing && credential->signing_alg &&
        lacks(object, "token_endpoint_auth_signing_alg_values_supported", credential->signing_alg))
        doubts |= METADATA_NO_SIGNING_ALG;
    if (credential->dpop && lacks(object, "dpop_signing_alg_values_supported", "ES256"))
        doubts |= METADATA_NO_DPOP_ALG;
    if (lacks(object, "grant_types_supported", "client_credentials"))
        doubts |= METADATA_NO_GRANT;
    return doubts;
}

const char *metadata_doubt_text(enum metadata_doubt doubt)
{
    switch (doubt) {
    case METADATA_NO_METHOD:
        return "auth_method is not among its token_endpoint_auth_methods_supported";
    case METADATA_NO_SIGNING_ALG:
        return "signing_alg is not among its token_endpoint_auth_signing_alg_values_supported";
    case METADATA_NO_DPOP_ALG:
        return "ES256 is not among its dpop_signing_alg_values_supported";
    case METADATA_NO_GRANT:
        return "client_credentials is not among its grant_types_supported";
    case METADATA_DOUBTS_END:
        break;
    }
    return "";
}

// -- what it says ------------------------------------------------------------------------------

static bool is_secure_enough(const struct config_credential *credential,
                             const struct config_url *issuer, const struct config_url *endpoint)
{
    if (endpoint->is_https)
        return true;
    return !issuer->is_https && (credential->allow_plaintext || host_is_loopback(endpoint->host));
}

static bool check_endpoint(const struct config_credential *credential, struct str text, char *why,
                           size_t why_size)
{
    struct config_url issuer = {0}, endpoint = {0};
    struct err err = {0};
    if (!text.len) {
        snprintf(why, why_size, "there is no token_endpoint in it");
        return false;
    }
    bool ok = text.len <= URL_MAX && url_parse(str_of(credential->issuer), &issuer, NULL) &&
              url_parse(text, &endpoint, &err);
    char clean[200]; // messages for the terminal are not all ASCII
    grant_error_clean(str_of(err.text), clean, sizeof clean);
    if (!ok)
        snprintf(why, why_size, "its token_endpoint is not usable%s%s", clean[0] ? ": " : "",
                 clean);
    else if (!(ok = is_secure_enough(credential, &issuer, &endpoint)))
        snprintf(why, why_size, "its token_endpoint is not https");
    url_fini(&issuer);
    url_fini(&endpoint);
    return ok;
}

static struct str endpoint_of(const json_t *object, const struct config_credential *credential)
{
    struct str alias = STR_NONE;
    // RFC 8705 5: for clients that show a certificate
    if (credential->tls.cert_file)
        alias = document_text(json_object_get(object, "mtls_endpoint_aliases"), "token_endpoint");
    return alias.len ? alias : document_text(object, "token_endpoint");
}

static bool check_issuer(const json_t *object, const char *wanted, char *why, size_t why_size)
{
    char clean[160];
    struct str issuer = document_text(object, "issuer");
    if (str_eq(issuer, str_of(wanted)))
        return true;
    grant_error_clean(issuer, clean, sizeof clean);
    if (issuer.len)
        snprintf(why, why_size, "it is of another issuer: '%s'", clean);
    else
        snprintf(why, why_size, "there is no issuer in it");
    return false;
}

bool metadata_parse(struct str body, const struct config_credential *credential,
                    struct metadata *out, char *why, size_t why_size)
{
    static const struct document_limits limits = {METADATA_BODY_MAX, DEPTH_MAX};
    *out = (struct metadata){0};
    json_t *object = document_parse(body, &limits, why, why_size);
    struct str endpoint = object ? endpoint_of(object, credential) : STR_NONE;
    bool ok = object && check_issuer(object, credential->issuer, why, why_size) &&
              check_endpoint(credential, endpoint, why, why_size);
    if (ok) {
        out->token_endpoint = str_dup(endpoint);
        out->doubts = doubts_of(object, credential);
    }
    json_decref(object);
    return ok;
}

void metadata_fini(struct metadata *metadata)
{
    mem_free(metadata->token_endpoint);
    *metadata = (struct metadata){0};
}

// -- how long ----------------------------------------------------------------------------------

uint64_t metadata_max_age_ms(struct str cache_control, uint64_t fallback_ms)
{
    static const struct str name = STR("max-age=");
    struct str piece;
    uint64_t seconds, age_ms = fallback_ms;
    while (str_split(&cache_control, ',', &piece)) {
        piece = str_trim(piece);
        if (str_eq_nocase(piece, STR("no-store")) || str_eq_nocase(piece, STR("no-cache")))
            return 0;
        if (piece.len <= name.len || !str_eq_nocase((struct str){piece.ptr, name.len}, name))
            continue;
        if (str_to_u64(str_from(piece, name.len), &seconds))
            age_ms = (seconds < MAX_AGE_S_MAX ? seconds : MAX_AGE_S_MAX) * 1000;
    }
    return age_ms;
}
