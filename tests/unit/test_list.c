// SPDX-License-Identifier: MIT
// The intrusive ring.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

struct letter {
    char c;
    struct list link;
};

// The letters front to back, checked back to front, too.
static void expect(struct list *head, const char *want)
{
    size_t at = 0;
    for (struct list *link = head->next; link != head; link = link->next) {
        assert_int_equal(CONTAINER_OF(link, struct letter, link)->c, want[at]);
        assert_ptr_equal(link->next->prev, link);
        assert_ptr_equal(link->prev->next, link);
        at++;
    }
    assert_int_equal(want[at], '\0');
    assert_int_equal(list_is_empty(head), at == 0);
}

static void test_order(void **state)
{
    (void)state;
    struct list head;
    struct letter a = {.c = 'a'}, b = {.c = 'b'}, c = {.c = 'c'}, d = {.c = 'd'};
    list_init(&head);
    expect(&head, "");
    assert_false(list_is_linked(&a.link));
    list_append(&head, &b.link);
    list_append(&head, &d.link);
    list_prepend(&head, &a.link);
    list_insert_before(&d.link, &c.link);
    expect(&head, "abcd");
    assert_true(list_is_linked(&c.link));
    list_remove(&c.link);
    assert_false(list_is_linked(&c.link));
    list_remove(&c.link); // no-op
    expect(&head, "abd");
    list_remove(&a.link);
    list_remove(&d.link);
    expect(&head, "b");
    list_remove(&b.link);
    expect(&head, "");
}

static void test_take(void **state)
{
    (void)state;
    struct list head;
    struct letter a = {.c = 'a'}, b = {.c = 'b'};
    list_init(&head);
    assert_null(list_take_first(&head));
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    assert_ptr_equal(list_take_first(&head), &a.link);
    assert_false(list_is_linked(&a.link));
    list_append(&head, &a.link); // may go in again
    expect(&head, "ba");
}

static void test_move_all(void **state)
{
    (void)state;
    struct list from, to;
    struct letter a = {.c = 'a'}, b = {.c = 'b'};
    list_init(&from);
    list_move_all(&from, &to);
    expect(&to, "");
    list_append(&from, &a.link);
    list_move_all(&from, &to);
    expect(&from, "");
    expect(&to, "a");
    list_append(&to, &b.link);
    list_move_all(&to, &from);
    expect(&from, "ab");
    list_remove(&a.link); // a node does not care which list it is in
    expect(&from, "b");
    expect(&to, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_move_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
