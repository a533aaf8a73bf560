// SPDX-License-Identifier: MIT
// How many descriptors a configuration needs, and how many clients fit into fewer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fixture.h"
#include "daemon/descriptors.h"

static void make(struct fixture *fixture, const char *url, uint64_t clients, uint64_t workers)
{
    fixture_init(fixture);
    struct config_upstream *upstream = fixture_upstream(fixture, "a", url, NULL, NULL);
    upstream->max_connections = 100;
    upstream->keepalive = 10;
    fixture->config.max_connections = clients;
    fixture->config.workers = workers;
    fixture->config.listen.count = 1;
}

static void test_what_is_needed(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, "http://a", 50, 1); // each client's request, and those idle
    assert_int_equal(descriptors_needed(&fixture.config), DESCRIPTORS_RESERVED + 9 + 50 + 50 + 10);
    make(&fixture, "http://a", 5000, 1); // no more than the upstream's limit
    assert_int_equal(descriptors_needed(&fixture.config), DESCRIPTORS_RESERVED + 9 + 5000 + 100);
    make(&fixture, "https://a", 5000, 2);
    assert_int_equal(descriptors_needed(&fixture.config),
                     DESCRIPTORS_RESERVED + 18 + 5000 + 3 * 200);
    // TLS counts where it is spoken
    fixture_upstream(&fixture, "b", "http://b", NULL, NULL)->max_connections = 1000;
    assert_int_equal(descriptors_needed(&fixture.config),
                     DESCRIPTORS_RESERVED + 18 + 5000 + 3 * 200 + 2000);
}

static void test_how_many_clients_fit(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, "https://a", 5000, 1);
    uint64_t needed = descriptors_needed(&fixture.config);
    assert_int_equal(descriptors_clients(&fixture.config, UINT64_MAX), 5000);
    assert_int_equal(descriptors_clients(&fixture.config, needed), 5000);
    assert_int_equal(descriptors_clients(&fixture.config, needed - 1), 4999);
    uint64_t fixed = DESCRIPTORS_RESERVED + 9;
    assert_int_equal(descriptors_clients(&fixture.config, fixed + 1000), 1000 - 3 * 100);
    assert_int_equal(descriptors_clients(&fixture.config, fixed + 200), 50); // four for each
    assert_int_equal(descriptors_clients(&fixture.config, 64), 1);
    assert_int_equal(descriptors_clients(&fixture.config, 0), 1);
    make(&fixture, "http://a", 20, 1); // the reserve alone is missing
    assert_int_equal(descriptors_clients(&fixture.config, DESCRIPTORS_RESERVED + 9 + 40), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_needed),
        cmocka_unit_test(test_how_many_clients_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
