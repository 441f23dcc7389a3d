#include "unit/support/unit.h"

#include "base/blob.h"
#include "base/macros.h"

#include <pthread.h>

static void holds_a_terminated_copy(void **state)
{
    (void)state;
    char text[] = "abc";
    struct blob *blob = blob_new(str_n(text, 3));
    text[0] = 'x';
    assert_str(blob_str(blob), "abc");
    assert_int_equal(blob->data[3], 0);
    assert_null(blob_unref(blob));
}

static void may_be_empty(void **state)
{
    (void)state;
    struct blob *blob = blob_new(STR_NONE);
    assert_int_equal(blob->n, 0);
    assert_string_equal(blob->data, "");
    blob_unref(blob);
}

static void lives_until_the_last_reference(void **state)
{
    (void)state;
    struct blob *blob = blob_alloc(4);
    memcpy(blob->data, "data", 4);
    assert_ptr_equal(blob_ref(blob), blob);
    assert_null(blob_unref(blob));
    assert_str(blob_str(blob), "data");
    assert_null(blob_unref(blob));
}

static void unref_takes_null(void **state)
{
    (void)state;
    assert_null(blob_unref(NULL));
}

enum { ROUNDS = 20000 };

static void *share(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct blob *mine = blob_ref(arg);
        assert_int_equal(mine->n, 5);
        blob_unref(mine);
    }
    return blob_unref(arg); /* the reference the thread was given */
}

static void threads_may_share_it(void **state)
{
    (void)state;
    struct blob *blob = blob_new(STR("share"));
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share, blob_ref(blob)), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&blob->refs), 1);
    blob_unref(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_terminated_copy),        cmocka_unit_test(may_be_empty),
        cmocka_unit_test(lives_until_the_last_reference), cmocka_unit_test(unref_takes_null),
        cmocka_unit_test(threads_may_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
