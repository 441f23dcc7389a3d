#include "client/retry.h"

#include "base/macros.h"
#include "base/rand.h"

#include "client/libcurl.h"
#include <math.h>
#include <stdlib.h>

bool retry_wanted(const struct retry_reply *reply)
{
    if (reply->status < 400)
        return false;
    if (str_ieq(reply->should_retry, STR("true")))
        return true;
    if (str_ieq(reply->should_retry, STR("false")))
        return false;
    return reply->status == 408 || reply->status == 409 || reply->status == 429 || reply->status >= 500;
}

/* A decimal number as the headers carry it; -1 when it is none. */
static double number(struct str s)
{
    char text[32], *end;
    s = str_trim(s);
    if (s.n == 0 || s.n >= sizeof text || (*s.p != '.' && (*s.p < '0' || *s.p > '9')))
        return -1;
    str_copy(text, sizeof text, s);
    double value = strtod(text, &end);
    return *end || !isfinite(value) ? -1 : value;
}

int64_t retry_asked_ms(const struct retry_reply *reply, int64_t wall_ms)
{
    const double longest = 86400e3; /* keeps absurd values in range */
    double ms = number(reply->retry_after_ms);
    if (ms >= 0)
        return (int64_t)MIN(ms, longest);
    double seconds = number(reply->retry_after);
    if (seconds >= 0)
        return (int64_t)MIN(seconds * 1000, longest);
    char date[64];
    if (reply->retry_after.n == 0 || reply->retry_after.n >= sizeof date)
        return -1;
    str_copy(date, sizeof date, reply->retry_after);
    time_t at = curl_getdate(date, NULL);
    if (at < 0)
        return -1;
    int64_t wait = (int64_t)at * 1000 - wall_ms;
    return wait < 0 ? 0 : MIN(wait, (int64_t)longest);
}

unsigned retry_backoff_ms(unsigned attempt)
{
    unsigned ms = attempt >= 4 ? 8000 : 500U << attempt;
    return ms - (unsigned)rand_below(ms / 4 + 1);
}
