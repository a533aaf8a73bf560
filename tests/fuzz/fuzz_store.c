// SPDX-License-Identifier: MIT
// What comes from outside into the store: any bytes as a server's answer, as its URL, and as an
// entry. First byte: which of them.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "token/store_redis_url.h"
#include "token/store_resp.h"
#include "token/store_seal.h"

#define BULK_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

// With any less of it there is more to come, unless it was broken already; and with any more of it
// it is broken.
static void fuzz_reply(struct str bytes)
{
    struct resp reply;
    bool was_broken = false;
    for (size_t len = 0; len <= bytes.len; len++) {
        char *copy = mem_strndup(bytes.ptr, len);
        enum resp_result result = resp_parse((struct str){copy, len}, BULK_MAX, &reply);
        require(!was_broken || result == RESP_BROKEN);
        if (result == RESP_DONE) {
            require(reply.text.len <= len && reply.text.len <= RESP_LINE_MAX);
            require(reply.kind != RESP_BULK || reply.text.len <= BULK_MAX);
            require(!reply.text.len || (reply.text.ptr > copy && reply.text.ptr < copy + len));
            was_broken = true;
        }
        was_broken = was_broken || result == RESP_BROKEN;
        mem_free(copy);
    }
}

static void fuzz_url(struct str bytes)
{
    struct redis_url url;
    struct err err;
    if (!redis_url_parse(bytes, &url, &err))
        return;
    require(!url.unix_path != !url.host && !url.host == !url.port);
    require(!url.user || url.password);
    require(!url.is_tls || url.host);
    redis_url_fini(&url);
}

static void fuzz_entry(struct str bytes)
{
    struct err err;
    struct store_record record;
    struct store_keys *keys = store_keys_new(STR("a secret of the store"), STR_NONE, &err);
    store_record_init(&record);
    require(!store_unseal(keys, "place", bytes, &record));
    require(!record.value.len);
    store_record_fini(&record);
    store_keys_free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(struct str) = {fuzz_reply, fuzz_url, fuzz_entry};
    if (size < 1 || size > 4096)
        return 0;
    targets[data[0] % ARRAY_LEN(targets)]((struct str){(const char *)data + 1, size - 1});
    return 0;
}
