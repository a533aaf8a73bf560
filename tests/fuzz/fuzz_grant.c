// SPDX-License-Identifier: MIT
// Any bytes as the body of a token response, of a good status and of a bad one: either a token that
// may stand in a header, or a failure that may stand in a log.
#include <stdint.h>
#include <stdlib.h>

#include "token/grant.h"

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

static void check(const struct grant_result *result)
{
    require((result->failure == NULL) == (result->value.len > 0));
    require(result->lifetime_ms <= GRANT_LIFETIME_MAX_MS);
    require(result->retry_after_ms <= GRANT_RETRY_MAX_MS);
    require(!result->granted_scope || is_printable(result->granted_scope));
    require(!result->granted_details || is_printable(result->granted_details));
    if (result->failure)
        require(is_printable(result->failure->text) && is_printable(result->failure->error));
    else
        require(token_value_is_valid(buf_str(&result->value)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_credential credential = {
        .name = TEXT("main"),
        .token_url = {.authority = TEXT("idp.example.com"), .path = TEXT("/token")}};
    static const struct config_slot slot = {.credential = &credential,
                                            .scope = TEXT("a b"),
                                            .authorization_details = TEXT("[{\"type\":\"x\"}]")};
    struct str bytes = {(const char *)data, size};
    struct grant_answer answers[] = {
        {.status = 200, .content_type = STR("application/json"), .body = bytes},
        {.status = 200,
         .content_type = STR("application/json"),
         .body = bytes,
         .is_dpop = true,
         .server = "https://found.example.com/token"},
        {.status = 400, .content_type = STR("application/json"), .body = bytes},
        {.status = 503, .content_type = bytes, .retry_after = bytes},
        {.status = 200, .content_type = bytes, .body = STR("{}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct grant_result result;
        answers[i].slot = &slot;
        grant_parse(&answers[i], &result);
        check(&result);
        grant_result_fini(&result);
    }
    return 0;
}
