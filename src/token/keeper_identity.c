// SPDX-License-Identifier: MIT
// Whose token a slot's is: all that the client shows when it asks, each with its length in front.
// With another secret, or another certificate under the same name, it is another client (T01, T02):
// its tokens in the store are others, and a reload gives it none of those before. A secret that
// cannot be read just now is no change yet: the same reference then stands for the same secret.
#include <string.h>

#include "base/file.h"
#include "config/secret.h"
#include "config/template.h"
#include "token/keeper_private.h"

#define IDENTITY_MAX ((size_t)16 * SECRET_MAX)

struct writer {
    struct buf *out;
    bool is_by_reference; // names in the place of what they stand for
};

static bool add_bytes(struct buf *out, struct str bytes)
{
    return buf_printf(out, "%zu:", bytes.len) && buf_append(out, bytes);
}

static bool add_secret(const struct writer *to, const struct secret *secret)
{
    struct buf value;
    if (to->is_by_reference)
        return add_bytes(to->out, secret ? str_of(secret_origin(secret)) : STR_NONE);
    buf_init(&value, SECRET_MAX);
    bool ok = (!secret || secret_read(secret, &value, NULL)) && add_bytes(to->out, buf_str(&value));
    buf_fini(&value);
    return ok;
}

static bool add_file(const struct writer *to, const char *path)
{
    struct buf bytes;
    if (to->is_by_reference)
        return add_bytes(to->out, path ? str_of(path) : STR_NONE);
    buf_init(&bytes, SECRET_MAX);
    bool ok = (!path || file_read(path, &bytes, NULL)) && add_bytes(to->out, buf_str(&bytes));
    buf_fini(&bytes);
    return ok;
}

static bool add_reference(const struct writer *to, struct str reference)
{
    char *text = str_dup(reference);
    struct secret *secret = secret_new(text, NULL);
    bool ok = secret && add_secret(to, secret);
    secret_free(secret);
    mem_free(text);
    return ok;
}

static bool add_template(const struct writer *to, const char *template)
{
    struct str rest = str_of(template), before, reference;
    bool ok = true;
    while (ok && rest.len && template_next(&rest, &before, &reference))
        ok = add_reference(to, reference);
    return ok;
}

// Of the slot, and of those whose tokens authorise its own login (config: no circle).
static bool add_clients(const struct writer *to, const struct config_slot *slot)
{
    bool ok = true;
    for (; ok && slot; slot = slot->authoriser) {
        const struct config_credential *credential = slot->credential;
        ok = add_secret(to, credential->client_secret) && add_secret(to, credential->signing_key) &&
             add_secret(to, credential->token) && add_file(to, credential->tls.cert_file) &&
             add_template(to, credential->login.body);
    }
    return ok;
}

// What makes no difference to a stored token, since none is stored where it plays a part.
static bool add_rest(const struct writer *to, const struct config_slot *slot)
{
    bool ok = true;
    for (; ok && slot; slot = slot->authoriser)
        ok = add_secret(to, slot->credential->dpop_key) &&
             buf_printf(to->out, "%lld,", (long long)slot->credential->token_expires_s);
    return ok;
}

bool slot_store_key(const struct config_slot *config, char out[STORE_KEY_LEN + 1])
{
    struct buf shown;
    buf_init(&shown, IDENTITY_MAX);
    bool ok = add_clients(&(struct writer){&shown, false}, config);
    if (ok)
        store_key_of(config, buf_str(&shown), out);
    buf_fini(&shown);
    return ok;
}

static bool identify(const struct config_slot *config, bool is_by_reference,
                     char out[STORE_KEY_LEN + 1])
{
    struct buf shown;
    buf_init(&shown, IDENTITY_MAX);
    struct writer to = {&shown, is_by_reference};
    bool ok = add_clients(&to, config) && add_rest(&to, config);
    if (ok)
        store_key_of(config, buf_str(&shown), out);
    buf_fini(&shown);
    return ok;
}

void slot_identify(const struct config_slot *config, char out[STORE_KEY_LEN + 1])
{
    if (!identify(config, false, out))
        out[0] = '\0';
}

bool slot_is_same(const struct keeper_slot *slot, const struct config_slot *config,
                  const char *identity)
{
    char before[STORE_KEY_LEN + 1], now[STORE_KEY_LEN + 1];
    if (!slot->identity[0] && slot->token)
        return false;
    if (!slot->identity[0]) { // it has not asked yet, or could not
        slot_identify(slot->config, before);
        return before[0] && !strcmp(before, identity);
    }
    if (identity[0])
        return !strcmp(slot->identity, identity);
    return identify(slot->config, true, before) && identify(config, true, now) &&
           !strcmp(before, now);
}
