#include "unit/support/unit.h"

#include "base/mem.h"
#include "unit/support/child.h"

static void nothing_is_something(void **state)
{
    (void)state;
    void *p[] = {mem_alloc(0), mem_zalloc(0), mem_array(0, 8), mem_array(8, 0), mem_realloc(NULL, 0)};
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++) {
        assert_non_null(p[i]);
        free(p[i]);
    }
}

static void zeroed_is_zero(void **state)
{
    (void)state;
    char *a = mem_zalloc(1000), *b = mem_array(100, 10);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(a[i] | b[i], 0);
    free(a);
    free(b);
}

static void realloc_keeps_what_was_there(void **state)
{
    (void)state;
    char *p = mem_alloc(4);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 100000);
    assert_string_equal(p, "abc");
    p = mem_realloc(p, 0); /* smaller, never freed */
    assert_non_null(p);
    free(p);
}

static volatile size_t huge = SIZE_MAX / 2 + 1;

static void overflowing_product(void)
{
    free(mem_array(huge, 4));
}

static void a_product_that_overflows_ends_the_process(void **state)
{
    (void)state;
    static struct child child;
    child_run(&child, overflowing_product);
    assert_true(child_aborted(&child));
    assert_non_null(strstr(child.err, "parley: fatal: out of memory (9223372036854775808 x 4 bytes)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(zeroed_is_zero),
        cmocka_unit_test(realloc_keeps_what_was_there),
        cmocka_unit_test(a_product_that_overflows_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
