// SPDX-License-Identifier: MIT
// Certification authorities: parsed once for each file, again when it has changed, never made up.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/multi.h"
#include "http/trust.h"

static char folder[] = "/tmp/bearerd-trust-XXXXXX";
static char ca[64], other[64];

static void write_authority(const char *path, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_non_null(key);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    // Another file in its place, as programs that rotate certificates do it.
    char fresh[80];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    assert_true(PEM_write_X509(file, certificate));
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct trust *find(struct trusts *trusts, const char *ca_file, const char *cert_file)
{
    struct err err = {""};
    struct trust *trust = trusts_find(trusts, ca_file, cert_file, &err);
    if (!trust)
        fail_msg("%s", err.text);
    return trust;
}

static void test_a_file_is_parsed_once(void **state)
{
    (void)state;
    struct trusts *trusts = trusts_new();
    write_authority(ca, "one");
    struct trust *first = find(trusts, ca, NULL), *second = find(trusts, ca, NULL);
    assert_ptr_equal(first, second);
    trust_unref(second);
    write_authority(ca, "two");
    struct trust *third = find(trusts, ca, NULL);
    assert_ptr_not_equal(third, first); // which is still held, so this is no accident of memory
    trust_unref(first);
    trusts_free(trusts);
    trust_unref(third); // outlives the list
}

static void test_sessions_are_those_of_one_certificate(void **state)
{
    (void)state;
    struct trusts *trusts = trusts_new();
    write_authority(ca, "authority");
    write_authority(other, "client");
    struct trust *nobody = find(trusts, ca, NULL), *client = find(trusts, ca, other);
    assert_ptr_not_equal(nobody, client);
    write_authority(other, "client, renewed");
    struct trust *renewed = find(trusts, ca, other);
    assert_ptr_not_equal(renewed, client);
    struct trust *still = find(trusts, ca, NULL);
    assert_ptr_equal(still, nobody);
    trust_unref(nobody);
    trust_unref(client);
    trust_unref(renewed);
    trust_unref(still);
    trusts_free(trusts);
}

static void test_T29_a_bad_file_is_never_replaced_by_another(void **state)
{
    (void)state;
    struct trusts *trusts = trusts_new();
    struct err err = {""};
    assert_null(trusts_find(trusts, "/nonexistent/ca.pem", NULL, &err));
    assert_non_null(strstr(err.text, "ca_file: cannot read /nonexistent/ca.pem"));
    write_text(ca, "no certificate\n");
    assert_null(trusts_find(trusts, ca, NULL, &err));
    assert_non_null(strstr(err.text, "holds no certificate"));
    write_authority(ca, "authority");
    struct trust *trust = find(trusts, ca, NULL);
    trust_unref(trust);
    // A good one that went bad is not remembered either.
    write_text(ca, "");
    assert_null(trusts_find(trusts, ca, NULL, &err));
    assert_int_equal(unlink(ca), 0);
    assert_null(trusts_find(trusts, ca, NULL, &err));
    write_authority(ca, "authority");
    assert_null(trusts_find(trusts, ca, "/nonexistent/client.pem", &err));
    assert_non_null(strstr(err.text, "cert_file: cannot read"));
    trusts_free(trusts);
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    if (!multi_global_init(&err) || !mkdtemp(folder))
        return -1;
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(other, sizeof other, "%s/client.pem", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(ca);
    unlink(other);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_parsed_once),
        cmocka_unit_test(test_sessions_are_those_of_one_certificate),
        cmocka_unit_test(test_T29_a_bad_file_is_never_replaced_by_another),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
