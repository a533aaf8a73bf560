// SPDX-License-Identifier: MIT
// The crowd of clients: each has its own count, whatever the others do, and leaves nothing behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http/crowd.h"

static struct crowd_client client_at(const char *text)
{
    struct sockaddr_storage address = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
    void *out = address.ss_family == AF_INET
                    ? (void *)&((struct sockaddr_in *)(void *)&address)->sin_addr
                    : (void *)&((struct sockaddr_in6 *)(void *)&address)->sin6_addr;
    assert_int_equal(inet_pton(address.ss_family, text, out), 1);
    return crowd_client_of(-1, &address);
}

static void test_each_has_its_own_count(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(2);
    struct crowd_client a = client_at("127.0.0.1"), b = client_at("127.0.0.2");
    assert_true(crowd_enter(crowd, &a));
    assert_true(crowd_enter(crowd, &a));
    assert_false(crowd_enter(crowd, &a));
    assert_true(crowd_enter(crowd, &b));
    crowd_leave(crowd, &a);
    assert_true(crowd_enter(crowd, &a));
    assert_false(crowd_enter(crowd, &a));
    crowd_leave(crowd, &b);
    crowd_leave(crowd, &a);
    crowd_leave(crowd, &a);
    crowd_free(crowd);
}

static void test_who_is_who(void **state)
{
    (void)state;
    static const char *const all[] = {"1.2.3.4", "1.2.3.5", "::1", "::2", "102:304::", "fe80::1"};
    struct crowd *crowd = crowd_new(1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct crowd_client client = client_at(all[i]);
        assert_true(crowd_enter(crowd, &client));
        assert_false(crowd_enter(crowd, &client));
    }
    crowd_free(crowd); // with entries left
}

static void test_the_user_of_a_unix_socket(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct crowd_client one = crowd_client_of(pair[0], &address);
    struct crowd_client two = crowd_client_of(pair[1], &address);
    struct crowd_client nobody = crowd_client_of(-1, &address);
    assert_memory_equal(&one, &two, sizeof one);
    assert_int_equal(one.bytes[0], AF_UNIX);
    assert_int_equal(nobody.bytes[0], AF_UNIX);
    uid_t uid = getuid();
    assert_memory_equal(one.bytes + 1, &uid, sizeof uid);
    close(pair[0]);
    close(pair[1]);
}

static void test_many(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(3);
    for (int round = 0; round < 4; round++)
        for (unsigned i = 0; i < 20000; i++) {
            struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i)};
            struct sockaddr_storage storage = {0};
            memcpy(&storage, &address, sizeof address);
            struct crowd_client client = crowd_client_of(-1, &storage);
            assert_int_equal(crowd_enter(crowd, &client), round < 3);
        }
    crowd_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_its_own_count),
        cmocka_unit_test(test_who_is_who),
        cmocka_unit_test(test_the_user_of_a_unix_socket),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
