// SPDX-License-Identifier: MIT
// See store_seal.h. Owns the two layouts; refuses to know where blobs are kept and what the clock
// says. Invariants: nothing of the clear text leaves before the tag was found right; every copy of
// it is wiped.
//
//   blob    version (1) | nonce (12) | sealed record | tag (16)     associated data: version |
//   place record  sent (8, 2) | expires (8, 2) | flags (1) | text value | [text scope] |
//   [text binding]
//   text    length (4) | bytes       numbers: big endian       times: seconds, milliseconds beyond
#include "token/store_seal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/random.h>

#define VERSION     2
#define KEY_LEN     32
#define NONCE_LEN   12
#define TAG_LEN     16
#define HEAD_LEN    (1 + NONCE_LEN)
#define SCOPE_MAX   ((size_t)16 * 1024)
#define BINDING_MAX 256
#define PLAIN_MAX   (STORE_BLOB_MAX - HEAD_LEN - TAG_LEN)
// The year 10000: milliseconds where seconds belong are beyond it (T18).
#define SECONDS_END INT64_C(253402300800)

enum { HAS_SCOPE = 1, HAS_BINDING = 2 };

struct store_keys {
    unsigned char keys[2][KEY_LEN];   // the current one, the one before
    unsigned char places[2][KEY_LEN]; // likewise
    size_t count;
};

// -- keys --------------------------------------------------------------------------------------

// RFC 5869. use keeps the keys made of one secret apart.
static bool derive(struct str secret, struct str use, unsigned char out[KEY_LEN], struct err *err)
{
    static char digest[] = "SHA256";
    union {
        const char *borrowed;
        void *bytes; // OpenSSL reads it, whatever its prototype says
    } input = {.borrowed = secret.ptr}, info = {.borrowed = use.ptr};
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, input.bytes, secret.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.bytes, use.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, out, KEY_LEN, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok || err_set(err, "cannot derive the store's key");
}

static bool add_key(struct store_keys *keys, struct str secret, const char *name, struct err *err)
{
    if (secret.len < STORE_SECRET_MIN)
        return err_set(err,
                       "[store] %s has %zu bytes, at least %d are needed: openssl rand -hex 32",
                       name, secret.len, STORE_SECRET_MIN);
    size_t at = keys->count++;
    return derive(secret, STR("bearerd store 1 seal"), keys->keys[at], err) &&
           derive(secret, STR("bearerd store 1 place"), keys->places[at], err);
}

struct store_keys *store_keys_new(struct str secret, struct str previous, struct err *err)
{
    struct store_keys *keys = mem_alloc(sizeof *keys);
    if (add_key(keys, secret, "key", err) &&
        (!previous.ptr || add_key(keys, previous, "key_previous", err)))
        return keys;
    store_keys_free(keys);
    return NULL;
}

void store_keys_free(struct store_keys *keys)
{
    if (keys)
        mem_wipe(keys, sizeof *keys);
    mem_free(keys);
}

bool store_place(const struct store_keys *keys, bool is_previous, const char *key,
                 char out[STORE_KEY_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char mac[STORE_KEY_LEN / 2];
    size_t len = 0;
    if (keys->count <= is_previous ||
        !EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, keys->places[is_previous], KEY_LEN,
                   (const unsigned char *)key, strlen(key), mac, sizeof mac, &len) ||
        len != sizeof mac)
        return false;
    for (size_t i = 0; i < STORE_KEY_LEN; i++)
        out[i] = digits[i % 2 ? mac[i / 2] & 15 : mac[i / 2] >> 4];
    out[STORE_KEY_LEN] = '\0';
    return true;
}

// -- the cipher --------------------------------------------------------------------------------

struct gcm {
    EVP_CIPHER_CTX *ctx;
    int len; // of the last step
};

