// SPDX-License-Identifier: MIT
// HS-14: CONNECT leads to listed places only, whatever its target's spelling.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/connect.h"

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static char *items[] = {TEXT("registry.example.com:443"), TEXT("[2001:db8::7]:8443"),
                        TEXT("10.0.0.1:80")};

static int ask(int connect, const char *text)
{
    struct config config = {.connect = connect, .connect_hosts = {items, ARRAY_LEN(items)}};
    struct target target;
    const char *why = "", *place = NULL;
    if (!target_parse(str_of(text), STR("CONNECT"), &target, &why))
        return 400;
    struct caller_verdict verdict = connect_check(&config, &target, &place);
    assert_int_equal(verdict.status == 0, verdict.why == NULL);
    return verdict.status;
}

static void test_listed(void **state)
{
    (void)state;
    assert_int_equal(ask(CONNECT_TUNNEL, "registry.example.com:443"), 0);
    assert_int_equal(ask(CONNECT_TUNNEL, "REGISTRY.Example.COM:443"), 0);
    assert_int_equal(ask(CONNECT_TUNNEL, "registry.example.com.:443"), 0);
    assert_int_equal(ask(CONNECT_TUNNEL, "[2001:DB8::7]:8443"), 0);
    assert_int_equal(ask(CONNECT_TUNNEL, "10.0.0.1:80"), 0);
}

static void test_not_listed(void **state)
{
    (void)state;
    static const char *const places[] = {
        "registry.example.com:444",
        "registry.example.com:80",
        "example.com:443",
        "xregistry.example.com:443",
        "registry.example.comx:443",
        "registry.example.com..:443",
        "a.registry.example.com:443",
        "[2001:db8:0::7]:8443",
        "[2001:db8::7]:443",
        "10.0.0.1:8080",
        "10.0.1:80",
        "0x0a000001:80",
        "167772161:80",
        "10.0.0.01:80",
        "[::ffff:10.0.0.1]:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (ask(CONNECT_TUNNEL, places[i]) == 0)
            fail_msg("%s is taken", places[i]);
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(ask(CONNECT_REFUSE, "registry.example.com:443"), 501);
    assert_int_equal(ask(CONNECT_TUNNEL, "registry.example.com"), 400);
    assert_int_equal(ask(CONNECT_TUNNEL, "user@registry.example.com:443"), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_not_listed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
