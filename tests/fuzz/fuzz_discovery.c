// SPDX-License-Identifier: MIT
// Any bytes as authorization server metadata and as a Cache-Control field: either an https endpoint
// of the right issuer, or a reason that may stand in a log.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/url.h"
#include "token/metadata.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void check_endpoint(const struct metadata *metadata)
{
    struct config_url url = {0};
    require(is_printable(metadata->token_endpoint));
    require(url_parse(str_of(metadata->token_endpoint), &url, NULL) && url.is_https);
    require(!strchr(metadata->token_endpoint, '#') && !strchr(url.authority, '@'));
    require(metadata->doubts < METADATA_DOUBTS_END);
    url_fini(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_credential credentials[] = {
        {.issuer = TEXT("https://a.example"), .allow_plaintext = true},
        {.issuer = TEXT("https://a.example"),
         .tls = {.cert_file = TEXT("/c")},
         .auth_method = AUTH_PRIVATE_KEY_JWT,
         .signing_alg = TEXT("ES256"),
         .dpop = true},
    };
    struct str bytes = {(const char *)data, size};
    for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
        struct metadata metadata;
        char why[320] = "";
        bool ok = metadata_parse(bytes, &credentials[i], &metadata, why, sizeof why);
        require(ok == (metadata.token_endpoint != NULL));
        if (ok) {
            check_endpoint(&metadata);
            require(memmem(data, size, "a.example", 9) || memchr(data, '\\', size));
        } else {
            require(why[0] && is_printable(why));
        }
        metadata_fini(&metadata);
    }
    require(metadata_max_age_ms(bytes, 7) <= UINT64_C(31536000000));
    char *issuer = str_dup(bytes);
    for (int form = 0; form < METADATA_FORMS; form++) {
        char *url = metadata_url(issuer, (enum metadata_form)form);
        require(!url || strstr(url, "/.well-known/"));
        mem_free(url);
    }
    mem_free(issuer);
    return 0;
}
