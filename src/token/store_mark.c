// SPDX-License-Identifier: MIT
// Are the stores of two configurations one and the same? What a store is opened with, the keys
// themselves and not their references, as one hash.
#include <openssl/evp.h>
#include <stdio.h>

#include "token/store.h"
#include "token/tls_files.h"

static void add(EVP_MD_CTX *hash, struct str field)
{
    char len[24];
    int digits = snprintf(len, sizeof len, "%zu:", field.len);
    EVP_DigestUpdate(hash, len, (size_t)digits);
    EVP_DigestUpdate(hash, field.ptr, field.len);
}

// What cannot be read counts as empty: opening the store will tell of it.
static void add_secret(EVP_MD_CTX *hash, const struct secret *secret)
{
    struct buf value;
    buf_init(&value, SECRET_MAX);
    if (secret && !secret_read(secret, &value, NULL))
        buf_clear(&value);
    add(hash, buf_str(&value));
    buf_fini(&value);
}

void store_mark(const struct config *config, char out[STORE_KEY_LEN + 1])
{
    const struct config_store *store = &config->store;
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    char timeout[24], files[TLS_MARK_LEN + 1];
    out[0] = '\0';
    if (!store->url)
        return;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    add(hash, str_of(store->url));
    add(hash, str_of(store->prefix));
    add_secret(hash, store->key);
    add_secret(hash, store->key_previous);
    tls_files_mark(&store->tls, files);
    add(hash, str_of(files));
    snprintf(timeout, sizeof timeout, "%llu", (unsigned long long)store->timeout_ms);
    add(hash, str_of(timeout));
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < STORE_KEY_LEN / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    mem_wipe(digest, sizeof digest);
}
