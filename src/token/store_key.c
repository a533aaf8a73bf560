// SPDX-License-Identifier: MIT
// A slot's identity as the key of its entry in the store. Pure. Invariant: two slots have the same
// key only if the same token request would be made for both by the same client (T01); each field
// goes in with its length in front, lists with their count, so that nothing can slide from one
// field into the next (T02).
#include <openssl/evp.h>
#include <string.h>

#include "token/store.h"

// A login that is authorised by a login … the configuration forbids circles, this ends them.
#define AUTHORISERS_MAX 8

static void add(EVP_MD_CTX *hash, struct str field)
{
    unsigned char len[8];
    for (size_t i = 0; i < sizeof len; i++)
        len[i] = (unsigned char)((uint64_t)field.len >> 8 * (sizeof len - 1 - i));
    EVP_DigestUpdate(hash, len, sizeof len);
    EVP_DigestUpdate(hash, field.ptr, field.len);
}

static void add_text(EVP_MD_CTX *hash, const char *text)
{
    // Absent and empty are not the same.
    add(hash, text ? STR("+") : STR("-"));
    add(hash, str_of(text));
}

static void add_number(EVP_MD_CTX *hash, uint64_t number)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(number >> 8 * (sizeof bytes - 1 - i));
    add(hash, (struct str){(const char *)bytes, sizeof bytes});
}

static void add_strings(EVP_MD_CTX *hash, const struct config_strings *strings)
{
    add_number(hash, strings->count);
    for (size_t i = 0; i < strings->count; i++)
        add_text(hash, strings->items[i]);
}

static void add_headers(EVP_MD_CTX *hash, const struct config_headers *headers)
{
    add_number(hash, headers->count);
    for (size_t i = 0; i < headers->count; i++) {
        add_text(hash, headers->items[i].name);
        add_text(hash, headers->items[i].value);
    }
}

static void add_secret(EVP_MD_CTX *hash, struct str secret)
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned len = 0;
    EVP_Digest(secret.ptr ? secret.ptr : "", secret.len, digest, &len, EVP_sha256(), NULL);
    add(hash, (struct str){(const char *)digest, len});
    mem_wipe(digest, sizeof digest);
}

// Numbers of enumerations would change their meaning when one is added in between.
static const char *source_name(int source)
{
    static const char *const names[] = {"oauth", "login", "exec", "static"};
    return names[source];
}

static const char *method_name(int method)
{
    static const char *const names[] = {"basic",     "post", "secret-jwt", "key-jwt",
                                        "assertion", "tls",  "none"};
    return names[method];
}

static void add_client(EVP_MD_CTX *hash, const struct config_credential *credential)
{
    add_text(hash, source_name(credential->source));
    add_text(hash, credential->token_url.text);
    add_text(hash, credential->issuer);
    add_text(hash, credential->client_id);
    add_text(hash, method_name(credential->auth_method));
    add_text(hash, credential->assertion_file);
    add_text(hash, credential->assertion_audience);
    add_text(hash, credential->assertion_type);
    add_headers(hash, &credential->param);
    add_headers(hash, &credential->request_header);
    add_number(hash, credential->dpop);
    add_number(hash, credential->certificate_bound);
    add_text(hash, credential->tls.cert_file); // what a token may be bound to
    add_text(hash, credential->command);
    add_text(hash, credential->login.url.text);
    add_text(hash, credential->login.body);
    add_number(hash, credential->login.is_form);
    add_text(hash, credential->login.token);
    add_text(hash, credential->login.credential);
    // Who uses tokens that lack scopes must not leave them to who does not. (Not there at all
    // otherwise: keys of before stay what they are.)
    if (credential->granted_scopes == GRANTED_REFUSE)
        add_text(hash, "all scopes or none");
}

static void add_slot(EVP_MD_CTX *hash, const struct config_slot *slot)
{
    add_client(hash, slot->credential);
    add_text(hash, slot->scope);
    add_text(hash, slot->audience);
    add_strings(hash, &slot->resource);
    add_text(hash, slot->authorization_details);
    add_number(hash, slot->authoriser != NULL);
}

void store_key_of(const struct config_slot *slot, struct str secret, char out[STORE_KEY_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    add_text(hash, "bearerd token 1");
    add_secret(hash, secret);
    for (int i = 0; slot && i < AUTHORISERS_MAX; i++) {
        add_slot(hash, slot);
        slot = slot->authoriser;
    }
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < STORE_KEY_LEN; i++)
        out[i] = digits[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
    out[STORE_KEY_LEN] = '\0';
    mem_wipe(digest, sizeof digest);
}
