// SPDX-License-Identifier: MIT
// The hash map against a plain array, through all its growths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static void test_empty(void **state)
{
    (void)state;
    struct map map;
    struct str key;
    void *value;
    size_t cursor = 0;
    map_init(&map);
    assert_null(map_get(&map, STR("a")));
    assert_false(map_next(&map, &cursor, &key, &value));
    map_fini(&map);
}

static void test_keys_are_bytes(void **state)
{
    (void)state;
    struct map map;
    int values[4];
    map_init(&map);
    assert_null(map_put(&map, STR(""), &values[0]));
    assert_null(map_put(&map, STR("a\0b"), &values[1]));
    assert_null(map_put(&map, STR("a\0c"), &values[2]));
    assert_ptr_equal(map_get(&map, STR_NONE), &values[0]);
    assert_ptr_equal(map_get(&map, STR("a\0b")), &values[1]);
    assert_ptr_equal(map_get(&map, STR("a\0c")), &values[2]);
    assert_null(map_get(&map, STR("a")));
    assert_null(map_get(&map, STR("A\0b")));
    assert_ptr_equal(map_put(&map, STR("a\0b"), &values[3]), &values[1]);
    assert_ptr_equal(map_get(&map, STR("a\0b")), &values[3]);
    assert_int_equal(map.count, 3);
    map_fini(&map);
}

#define KEYS 5000

static char names[KEYS][16];
static int marks[KEYS];

static void test_many(void **state)
{
    (void)state;
    struct map map;
    map_init(&map);
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        assert_null(map_put(&map, str_of(names[i]), &marks[i]));
        assert_int_equal(map.count, i + 1);
        assert_true(map.count * 2 <= map.cap + 1);
    }
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&map, str_of(names[i])), &marks[i]);
    assert_null(map_get(&map, STR("k5000")));
    size_t cursor = 0, seen = 0;
    struct str key;
    void *value;
    while (map_next(&map, &cursor, &key, &value)) {
        ++*(int *)value;
        seen++;
        assert_ptr_equal(key.ptr, names[(int *)value - marks]);
    }
    assert_int_equal(seen, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(marks[i], 1);
    map_fini(&map);
    assert_null(map_get(&map, STR("k1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
