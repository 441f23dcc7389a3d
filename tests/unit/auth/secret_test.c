#include "auth/secret.h"

#include "base/macros.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void missing_and_short(void **state)
{
    (void)state;
    assert_string_equal(jwt_secret_problem(STR_NONE), "is not set");
    assert_string_equal(jwt_secret_problem(STR("")), "is not set");
    assert_string_equal(jwt_secret_problem(STR("0123456789abcdef0123456789abcde")), "is shorter than 32 bytes");
    assert_null(jwt_secret_problem(STR("0123456789abcdef0123456789abcdef")));
}

static void samples_of_the_documents(void **state)
{
    (void)state;
    const char *const samples[] = {"your-secret-key",
                                   "your_jwt_secret_here",
                                   "your-production-jwt-secret",
                                   "YOUR_JWT_SECRET_HERE",
                                   "your-production-jwt-secret-0123456789",
                                   "padding-your-secret-key-padding-0123"};
    for (size_t i = 0; i < COUNT(samples); i++)
        assert_string_equal(jwt_secret_problem(str_c(samples[i])), "is a sample value of the documents");
}

static void repetition(void **state)
{
    (void)state;
    assert_string_equal(jwt_secret_problem(STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
                        "repeats a few characters");
    assert_string_equal(jwt_secret_problem(STR("12345671234567123456712345671234567")), "repeats a few characters");
    assert_null(jwt_secret_problem(STR("q9Zk3vXn+Tt1Lw8sYb0Rf6Jm2Gd5Hc7PaUeIoKyBxVw=")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_and_short),
        cmocka_unit_test(samples_of_the_documents),
        cmocka_unit_test(repetition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
