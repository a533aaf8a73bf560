// SPDX-License-Identifier: MIT
// See tls_files.h.
#include "token/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/file.h"

#define FILE_MAX ((size_t)16 * 1024 * 1024)

// Never asks at the terminal.
static int no_passphrase(char *out, int out_max, int is_writing, void *arg)
{
    (void)out;
    (void)out_max;
    (void)is_writing;
    (void)arg;
    return 0;
}

static X509 *read_certificate(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? PEM_read_bio_X509(file, NULL, no_passphrase, NULL) : NULL;
    BIO_free(file);
    return certificate;
}

static EVP_PKEY *read_key(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
    BIO_free(file);
    return key;
}

static bool check_ca(const char *path, struct err *err)
{
    X509 *certificate = read_certificate(path);
    X509_free(certificate);
    return certificate || err_set(err, "ca_file: %s holds no certificate in PEM", path);
}

static bool check_pair(const struct config_tls *tls, struct err *err)
{
    const char *key_file = tls->key_file ? tls->key_file : tls->cert_file;
    X509 *certificate = read_certificate(tls->cert_file);
    EVP_PKEY *key = read_key(key_file);
    bool ok = true;
    if (!certificate)
        ok = err_set(err, "cert_file: %s holds no certificate in PEM", tls->cert_file);
    else if (!key)
        ok = err_set(err, "key_file: %s holds no private key in PEM, or one with a passphrase",
                     key_file);
    else if (!X509_check_private_key(certificate, key))
        ok = err_set(err, "key_file: %s is not the key of the certificate in %s", key_file,
                     tls->cert_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}

// A list with nothing known in it would only be noticed with the first connection.
static bool check_ciphers(const struct config_tls *tls, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool ok = true;
    if (!ctx)
        ok = err_set(err, "tls_ciphers: OpenSSL does not start");
    else if (tls->ciphers && SSL_CTX_set_cipher_list(ctx, tls->ciphers) != 1)
        ok = err_set(err, "tls_ciphers: OpenSSL knows none of %s", tls->ciphers);
    else if (tls->ciphersuites && SSL_CTX_set_ciphersuites(ctx, tls->ciphersuites) != 1)
        ok = err_set(err, "tls_ciphersuites: OpenSSL does not know all of %s", tls->ciphersuites);
    SSL_CTX_free(ctx);
    return ok;
}

bool tls_files_check(const struct config_tls *tls, struct err *err)
{
    bool ok = (!tls->ca_file || check_ca(tls->ca_file, err)) &&
              (!tls->cert_file || check_pair(tls, err)) &&
              ((!tls->ciphers && !tls->ciphersuites) || check_ciphers(tls, err));
    ERR_clear_error(); // what OpenSSL thought of it is nobody else's
    return ok;
}

// One that cannot be read, or is larger than any of use, counts as empty.
static void add_file(EVP_MD_CTX *hash, const char *path)
{
    struct buf bytes;
    char len[24];
    buf_init(&bytes, FILE_MAX);
    if (path && !file_read(path, &bytes, NULL))
        buf_clear(&bytes);
    int digits = snprintf(len, sizeof len, "%zu:", bytes.len);
    EVP_DigestUpdate(hash, len, (size_t)digits);
    EVP_DigestUpdate(hash, bytes.ptr, bytes.len);
    buf_fini(&bytes);
}

void tls_files_mark(const struct config_tls *tls, char out[TLS_MARK_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    out[0] = '\0';
    if (!tls->ca_file && !tls->cert_file && !tls->key_file)
        return;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    add_file(hash, tls->ca_file);
    add_file(hash, tls->cert_file);
    add_file(hash, tls->key_file);
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < TLS_MARK_LEN / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}
