#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/security_headers.h"

static bool has(bool secure, bool page, const char *line)
{
    struct str block = security_headers(secure, page);
    assert_true(str_ends(block, STR("\r\n")));
    return str_find(block, str_c(line)) >= 0;
}

static void every_reply_has_the_common_ones(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool secure = i & 1, page = i & 2;
        assert_true(has(secure, page, "X-Content-Type-Options: nosniff\r\n"));
        assert_true(has(secure, page, "Referrer-Policy: no-referrer\r\n"));
        assert_true(has(secure, page, "X-Frame-Options: SAMEORIGIN\r\n"));
        assert_true(has(secure, page, "Cross-Origin-Resource-Policy: cross-origin\r\n"));
        assert_int_equal(has(secure, page, "Strict-Transport-Security: "), secure);
        assert_int_equal(has(secure, page, "Content-Security-Policy: default-src 'none'"), !page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_reply_has_the_common_ones)};
    return cmocka_run_group_tests_name("security_headers", tests, NULL, NULL);
}
