/* docs/CONFIGURATION.md is what the table says; `parley check --markdown` writes it anew. */
#include "load.h"

static void the_committed_page_is_true(void **state)
{
    (void)state;
    struct buf written = BUF_INIT(KIB(256)), committed = BUF_INIT(KIB(256));
    FILE *file = fopen(COMMITTED_MARKDOWN, "re");
    assert_non_null(file);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;)
        assert_int_equal(buf_add(&committed, piece, n), 0);
    fclose(file);
    assert_int_equal(config_markdown(&written), 0);
    assert_string_equal(buf_cstr(&committed), buf_cstr(&written));
    buf_free(&written);
    buf_free(&committed);
}

static void every_name_is_on_the_page(void **state)
{
    (void)state;
    struct buf page = BUF_INIT(KIB(256)), cell = BUF_INIT(256);
    assert_int_equal(config_markdown(&page), 0);
    for (size_t i = 0; i < settings_count; i++)
        for (size_t k = 0; k < COUNT(settings[i].names) && settings[i].names[k]; k++) {
            buf_clear(&cell);
            buf_addf(&cell, "`%s`", settings[i].names[k]);
            assert_true(has_text(&page, buf_cstr(&cell)));
        }
    buf_free(&page);
    buf_free(&cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_committed_page_is_true),
        cmocka_unit_test(every_name_is_on_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
