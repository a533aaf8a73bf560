// SPDX-License-Identifier: MIT
// Client authentication: each method sends what RFC 6749 2.3.1 says, and nothing of another method.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/jws.h"
#include "base/file.h"
#include "token/client_auth.h"
#include "token/jose.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

struct auth_row {
    const char *name;
    int method, encoding;
    const char *id, *secret;
    const char *header, *form; // NULL: refused
};

static const struct auth_row auth_rows[] = {
    {"OA-5 vector", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "1PpG/Q 1",
     "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=",
     "Authorization: Basic "
     "MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUyQndmRlR0MXJGd"
     "yU"
     "zRA==",
     ""},
    {"T14 raw", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "id/1", "a+b:c",
     "Authorization: Basic aWQvMTphK2I6Yw==", ""},
    {"T14 the same form-encoded", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id/1", "a+b:c",
     "Authorization: Basic aWQlMkYxOmElMkJiJTNBYw==", ""},
    {"OA-4 post", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id/1", "a b&c=%", "",
     "&client_id=id%2F1&client_secret=a+b%26c%3D%25"},
    {"OA-4 post, raw is for basic only", AUTH_CLIENT_SECRET_POST, BASIC_RAW, "i", "a+b", "",
     "&client_id=i&client_secret=a%2Bb"},
    {"OA-4 none", AUTH_NONE, BASIC_FORM, "public", "", "", "&client_id=public"},
    {"MT-1 without a certificate", AUTH_TLS_CLIENT, BASIC_FORM, "id", "", NULL, NULL},
    {"base64, one over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "c",
     "Authorization: Basic YWI6Yw==", ""},
    {"base64, two over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "cd",
     "Authorization: Basic YWI6Y2Q=", ""},
    {"base64, none over", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "ab", "cde",
     "Authorization: Basic YWI6Y2Rl", ""},
    {"a ':' in a raw id moves the border", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "a:b", "Zq9", NULL,
     NULL},
    {"a ':' in an encoded id does not", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "a:b", "c",
     "Authorization: Basic YSUzQWI6Yw==", ""},
    {"empty secret", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id", "", NULL, NULL},
    {"empty secret, post", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id", "", NULL, NULL},
    {"T17 newline left in the secret", AUTH_CLIENT_SECRET_BASIC, BASIC_FORM, "id", "s\n", NULL,
     NULL},
    {"OA-7 not ASCII", AUTH_CLIENT_SECRET_POST, BASIC_FORM, "id", "\xc3\xb6", NULL, NULL},
    {"OA-7 control character", AUTH_CLIENT_SECRET_BASIC, BASIC_RAW, "id", "a\x7f", NULL, NULL},
};

static void test_methods(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(auth_rows); i++) {
        const struct auth_row *row = &auth_rows[i];
        struct config_credential credential = {.client_id = (char *)(uintptr_t)row->id,
                                               .auth_method = row->method,
                                               .basic_encoding = row->encoding};
        struct client_auth auth = {.credential = &credential, .secret = str_of(row->secret)};
        struct buf header, form, shown;
        struct err err = {0};
        buf_init(&header, 4096);
        buf_init(&form, 4096);
        buf_init(&shown, 4096);
        bool ok = client_auth_add(&auth, &header, &form, &shown, &err);
        if (ok != (row->header != NULL))
            fail_msg("%s: %s", row->name, ok ? "accepted" : err.text);
        if (ok && !str_eq(buf_str(&header), str_of(row->header)))
            fail_msg("%s: header %.*s", row->name, STR_ARG(buf_str(&header)));
        if (ok && !str_eq(buf_str(&form), str_of(row->form)))
            fail_msg("%s: form %.*s", row->name, STR_ARG(buf_str(&form)));
        if (ok && header.len && !str_ends(buf_str(&header), buf_str(&shown)))
            fail_msg("%s: shown %.*s", row->name, STR_ARG(buf_str(&shown)));
        // Refusals talk about the secret, and never with it.
        if (!ok && row->secret[0] && strstr(err.text, row->secret))
            fail_msg("%s: secret in %s", row->name, err.text);
        buf_fini(&header);
        buf_fini(&form);
        buf_fini(&shown);
    }
}

static void test_form_encoding_of_all_bytes(void **state)
{
    (void)state;
    static const char plain[] =
        "*-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c, expected[4];
        struct buf out;
        buf_init(&out, 16);
        assert_true(client_auth_form_encode((struct str){&byte, 1}, &out));
        if (c && strchr(plain, (int)c))
            snprintf(expected, sizeof expected, "%c", (int)c);
        else
            snprintf(expected, sizeof expected, c == ' ' ? "+" : "%%%02X", c);
        if (!str_eq(buf_str(&out), str_of(expected)))
            fail_msg("byte %u: %.*s", c, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct config_credential credential = {.client_id = (char *)(uintptr_t) "id"};
    static const int methods[] = {AUTH_CLIENT_SECRET_BASIC, AUTH_CLIENT_SECRET_POST};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct client_auth auth = {.credential = &credential, .secret = STR("0123456789")};
        struct buf header, form, shown;
        struct err err = {0};
        buf_init(&header, 20);
        buf_init(&form, 20);
        buf_init(&shown, 100);
        credential.auth_method = methods[i];
        assert_false(client_auth_add(&auth, &header, &form, &shown, &err));
        assert_non_null(strstr(err.text, "too long"));
        buf_fini(&header);
        buf_fini(&form);
        buf_fini(&shown);
    }
}

// -- assertions --------------------------------------------------------------------------------

#define SECRET "0123456789abcdef0123456789abcdef"
#define ASSERTION_TYPE                                                                             \
    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

struct outputs {
    struct buf header, form, shown;
    struct err err;
    bool ok;
};

static void run(const struct client_auth *auth, struct outputs *out)
{
    *out = (struct outputs){0};
    buf_init(&out->header, 8192);
    buf_init(&out->form, 8192);
    buf_init(&out->shown, 8192);
    out->ok = client_auth_add(auth, &out->header, &out->form, &out->shown, &out->err);
    assert_true(out->ok || out->err.text[0]);
}

static void finish(struct outputs *out)
{
    buf_fini(&out->header);
    buf_fini(&out->form);
    buf_fini(&out->shown);
}

// The assertion as it stands in the form, which must hold nothing else: OA-4, JA-1.
static void open_assertion(const struct outputs *out, const char *client_id, struct jws *jws)
{
    char expected[8192];
    if (!out->ok)
        fail_msg("%s", out->err.text);
    snprintf(expected, sizeof expected, "%s%s%s&client_assertion=%.*s",
             client_id ? "&client_id=" : "", client_id ? client_id : "", ASSERTION_TYPE,
             STR_ARG(buf_str(&out->shown)));
    assert_int_equal(out->header.len, 0);
    assert_true(str_eq(buf_str(&out->form), str_of(expected)));
    assert_true(jws_open(buf_str(&out->shown), jws));
}

static void test_secret_jwt(void **state) // JA-1 JA-2 JA-3 JA-5
{
    (void)state;
    struct config_credential credential = {.client_id = TEXT("client-1"),
                                           .auth_method = AUTH_CLIENT_SECRET_JWT,
                                           .signing_alg = TEXT("HS256")};
    struct client_auth auth = {.credential = &credential,
                               .secret = STR(SECRET),
                               .audience = "https://idp.example.com",
                               .now_s = 1700000000};
    struct outputs out;
    struct jws jws;
    run(&auth, &out);
    open_assertion(&out, "client-1", &jws);
    assert_true(jws_is_hmac(&jws, STR(SECRET), EVP_sha256()));
    assert_string_equal(jws.head, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    assert_non_null(strstr(jws.claims,
                           "\"iss\":\"client-1\",\"sub\":\"client-1\",\"aud\":\"https://"
                           "idp.example.com\",\"iat\":1699999995,\"nbf\":1699999995,"
                           "\"exp\":1700000060}"));
    struct outputs again;
    struct jws second;
    run(&auth, &again); // T16: the same moment, another assertion
    open_assertion(&again, "client-1", &second);
    assert_string_not_equal(jws.claims, second.claims);
    finish(&out);
    finish(&again);
    auth.secret = STR("too short to be safe");
    run(&auth, &out);
    assert_false(out.ok);
    assert_string_equal(out.err.text, "HS256 needs a secret of 32 bytes or more, this one has 20");
    assert_int_equal(out.form.len + out.header.len + out.shown.len, 0);
    finish(&out);
    credential.signing_alg = TEXT("RS256");
    run(&auth, &out);
    assert_false(out.ok);
    finish(&out);
}

// -- what is read ------------------------------------------------------------------------------

static char dir[] = "/tmp/test_client_auth.XXXXXX";
static char key_path[64], file_path[64], reference[80];

static void write_file(const char *path, struct str text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
}

static int make_dir(void **state)
{
    (void)state;
    umask(0077);
    if (!mkdtemp(dir))
        return -1;
    snprintf(key_path, sizeof key_path, "%s/key", dir);
    snprintf(file_path, sizeof file_path, "%s/file", dir);
    snprintf(reference, sizeof reference, "file:%s", key_path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(key_path);
    unlink(file_path);
    return rmdir(dir);
}

static struct buf read_data(const char *name)
{
    char path[512];
    struct buf out;
    struct err err;
    snprintf(path, sizeof path, TESTS_DIR "/unit/data/jose/%s", name);
    buf_init(&out, 65536);
    if (!file_read(path, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static void test_private_key_jwt(void **state) // JA-1 JA-4 JA-5 JA-6
{
    (void)state;
    struct err err;
    struct buf pem = read_data("rfc7515-a3.pem"), read;
    write_file(key_path, buf_str(&pem));
    struct config_credential credential = {.client_id = TEXT("client-1"),
                                           .auth_method = AUTH_PRIVATE_KEY_JWT,
                                           .signing_alg = TEXT("ES256"),
                                           .signing_key = secret_new(reference, &err),
                                           .assertion_audience =
                                               TEXT("https://other.example.com/token"),
                                           .assertion_type = TEXT("client-authentication+jwt")};
    buf_init(&read, CLIENT_AUTH_READ_MAX);
    assert_true(client_auth_read(&credential, false, &read, &err));
    struct client_auth auth = {.credential = &credential,
                               .secret = buf_str(&read),
                               .audience = "https://idp.example.com",
                               .now_s = 1700000000};
    struct outputs out;
    struct jws jws;
    run(&auth, &out);
    open_assertion(&out, "client-1", &jws);
    EVP_PKEY *pkey = jws_key(buf_str(&pem));
    assert_true(jws_is_signed(&jws, pkey, "ES256"));
    EVP_PKEY_free(pkey);
    assert_non_null(strstr(jws.head, "\"typ\":\"client-authentication+jwt\",\"kid\":\""));
    assert_null(strstr(jws.head, "x5t"));
    assert_non_null(strstr(jws.claims, "\"aud\":\"https://other.example.com/token\","));
    finish(&out);
    credential.key_id = TEXT("2024-03");
    run(&auth, &out);
    open_assertion(&out, "client-1", &jws);
    assert_string_equal(
        jws.head, "{\"alg\":\"ES256\",\"typ\":\"client-authentication+jwt\",\"kid\":\"2024-03\"}");
    finish(&out);
    credential.signing_alg = TEXT("RS256");
    run(&auth, &out);
    assert_false(out.ok);
    assert_string_equal(out.err.text, "RS256 needs an RSA key");
    finish(&out);
    secret_free(credential.signing_key);
    buf_fini(&read);
    buf_fini(&pem);
}

static void test_signing_certificate(void **state) // JA-6
{
    (void)state;
    struct err err;
    struct buf pem = read_data("rfc7515-a3.pem"), crt = read_data("rfc7515-a3.crt"), read;
    write_file(key_path, buf_str(&pem));
    struct config_credential credential = {.client_id = TEXT("c"),
                                           .auth_method = AUTH_PRIVATE_KEY_JWT,
                                           .signing_alg = TEXT("ES256"),
                                           .signing_certificate = file_path,
                                           .signing_key = secret_new(reference, &err)};
    struct client_auth auth = {.credential = &credential, .audience = "a"};
    char thumbprint[JOSE_THUMBPRINT_LEN + 1], member[80];
    assert_true(jose_certificate_thumbprint(buf_str(&crt), NULL, thumbprint, &err));
    snprintf(member, sizeof member, ",\"x5t#S256\":\"%s\"}", thumbprint);
    buf_init(&read, CLIENT_AUTH_READ_MAX);
    unlink(file_path);
    assert_false(client_auth_read(&credential, false, &read, &err));
    assert_non_null(strstr(err.text, "/file: No such file"));
    buf_clear(&read);
    write_file(file_path, buf_str(&crt));
    assert_true(client_auth_read(&credential, false, &read, &err));
    auth.secret = buf_str(&read);
    struct outputs out;
    struct jws jws;
    run(&auth, &out);
    open_assertion(&out, "c", &jws);
    assert_non_null(strstr(jws.head, member));
    finish(&out);
    write_file(file_path, STR("no certificate"));
    buf_clear(&read);
    assert_true(client_auth_read(&credential, false, &read, &err));
    auth.secret = buf_str(&read);
    run(&auth, &out);
    assert_false(out.ok);
    assert_int_equal(out.form.len, 0);
    finish(&out);
    secret_free(credential.signing_key);
    buf_fini(&read);
    buf_fini(&pem);
    buf_fini(&crt);
}

static void test_assertion_file(void **state) // JA-1 T17
{
    (void)state;
    static const struct {
        const char *name, *id, *text;
        bool is_fine;
    } rows[] = {
        {"plain", "c", "aa.bb.cc", true},
        {"T17 newline", "c", "aa.bb.cc\n", true},
        {"T17 CR LF", "c", "aa.bb.cc\r\n", true},
        {"no client_id", NULL, "aa.bb.c_-9", true},
        {"two newlines", "c", "aa.bb.cc\n\n", false},
        {"empty", "c", "", false},
        {"two parts", "c", "aa.bb", false},
        {"unsigned", "c", "aa.bb.", false},
        {"four parts", "c", "aa.bb.cc.dd", false},
        {"dot at the end", "c", "aa.bb.cc.", false},
        {"dot in front", "c", ".aa.bb.cc", false},
        {"empty part", "c", "aa..cc", false},
        {"padding", "c", "aa.bb.cc=", false},
        {"a parameter more", "c", "aa.bb.cc&scope=x", false},
        {"a page", "c", "<html>", false},
    };
    chmod(file_path, 0644); // as projected tokens are
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_credential credential = {.client_id = TEXT(rows[i].id),
                                               .auth_method = AUTH_ASSERTION_FILE,
                                               .assertion_file = file_path};
        struct client_auth auth = {.credential = &credential};
        struct outputs out;
        struct buf read;
        struct err err;
        char expected[256];
        write_file(file_path, str_of(rows[i].text));
        buf_init(&read, CLIENT_AUTH_READ_MAX);
        assert_true(client_auth_read(&credential, false, &read, &err));
        auth.secret = buf_str(&read);
        run(&auth, &out);
        snprintf(expected, sizeof expected, "%s%s&client_assertion=%.*s",
                 rows[i].id ? "&client_id=c" : "", ASSERTION_TYPE,
                 (int)strcspn(rows[i].text, "\r\n"), rows[i].text);
        if (out.ok != rows[i].is_fine || out.header.len ||
            (out.ok && !str_eq(buf_str(&out.form), str_of(expected))))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(buf_str(&out.form)));
        finish(&out);
        buf_fini(&read);
    }
}

static void test_certificate_method(void **state) // MT-1 OA-4
{
    (void)state;
    struct config_credential credential = {.client_id = TEXT("id/1"),
                                           .auth_method = AUTH_TLS_CLIENT,
                                           .tls = {.cert_file = file_path, .key_file = TEXT("/k")}};
    struct client_auth auth = {.credential = &credential};
    struct outputs out;
    struct buf read;
    buf_init(&read, 100);
    write_file(file_path, STR("certificate"));
    assert_true(client_auth_read(&credential, false, &read, &out.err));
    assert_true(str_eq(buf_str(&read), STR("certificate")));
    buf_fini(&read);
    run(&auth, &out);
    assert_true(out.ok);
    assert_true(str_eq(buf_str(&out.form), STR("&client_id=id%2F1")));
    assert_int_equal(out.header.len, 0);
    finish(&out);
}

static void test_next_secret(void **state) // T17
{
    (void)state;
    struct err err;
    struct config_credential credential = {.client_secret = secret_new("first", &err),
                                           .client_secret_next = secret_new("second", &err)};
    for (int is_next = 0; is_next < 2; is_next++) {
        struct buf read;
        buf_init(&read, CLIENT_AUTH_READ_MAX);
        assert_true(client_auth_read(&credential, is_next, &read, &err));
        assert_true(str_eq(buf_str(&read), is_next ? STR("second") : STR("first")));
        buf_fini(&read);
    }
    secret_free(credential.client_secret_next);
    credential.client_secret_next = NULL;
    struct buf read;
    buf_init(&read, CLIENT_AUTH_READ_MAX);
    assert_false(client_auth_read(&credential, true, &read, &err));
    secret_free(credential.client_secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),         cmocka_unit_test(test_form_encoding_of_all_bytes),
        cmocka_unit_test(test_too_long),        cmocka_unit_test(test_secret_jwt),
        cmocka_unit_test(test_private_key_jwt), cmocka_unit_test(test_signing_certificate),
        cmocka_unit_test(test_assertion_file),  cmocka_unit_test(test_certificate_method),
        cmocka_unit_test(test_next_secret),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
