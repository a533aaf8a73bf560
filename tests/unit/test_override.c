// SPDX-License-Identifier: MIT
// T-5: fields that make a server take a request for one of another method pass only where that
// method has the same route, and so the same token.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/override.h"

static struct fixture fixture;
static struct route_table *table;
static struct config_upstream *upstream;
static struct config_route *write_route;

static int setup(void **state)
{
    (void)state;
    fixture_init(&fixture);
    upstream = fixture_upstream(&fixture, "api", "http://api.test", "/", NULL);
    fixture_route(&fixture, upstream, "read", "GET HEAD /**");
    write_route = fixture_route(&fixture, upstream, "write", "POST PUT /**");
    fixture_route(&fixture, upstream, "delete", "DELETE /**");
    fixture_route(&fixture, upstream, "any", "/any/**");
    struct config_faults faults = {0};
    table = route_table_new(&fixture.config, &faults);
    return !table;
}

static int teardown(void **state)
{
    (void)state;
    route_table_free(table);
    fixture_fini(&fixture);
    return 0;
}

static int status_of(const char *method, const char *path, const char *name, const char *value)
{
    struct target target;
    const char *why;
    struct fields fields = {.count = 0};
    assert_true(target_parse(str_of(path), str_of(method), &target, &why));
    assert_true(fields_add(&fields, STR("Accept"), STR("*/*")));
    assert_true(fields_add(&fields, str_of(name), str_of(value)));
    struct route_choice choice = route_find(table, str_of(method), &target, STR("api.test"));
    assert_int_equal(choice.verdict, ROUTE_FOUND);
    const struct override_input input = {table,           str_of(method), &target,
                                         STR("api.test"), &fields,        &choice};
    struct caller_verdict verdict = override_check(&input);
    assert_true(!verdict.status == !verdict.why);
    return verdict.status;
}

static void test_judged(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *name, *value;
        int status;
    } rows[] = {
        {"POST", "/x", "X-HTTP-Method-Override", "DELETE", 400},
        {"POST", "/x", "x-http-method-override", "delete", 400},
        {"POST", "/x", "X_HTTP_Method_Override", "DELETE", 400},
        {"POST", "/x", "X-HTTP-Method", "DELETE", 400},
        {"POST", "/x", "X-Method-Override", "DELETE", 400},
        {"POST", "/x", "X-HTTP-Method-Override", "GET", 400},
        {"GET", "/x", "X-HTTP-Method-Override", "POST", 400},
        {"POST", "/x", "X-HTTP-Method-Override", "PATCH", 400}, // no route at all
        {"POST", "/x", "X-HTTP-Method-Override", "PUT, DELETE", 400},
        {"POST", "/x", "X-HTTP-Method-Override", "", 400},
        {"POST", "/x", "X-HTTP-Method-Override", "PUTPUTPUTPUTPUTPUTPUTPUTPUTPUTPUTPUT", 400},
        {"POST", "/x", "X-HTTP-Method-Override", "PUT", 0}, // the same route
        {"POST", "/x", "X-HTTP-Method-Override", "put", 0},
        {"POST", "/x", "X-HTTP-Method-Override", "POST", 0},
        {"GET", "/x", "X-HTTP-Method-Override", "HEAD", 0},
        {"POST", "/any/x", "X-HTTP-Method-Override", "GET", 0}, // a longer pattern than /**
        {"POST", "/any/x", "X-HTTP-Method-Override", "DELETE", 0},
        {"POST", "/x", "X-HTTP-Method-Overrides", "DELETE", 0}, // another field
        {"POST", "/x", "X-HTTP-Methods", "DELETE", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = status_of(rows[i].method, rows[i].path, rows[i].name, rows[i].value);
        if (status != rows[i].status)
            fail_msg("%s %s, %s: %s: %d", rows[i].method, rows[i].path, rows[i].name, rows[i].value,
                     status);
    }
}

// What does not reach the upstream misleads nobody.
static void test_removed(void **state)
{
    (void)state;
    static char name[] = "X-HTTP-Method-Override";
    char *names[] = {name};
    upstream->remove_header = (struct config_strings){names, 1};
    assert_int_equal(status_of("POST", "/x", "x-http-method-override", "DELETE"), 0);
    assert_int_equal(status_of("POST", "/x", "X-Method-Override", "DELETE"), 400);
    upstream->remove_header.count = 0;
    write_route->remove_header = (struct config_strings){names, 1};
    assert_int_equal(status_of("POST", "/x", "x-http-method-override", "DELETE"), 0);
    write_route->remove_header.count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judged),
        cmocka_unit_test(test_removed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
