#include "unit/support/unit.h"

#include "base/arena.h"

#include <pthread.h>

static void gives_aligned_memory_of_any_size(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *p = arena_alloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        memset(p, (int)n, n);
    }
    assert_null(arena_free(a));
}

static void allocations_do_not_overlap(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    static unsigned char *pieces[MANY];
    struct arena *a = arena_new("test");
    for (size_t i = 0; i < MANY; i++) {
        pieces[i] = arena_alloc(a, i % 97 + 1);
        memset(pieces[i], (int)(i % 251), i % 97 + 1);
    }
    for (size_t i = 0; i < MANY; i++)
        for (size_t k = 0; k < i % 97 + 1; k++)
            assert_int_equal(pieces[i][k], i % 251);
    arena_free(a);
}

static void zeroed_memory_is_zero_also_when_recycled(void **state)
{
    (void)state;
    struct arena *a = arena_new("dirty");
    memset(arena_alloc(a, 3000), 0xAA, 3000);
    arena_free(a);
    a = arena_new("clean");
    const unsigned char *p = arena_zalloc(a, 3000);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(p[i], 0);
    arena_free(a);
}

static void small_arenas_live_in_one_page(void **state)
{
    (void)state;
    struct arena *a = arena_new("small");
    assert_int_equal(arena_size(a), 4096);
    arena_alloc(a, 3000);
    assert_int_equal(arena_size(a), 4096);
    arena_alloc(a, 3000);
    assert_true(arena_size(a) >= 4096 + 3000);
    arena_alloc(a, MIB(1));
    assert_true(arena_size(a) >= MIB(1));
    arena_free(a);
}

static void copies_are_terminated(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    const char *text = arena_cstr(a, str_n("hello there", 5));
    assert_string_equal(text, "hello");
    struct str s = arena_str(a, STR("h\0i"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "h\0i", 4);
    assert_str(arena_str(a, STR_NONE), "");
    arena_free(a);
}

static void printf_takes_any_length(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    assert_str(arena_printf(a, "%s-%d", "x", 42), "x-42");
    struct str s = arena_printf(a, "%010000d", 7);
    assert_int_equal(s.n, 10000);
    assert_int_equal(s.p[9999], '7');
    assert_int_equal(s.p[10000], 0);
    arena_free(a);
}

static char order[8];
static size_t released;

static void release(void *ptr)
{
    order[released++] = *(char *)ptr;
}

static void owned_things_go_latest_first(void **state)
{
    (void)state;
    char names[] = "abc";
    struct arena *a = arena_new("test");
    for (size_t i = 0; i < 3; i++)
        arena_own(a, &names[i], release);
    assert_int_equal(released, 0);
    arena_free(a);
    assert_string_equal(order, "cba");
}

static void release_into_arena(void *ptr)
{
    *(char *)ptr = 'r'; /* memory of the arena is still there */
}

static void owned_things_may_live_in_the_arena(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    for (int i = 0; i < 100; i++)
        arena_own(a, arena_alloc(a, 1000), release_into_arena);
    arena_free(a);
}

static void free_takes_null(void **state)
{
    (void)state;
    assert_null(arena_free(NULL));
}

static void *use_on_thread(void *arg)
{
    (void)arg;
    struct arena *many[100];
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = arena_new("thread");
        arena_alloc(many[i], 5000);
    }
    for (size_t i = 0; i < COUNT(many); i++)
        arena_free(many[i]);
    return NULL;
}

/* The leak checker is the judge. */
static void a_thread_that_ends_keeps_no_pages(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_on_thread, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    use_on_thread(NULL);
    arena_thread_end();
    use_on_thread(NULL);
    arena_thread_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_memory_of_any_size),
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(zeroed_memory_is_zero_also_when_recycled),
        cmocka_unit_test(small_arenas_live_in_one_page),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(printf_takes_any_length),
        cmocka_unit_test(owned_things_go_latest_first),
        cmocka_unit_test(owned_things_may_live_in_the_arena),
        cmocka_unit_test(free_takes_null),
        cmocka_unit_test(a_thread_that_ends_keeps_no_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
