#include "base/clock.h"

#include "base/macros.h"
#include "base/str.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000U;
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000000U);
}

int64_t clock_wall_us(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000U);
}

static void put_digits(char *to, unsigned value, unsigned width)
{
    while (width--) {
        to[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* What four digits of a year can say. */
static int64_t sayable(int64_t wall_ms)
{
    return wall_ms < 0 ? 0 : MIN(wall_ms, INT64_C(253402300799999));
}

static struct tm split(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    gmtime_r(&seconds, &t);
    return t;
}

void clock_iso(char out[ISO_LEN + 1], int64_t wall_ms)
{
    /* Nearly every call falls into the same second as the one before it. */
    static _Thread_local struct {
        int64_t second;
        char text[ISO_LEN + 1];
    } last = {.second = -1};
    wall_ms = sayable(wall_ms);
    int64_t second = wall_ms / 1000;
    if (second != last.second) {
        struct tm t = split(wall_ms);
        memcpy(last.text, "0000-00-00T00:00:00.000Z", ISO_LEN + 1);
        put_digits(last.text, (unsigned)t.tm_year + 1900, 4);
        put_digits(last.text + 5, (unsigned)t.tm_mon + 1, 2);
        put_digits(last.text + 8, (unsigned)t.tm_mday, 2);
        put_digits(last.text + 11, (unsigned)t.tm_hour, 2);
        put_digits(last.text + 14, (unsigned)t.tm_min, 2);
        put_digits(last.text + 17, (unsigned)t.tm_sec, 2);
        last.second = second;
    }
    memcpy(out, last.text, ISO_LEN + 1);
    put_digits(out + 20, (unsigned)(wall_ms % 1000), 3);
}

static int field(const char *text, size_t n, size_t at, size_t width, int low, int high, int *out)
{
    uint64_t value;
    if (at + width > n || str_u64(str_n(text + at, width), &value) < 0 || value < (uint64_t)low ||
        value > (uint64_t)high)
        return -1;
    *out = (int)value;
    return 0;
}

/* The fraction and the Z behind the seconds, both optional, and nothing else. */
static int fraction(const char *text, size_t n, int *ms)
{
    size_t at = 19;
    if (at < n && text[at] == '.') {
        if (field(text, n, at + 1, 3, 0, 999, ms) < 0)
            return -1;
        at += 4;
    }
    if (at < n && text[at] == 'Z')
        at++;
    return at == n ? 0 : -1;
}

int clock_iso_parse(const char *text, size_t n, int64_t *wall_ms)
{
    struct tm t = {0};
    int ms = 0, second;
    if (n < 19 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':')
        return -1;
    if (field(text, n, 0, 4, 1970, 9999, &t.tm_year) || field(text, n, 5, 2, 1, 12, &t.tm_mon) ||
        field(text, n, 8, 2, 1, 31, &t.tm_mday) || field(text, n, 11, 2, 0, 23, &t.tm_hour) ||
        field(text, n, 14, 2, 0, 59, &t.tm_min) || field(text, n, 17, 2, 0, 60, &second) || fraction(text, n, &ms))
        return -1;
    int day = t.tm_mday;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    int64_t minute = (int64_t)timegm(&t);
    if (t.tm_mday != day) /* 31 November */
        return -1;
    *wall_ms = (minute + second) * 1000 + ms;
    return 0;
}

void clock_http_date(char out[30], int64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = split(sayable(wall_ms));
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", 30);
    memcpy(out, days + (ptrdiff_t)3 * t.tm_wday, 3);
    put_digits(out + 5, (unsigned)t.tm_mday, 2);
    memcpy(out + 8, months + (ptrdiff_t)3 * t.tm_mon, 3);
    put_digits(out + 12, (unsigned)t.tm_year + 1900, 4);
    put_digits(out + 17, (unsigned)t.tm_hour, 2);
    put_digits(out + 20, (unsigned)t.tm_min, 2);
    put_digits(out + 23, (unsigned)t.tm_sec, 2);
}
