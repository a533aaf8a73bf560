// SPDX-License-Identifier: MIT
// What a request is called: nothing is worked out unless somebody wants it.
#include "proxy/exchange_about.h"

#include <stdio.h>

#include "proxy/proxy_private.h"

struct str exchange_request_id(struct exchange *exchange)
{
    if (!exchange->id.len) {
        int len = snprintf(exchange->id_bytes, sizeof exchange->id_bytes, "%llx-%llx",
                           (unsigned long long)exchange->proxy->id_seed,
                           (unsigned long long)++exchange->proxy->id_count);
        exchange->id = (struct str){exchange->id_bytes, (size_t)len};
    }
    return exchange->id;
}

void exchange_forget(struct exchange *exchange)
{
    exchange->id = STR_NONE;
}
