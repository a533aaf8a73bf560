// SPDX-License-Identifier: MIT
// The first configuration that `init` writes, as text: what is in it for which wish, and that no
// value says more than itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/init_text.h"

static const struct init_wish usual = {.token_url = "https://idp.example/token",
                                       .client_id = "app",
                                       .upstream = "https://api.example"};

static char *write_text(struct init_wish wish)
{
    struct buf out;
    struct err err;
    buf_init(&out, 65536);
    assert_true(init_text_write(&wish, &out, &err));
    return buf_take(&out);
}

static void assert_line(const char *text, const char *wanted, bool is_there)
{
    struct str rest = str_of(text), line;
    bool found = false;
    while (str_split(&rest, '\n', &line))
        found |= str_eq(line, str_of(wanted));
    if (found != is_there)
        fail_msg("%s \"%s\" in:\n%s", is_there ? "no" : "there is", wanted, text);
}

static void test_usual(void **state)
{
    (void)state;
    char *text = write_text(usual);
    assert_line(text, "listen = 127.0.0.1:8080", true);
    assert_line(text, "token_url = https://idp.example/token", true);
    assert_line(text, "client_secret = env:CLIENT_SECRET", true);
    assert_line(text, "url = https://api.example", true);
    assert_line(text, "match = /**", true);
    assert_line(text, "[admin]", false);
    assert_null(strstr(text, "\nscopes"));
    assert_null(strstr(text, "issuer"));
    mem_free(text);
}

static void test_authorities_where_there_is_tls(void **state)
{
    (void)state;
    struct init_wish wish = usual;
    wish.ca_file = "/ca.pem";
    char *text = write_text(wish);
    const char *first = strstr(text, "ca_file = /ca.pem");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "ca_file = /ca.pem"));
    mem_free(text);
    wish.upstream = "http://127.0.0.1:1";
    text = write_text(wish);
    first = strstr(text, "ca_file = /ca.pem");
    assert_non_null(first);
    assert_null(strstr(first + 1, "ca_file"));
    mem_free(text);
}

static void test_variable(void **state)
{
    (void)state;
    struct init_wish wish = usual;
    assert_string_equal(init_text_variable(&wish), "CLIENT_SECRET");
    wish.secret_env = "OTHER";
    assert_string_equal(init_text_variable(&wish), "OTHER");
    wish.auth_method = "client_secret_post";
    assert_string_equal(init_text_variable(&wish), "OTHER");
    wish.auth_method = "none";
    assert_null(init_text_variable(&wish));
    wish = usual;
    wish.secret_file = "/s";
    assert_null(init_text_variable(&wish));
}

static void test_quoting(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "client_id = plain"},     {"a b", "client_id = a b"},
        {"a ; b", "client_id = \"a ; b\""}, {"#", "client_id = \"#\""},
        {" x", "client_id = \" x\""},       {"a\"b", "client_id = \"a\"\"b\""},
        {"$x", "client_id = $$x"},          {"\"$", "client_id = \"\"\"$$\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct init_wish wish = usual;
        wish.client_id = cases[i][0];
        char *text = write_text(wish);
        assert_line(text, cases[i][1], true);
        mem_free(text);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"", "a\nb", "a\rb", "\t", "a\033[0m", "\177"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct init_wish wish = usual;
        struct buf out;
        struct err err;
        buf_init(&out, 65536);
        wish.client_id = values[i];
        assert_false(init_text_write(&wish, &out, &err));
        assert_non_null(strstr(err.text, "client_id"));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),   cmocka_unit_test(test_authorities_where_there_is_tls),
        cmocka_unit_test(test_quoting), cmocka_unit_test(test_variable),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