static bool gcm_start(struct gcm *gcm, const unsigned char *aes_key, const unsigned char *nonce,
                      const char *place, bool is_sealing)
{
    const unsigned char version = VERSION;
    *gcm = (struct gcm){.ctx = EVP_CIPHER_CTX_new()};
    return gcm->ctx &&
           EVP_CipherInit_ex2(gcm->ctx, EVP_aes_256_gcm(), aes_key, nonce, is_sealing, NULL) == 1 &&
           EVP_CipherUpdate(gcm->ctx, NULL, &gcm->len, &version, 1) == 1 &&
           EVP_CipherUpdate(gcm->ctx, NULL, &gcm->len, (const unsigned char *)place,
                            (int)strlen(place)) == 1;
}

static bool seal_bytes(const unsigned char *aes_key, const char *place, struct str plain,
                       unsigned char *blob)
{
    unsigned char *sealed = blob + HEAD_LEN, *tag = sealed + plain.len;
    struct gcm gcm = {0};
    blob[0] = VERSION;
    bool ok = getrandom(blob + 1, NONCE_LEN, 0) == NONCE_LEN &&
              gcm_start(&gcm, aes_key, blob + 1, place, true);
    if (ok)
        ok = EVP_CipherUpdate(gcm.ctx, sealed, &gcm.len, (const unsigned char *)plain.ptr,
                              (int)plain.len) == 1 &&
             EVP_CipherFinal_ex(gcm.ctx, tag, &gcm.len) == 1 &&
             EVP_CIPHER_CTX_ctrl(gcm.ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;
    EVP_CIPHER_CTX_free(gcm.ctx);
    return ok;
}

// plain has room for as many bytes as there are between head and tag.
static bool unseal_bytes(const unsigned char *aes_key, const char *place, struct str blob,
                         char *plain)
{
    const unsigned char *bytes = (const unsigned char *)blob.ptr;
    size_t len = blob.len - HEAD_LEN - TAG_LEN;
    unsigned char tag[TAG_LEN];
    memcpy(tag, bytes + HEAD_LEN + len, TAG_LEN);
    struct gcm gcm = {0};
    bool ok = gcm_start(&gcm, aes_key, bytes + 1, place, false) &&
              EVP_CipherUpdate(gcm.ctx, (unsigned char *)plain, &gcm.len, bytes + HEAD_LEN,
                               (int)len) == 1 &&
              EVP_CIPHER_CTX_ctrl(gcm.ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
              EVP_CipherFinal_ex(gcm.ctx, tag, &gcm.len) == 1;
    EVP_CIPHER_CTX_free(gcm.ctx);
    return ok;
}

// -- the record --------------------------------------------------------------------------------

static bool put_number(struct buf *out, uint64_t number, unsigned bytes)
{
    bool ok = true;
    while (ok && bytes--)
        ok = buf_append_char(out, (char)(number >> 8 * bytes & 0xff));
    return ok;
}

static bool put_text(struct buf *out, struct str text)
{
    return put_number(out, text.len, 4) && buf_append(out, text);
}

static bool take_number(struct str *rest, unsigned bytes, uint64_t *out)
{
    if (rest->len < bytes)
        return false;
    *out = 0;
    for (unsigned i = 0; i < bytes; i++)
        *out = *out << 8 | (unsigned char)rest->ptr[i];
    *rest = str_from(*rest, bytes);
    return true;
}

// Printable ASCII, and so without NUL and line ends, whoever sealed it.
static bool is_text(struct str text, size_t max)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return text.len <= max;
}

static bool take_text(struct str *rest, size_t max, struct str *out)
{
    uint64_t len;
    if (!take_number(rest, 4, &len) || len > rest->len)
        return false;
    *out = (struct str){rest->ptr, (size_t)len};
    *rest = str_from(*rest, (size_t)len);
    return is_text(*out, max);
}

static bool put_time(struct buf *out, int64_t seconds, unsigned part_ms)
{
    return put_number(out, (uint64_t)seconds, 8) && put_number(out, part_ms, 2);
}

static bool take_time(struct str *rest, int64_t *out_seconds, unsigned *out_part_ms)
{
    uint64_t seconds, part_ms;
    if (!take_number(rest, 8, &seconds) || !take_number(rest, 2, &part_ms))
        return false;
    *out_seconds = (int64_t)seconds;
    *out_part_ms = (unsigned)part_ms;
    return true;
}

static bool are_times(const struct store_record *record)
{
    return record->sent_s > 0 && record->sent_s <= record->expires_s &&
           record->expires_s < SECONDS_END && record->sent_part_ms < 1000 &&
           record->expires_part_ms < 1000;
}

static bool record_write(const struct store_record *record, struct buf *out)
{
    struct str value = buf_str(&record->value), scope = str_of(record->granted_scope),
               binding = str_of(record->binding);
    unsigned flags =
        (record->granted_scope ? HAS_SCOPE : 0u) | (record->binding ? HAS_BINDING : 0u);
    return are_times(record) && value.len > 0 && is_text(value, STORE_VALUE_MAX) &&
           is_text(scope, SCOPE_MAX) && is_text(binding, BINDING_MAX) &&
           put_time(out, record->sent_s, record->sent_part_ms) &&
           put_time(out, record->expires_s, record->expires_part_ms) && put_number(out, flags, 1) &&
           put_text(out, value) && (!(flags & HAS_SCOPE) || put_text(out, scope)) &&
           (!(flags & HAS_BINDING) || put_text(out, binding));
}

static bool record_parse(struct str plain, struct store_record *out)
{
    uint64_t flags;
    struct store_record times;
    struct str value, scope = STR_NONE, binding = STR_NONE;
    if (!take_time(&plain, &times.sent_s, &times.sent_part_ms) ||
        !take_time(&plain, &times.expires_s, &times.expires_part_ms) ||
        !take_number(&plain, 1, &flags) || flags > (HAS_SCOPE | HAS_BINDING) || !are_times(&times))
        return false;
    if (!take_text(&plain, STORE_VALUE_MAX, &value) || !value.len ||
        (flags & HAS_SCOPE && !take_text(&plain, SCOPE_MAX, &scope)) ||
        (flags & HAS_BINDING && !take_text(&plain, BINDING_MAX, &binding)) || plain.len)
        return false;
    store_record_fini(out);
    store_record_init(out);
    store_record_set_times(out, store_record_sent_ms(&times), store_record_expires_ms(&times));
    out->granted_scope = flags & HAS_SCOPE ? str_dup(scope) : NULL;
    out->binding = flags & HAS_BINDING ? str_dup(binding) : NULL;
    return buf_append(&out->value, value);
}

// -- both --------------------------------------------------------------------------------------

bool store_seal(const struct store_keys *keys, const char *place, const struct store_record *record,
                struct buf *out, struct err *err)
{
    struct buf plain;
    buf_init(&plain, PLAIN_MAX);
    bool ok = record_write(record, &plain) && buf_reserve(out, HEAD_LEN + plain.len + TAG_LEN);
    if (!ok) {
        err_set(err, "the token cannot be kept: its size, times or bytes are beyond the limits");
    } else if (seal_bytes(keys->keys[0], place, buf_str(&plain),
                          (unsigned char *)out->ptr + out->len)) {
        out->len += HEAD_LEN + plain.len + TAG_LEN;
    } else {
        ok = err_set(err, "the token cannot be sealed");
    }
    buf_fini(&plain);
    return ok;
}

bool store_unseal(const struct store_keys *keys, const char *place, struct str blob,
                  struct store_record *out)
{
    if (blob.len <= HEAD_LEN + TAG_LEN || blob.len > STORE_BLOB_MAX || blob.ptr[0] != VERSION)
        return false;
    struct str plain = {NULL, blob.len - HEAD_LEN - TAG_LEN};
    char *bytes = mem_alloc(plain.len);
    plain.ptr = bytes;
    bool ok = false;
    for (size_t i = 0; i < keys->count && !ok; i++)
        ok = unseal_bytes(keys->keys[i], place, blob, bytes);
    ok = ok && record_parse(plain, out);
    mem_wipe(bytes, plain.len);
    mem_free(bytes);
    return ok;
}
