/* Byte ranges of one reply. */
#include "unit/support/unit.h"

#include "api/audio_range.h"

static void check(const char *header, uint64_t size, int status, uint64_t from, uint64_t n)
{
    struct audio_range r = audio_range_read(str_c(header), size);
    if (r.status != status || r.from != from || r.n != n)
        fail_msg("%s of %d: %d, %d bytes from %d", header, (int)size, r.status, (int)r.n, (int)r.from);
}

static void parts(void **state)
{
    (void)state;
    check("bytes=0-0", 10, 206, 0, 1);
    check("bytes=2-5", 10, 206, 2, 4);
    check("bytes=2-", 10, 206, 2, 8);
    check("bytes=-3", 10, 206, 7, 3);
    check("bytes=-30", 10, 206, 0, 10);
    check("bytes=9-30", 10, 206, 9, 1);
    check("bytes=0-18446744073709551615", 10, 206, 0, 10);
    check(" Bytes= 1-2 ", 10, 206, 1, 2);
}

static void nothing_there(void **state)
{
    (void)state;
    check("bytes=10-", 10, 416, 0, 0);
    check("bytes=-0", 10, 416, 0, 0);
    check("bytes=0-", 0, 416, 0, 0);
    check("bytes=-5", 0, 416, 0, 0);
}

static void everything(void **state)
{
    (void)state;
    static const char *const headers[] = {"",
                                          "bytes=",
                                          "bytes",
                                          "bytes=-",
                                          "bytes=5-2",
                                          "bytes=1-2,",
                                          "bytes=a-b",
                                          "chars=1-",
                                          "bytes=1",
                                          "bytes=--1",
                                          "bytes=+1-2",
                                          "bytes=1 -2",
                                          "bytes=18446744073709551616-"};
    for (size_t i = 0; i < COUNT(headers); i++)
        check(headers[i], 10, 200, 0, 10);
}

static void content_range(void **state)
{
    (void)state;
    struct arena *a = arena_new("test");
    assert_str(audio_range_header(a, &(struct audio_range){206, 2, 4}, 10), "bytes 2-5/10");
    assert_str(audio_range_header(a, &(struct audio_range){416, 0, 0}, 10), "bytes */10");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test(everything),
        cmocka_unit_test(content_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
