/* What every unit test includes: cmocka with the headers it needs, and a few checks of our own types. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

/* The slice holds exactly these bytes; on failure both are shown. */
static inline void check_str(struct str got, const char *want, const char *file, int line)
{
    char *text = str_dup(got);
    if (strlen(text) != got.n)
        print_error("a NUL inside the %zu bytes\n", got.n);
    _assert_string_equal(text, want, file, line);
    _assert_int_equal(got.n, strlen(want), file, line);
    free(text);
}
#define assert_str(got, want) check_str((got), (want), __FILE__, __LINE__)

#endif
