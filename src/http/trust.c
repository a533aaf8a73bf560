// SPDX-License-Identifier: MIT
// See trust.h. libcurl keeps what it parsed in the multi handle, which here is another one for each
// TLS connection, and not at all where a folder of certificates is set, as Debian does. Invariant:
// a trust in the list is of the file as it was when last looked at.
#include "http/trust.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

struct trust {
    struct list link;
    unsigned refs;
    char *ca_file, *cert_file; // cert_file NULL: none
    struct stat ca_seen, cert_seen;
    X509_STORE *store;
    CURLSH *share;
};

struct trusts {
    struct list all; // one for each pair of files
};

static const char *system_bundle(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->cainfo ? info->cainfo : "/etc/ssl/certs/ca-certificates.crt";
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void trust_destroy(struct trust *trust)
{
    X509_STORE_free(trust->store);
    if (trust->share)
        curl_share_cleanup(trust->share);
    mem_free(trust->ca_file);
    mem_free(trust->cert_file);
    mem_free(trust);
}

void trust_unref(struct trust *trust)
{
    if (trust && --trust->refs == 0)
        trust_destroy(trust);
}

static void trust_drop(struct trust *trust)
{
    list_remove(&trust->link);
    trust_unref(trust);
}

static bool trust_load(struct trust *trust, struct err *err)
{
    trust->store = X509_STORE_new();
    trust->share = curl_share_init();
    if (!trust->store || !trust->share)
        return err_set(err, "cannot create a store of certificates");
    // One thread uses it, so it needs no locks.
    curl_share_setopt(trust->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(trust->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    // An intermediate authority in the file is as good as a root, as libcurl has it.
    X509_STORE_set_flags(trust->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    ERR_clear_error();
    bool ok = X509_STORE_load_file(trust->store, trust->ca_file) == 1;
    ERR_clear_error();
    return ok || err_set(err, "ca_file: %s holds no certificate in PEM", trust->ca_file);
}

static struct trust *trust_new(const struct trust *like, struct err *err)
{
    struct trust *trust = mem_alloc(sizeof *trust);
    *trust = (struct trust){.refs = 1, .ca_seen = like->ca_seen, .cert_seen = like->cert_seen};
    trust->ca_file = mem_strdup(like->ca_file);
    trust->cert_file = like->cert_file ? mem_strdup(like->cert_file) : NULL;
    if (trust_load(trust, err))
        return trust;
    trust_unref(trust);
    return NULL;
}

static bool is_same_name(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static struct trust *trusts_known(const struct trusts *trusts, const struct trust *wanted)
{
    for (struct list *link = trusts->all.next; link != &trusts->all; link = link->next) {
        struct trust *trust = CONTAINER_OF(link, struct trust, link);
        if (is_same_name(trust->ca_file, wanted->ca_file) &&
            is_same_name(trust->cert_file, wanted->cert_file))
            return trust;
    }
    return NULL;
}

static bool look_at(const char *what, const char *path, struct stat *out, struct err *err)
{
    return !path || !stat(path, out) || err_errno(err, "%s: cannot read %s", what, path);
}

struct trust *trusts_find(struct trusts *trusts, const char *ca_file, const char *cert_file,
                          struct err *err)
{
    struct trust now = {.ca_file = mem_unconst(ca_file ? ca_file : system_bundle()),
                        .cert_file = mem_unconst(cert_file)};
    bool is_there = look_at("ca_file", now.ca_file, &now.ca_seen, err) &&
                    look_at("cert_file", now.cert_file, &now.cert_seen, err);
    struct trust *trust = trusts_known(trusts, &now);
    if (trust && (!is_there || !is_same_file(&trust->ca_seen, &now.ca_seen) ||
                  !is_same_file(&trust->cert_seen, &now.cert_seen))) {
        trust_drop(trust);
        trust = NULL;
    }
    if (!trust && is_there && (trust = trust_new(&now, err)))
        list_append(&trusts->all, &trust->link);
    if (trust)
        trust->refs++;
    return trust;
}

void trust_use(struct trust *trust, void *easy)
{
    curl_easy_setopt(easy, CURLOPT_SHARE, trust->share);
    // None of its own: it would parse them.
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
}

void trust_set_store(const struct trust *trust, void *ctx)
{
    SSL_CTX_set1_cert_store(ctx, trust->store);
}

struct trusts *trusts_new(void)
{
    struct trusts *trusts = mem_alloc(sizeof *trusts);
    list_init(&trusts->all);
    return trusts;
}

void trusts_free(struct trusts *trusts)
{
    if (!trusts)
        return;
    while (!list_is_empty(&trusts->all))
        trust_drop(CONTAINER_OF(trusts->all.next, struct trust, link));
    mem_free(trusts);
}
