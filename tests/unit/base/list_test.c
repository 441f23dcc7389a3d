#include "unit/support/unit.h"

#include "base/list.h"

struct item {
    char name;
    struct list link;
};

static const char *names(struct list *head)
{
    static char text[32];
    size_t n = 0;
    list_each(it, head) {
        assert_ptr_equal(it->next->prev, it);
        text[n++] = container_of(it, struct item, link)->name;
    }
    text[n] = 0;
    return text;
}

static void keeps_the_order_of_linking(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};
    assert_true(list_empty(&head));
    list_push_back(&head, &b.link);
    list_push_back(&head, &d.link);
    list_push_front(&head, &a.link);
    list_insert_before(&d.link, &c.link);
    assert_false(list_empty(&head));
    assert_string_equal(names(&head), "abcd");
    list_remove(&b.link);
    list_remove(&b.link);
    assert_true(list_empty(&b.link));
    assert_string_equal(names(&head), "acd");
    assert_ptr_equal(list_pop_front(&head), &a.link);
    assert_true(list_empty(&a.link));
    assert_ptr_equal(list_pop_front(&head), &c.link);
    assert_ptr_equal(list_pop_front(&head), &d.link);
    assert_null(list_pop_front(&head));
}

static void splicing_moves_all_behind(void **state)
{
    (void)state;
    struct list one, two;
    list_init(&one);
    list_init(&two);
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    list_splice(&one, &two);
    assert_true(list_empty(&one));
    list_push_back(&two, &b.link);
    list_push_back(&two, &c.link);
    list_splice(&one, &two);
    assert_string_equal(names(&one), "bc");
    assert_true(list_empty(&two));
    list_push_back(&two, &a.link);
    list_splice(&two, &one);
    assert_string_equal(names(&two), "abc");
    assert_true(list_empty(&one));
}

static void the_current_entry_may_go_in_the_safe_loop(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[6];
    for (size_t i = 0; i < COUNT(items); i++) {
        items[i].name = (char)('a' + i);
        list_push_back(&head, &items[i].link);
    }
    size_t seen = 0;
    list_each_safe(it, &head) {
        if (seen++ % 2)
            list_remove(it);
    }
    assert_int_equal(seen, 6);
    assert_string_equal(names(&head), "ace");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_linking),
        cmocka_unit_test(splicing_moves_all_behind),
        cmocka_unit_test(the_current_entry_may_go_in_the_safe_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
