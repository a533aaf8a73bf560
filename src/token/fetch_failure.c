// SPDX-License-Identifier: MIT
// See fetch_failure.h.
#include "token/fetch_failure.h"

#include <stdio.h>
#include <string.h>

static enum token_failure_kind kind_of(enum fetch_error error)
{
    switch (error) {
    case FETCH_TIMEOUT:
        return FAILURE_TIMEOUT;
    case FETCH_TOO_LARGE:
    case FETCH_BROKEN:
        return FAILURE_MALFORMED;
    case FETCH_UNREACHABLE:
    case FETCH_TLS:
    case FETCH_OK:
        break;
    }
    return FAILURE_UNREACHABLE;
}

void fetch_failure_label(const char *url, char *out, size_t out_size)
{
    snprintf(out, out_size, "%.*s", (int)strcspn(url, "?#"), url);
}

struct token_failure *fetch_failure_new(const char *what, const char *url,
                                        const struct fetch_response *response)
{
    char label[160], text[512];
    fetch_failure_label(url, label, sizeof label);
    snprintf(text, sizeof text, "%s %s failed: %s", what, label, response->error_text);
    return token_failure_new(kind_of(response->error), text);
}
