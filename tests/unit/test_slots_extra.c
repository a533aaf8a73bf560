// SPDX-License-Identifier: MIT
// Slots made besides those of the routes: found when a route has the same, made when none has, and
// refused when the credential cannot ask for such a token.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "config/slots_extra.h"

#define CLIENT "token_url = https://idp.example.com/token\nclient_id = id\nclient_secret = s\n"
#define LOGIN                                                                                      \
    "source = login\nlogin_url = https://api.example.com/login\nlogin_body = {}\n"                 \
    "login_token = /token\nheader = X-Session\nprefix =\n"

static const char text[] = "[credential main]\n" CLIENT "scopes = base\nresource = urn:b urn:a\n"
                           "[credential listed]\n" CLIENT "[scopes listed]\nRead = items:read\n"
                           "[credential session]\n" LOGIN "login_credential = main\n"
                           "[credential spare]\n" LOGIN "login_credential = listed\n"
                           "[upstream api]\nurl = https://api.example.com\n"
                           "[route read]\nmatch = /\ncredential = main session\nscopes = b a\n";

struct row {
    const char *credential;
    const char *scopes[4]; // none: the credential's own
    bool is_said;          // or rather: the empty set
    const char *want;      // the slot's scopes; NULL: refused
    const char *why;
    size_t added;
};

static const struct row rows[] = {
    {"main", {0}, false, "base", NULL, 0}, // the authoriser's, there already
    {"main", {"b", "base", "a"}, false, "a b base", NULL, 0},
    {"main", {"a", "b"}, false, "a b", NULL, 1},
    {"main", {"b", "a", "b"}, false, "a b", NULL, 0}, // the one just made
    {"main", {0}, true, "", NULL, 1},
    {"listed", {0}, false, "", NULL, 1},
    {"listed", {"Read"}, false, "items:read", NULL, 1},
    {"listed", {"items:read"}, false, "items:read", NULL, 0},
    {"listed", {"Raed"}, false, NULL, "did you mean \"Read\"", 0},
    {"main", {"a", "b\"c"}, false, NULL, "", 0},
    {"session", {0}, false, "", NULL, 0},
    {"session", {"a"}, false, NULL, "have no scopes", 0},
    {"spare", {0}, false, "", NULL, 1}, // its authoriser's is there since the sixth row
};

static const struct config_credential *credential_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->credential_count; i++)
        if (!strcmp(config->credentials[i]->name, name))
            return config->credentials[i];
    return NULL;
}

static void check_row(struct config *config, const struct row *row)
{
    struct err err = {""};
    char *items[ARRAY_LEN(row->scopes)];
    struct config_strings scopes = {items, 0};
    for (; row->scopes[scopes.count]; scopes.count++)
        items[scopes.count] = mem_unconst(row->scopes[scopes.count]);
    size_t before = config->slot_count;
    const struct config_slot *slot =
        slots_extra_get(config, credential_of(config, row->credential),
                        scopes.count || row->is_said ? &scopes : NULL, &err);
    assert_int_equal(config->slot_count - before, row->added);
    assert_int_equal(slot == NULL, row->want == NULL);
    if (!slot) {
        assert_non_null(strstr(err.text, row->why));
        assert_true(*err.text);
        return;
    }
    assert_string_equal(slot->scope, row->want);
    assert_string_equal(slot->credential->name, row->credential);
    assert_ptr_equal(config->slots[slot->index], slot);
}

static void test_rows(void **state)
{
    (void)state;
    char *said;
    struct config *config = text_load(text, &said);
    assert_non_null(config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(config, &rows[i]);
    config_unref(config);
    mem_free(said);
}

// A login's authoriser is made with it, before it, and a token takes the credential's resources.
static void test_what_comes_along(void **state)
{
    (void)state;
    char *said;
    struct err err;
    struct config *config = text_load(text, &said);
    assert_non_null(config);
    size_t before = config->slot_count;
    const struct config_slot *spare =
        slots_extra_get(config, credential_of(config, "spare"), NULL, &err);
    assert_int_equal(config->slot_count, before + 2);
    assert_string_equal(spare->authoriser->credential->name, "listed");
    assert_true(spare->authoriser->index < spare->index);
    const struct config_slot *slot =
        slots_extra_get(config, credential_of(config, "main"), &(struct config_strings){0}, &err);
    assert_int_equal(slot->resource.count, 2);
    assert_string_equal(slot->resource.items[0], "urn:a");
    config_unref(config);
    mem_free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_comes_along),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
