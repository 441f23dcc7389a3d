#include "server/access_log.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

/* Bytes of one escaped value: three long ones and the rest fit into ACCESS_LINE_MAX. */
#define VALUE_MAX  1000
#define SHORT_MAX  64
#define ID_MAX     256
#define ESCAPE_MAX 6 /* JSON: \u00XX */

/* A line under construction; the caller made sure of ACCESS_LINE_MAX bytes. */
struct line {
    char *at;
    bool json;
};

static void put(struct line *l, struct str s)
{
    memcpy(l->at, s.p, s.n);
    l->at += s.n;
}

static void put_u64(struct line *l, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(l, str_n(digits + at, sizeof digits - at));
}

/* Bytes that stand for themselves between quotes; UTF-8 is escaped bytewise like Apache does, in JSON as U+00XX. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_escape(struct line *l, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    *l->at++ = '\\';
    if (c == '"' || c == '\\') {
        *l->at++ = (char)c;
        return;
    }
    put(l, l->json ? STR("u00") : STR("x"));
    *l->at++ = hex[c >> 4];
    *l->at++ = hex[c & 15];
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Whether one of eight bytes needs an escape. The tests are exact as long as no byte has its top bit set, and a set top
 * bit is a hit by itself. */
static bool any_special(uint64_t w)
{
    uint64_t quote = w ^ EACH_BYTE('"'), backslash = w ^ EACH_BYTE('\\');
    uint64_t hit = w | (w - EACH_BYTE(0x20)) | (w + EACH_BYTE(1)) | (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1));
    return hit & EACH_BYTE(0x80);
}

/* Length of the part that can be copied as it is. */
static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if (any_special(word))
            break;
    }
    while (i < n && is_plain((unsigned char)p[i]))
        i++;
    return i;
}

static void put_escaped(struct line *l, struct str s, const char *end)
{
    while (s.n && l->at + ESCAPE_MAX <= end) {
        size_t n = plain_run(s.p, MIN(s.n, (size_t)(end - l->at)));
        put(l, str_n(s.p, n));
        s = str_from(s, n);
        if (!s.n || l->at + ESCAPE_MAX > end)
            return;
        put_escape(l, (unsigned char)s.p[0]);
        s = str_from(s, 1);
    }
}

/* Names are compared as sent: one that hides behind %XX is masked too. */
static bool is_secret(struct str name)
{
    static const char *const names[] = {"token",    "access_token",  "api_key",  "apikey", "api-key", "key",  "jwt",
                                        "id_token", "refresh_token", "password", "secret", "code",    "auth", "sid"};
    if (str_find_char(name, '%') >= 0)
        return true;
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_ieq(name, str_c(names[i])))
            return true;
    return false;
}

/* A target or URL with the values of secret parameters as "***"; what follows '?' up to a '#' are the parameters. */
static void put_url(struct line *l, struct str url)
{
    const char *end = l->at + VALUE_MAX;
    ptrdiff_t mark = str_find_char(url, '?');
    if (mark < 0) {
        put_escaped(l, url, end);
        return;
    }
    put_escaped(l, str_n(url.p, (size_t)mark + 1), end);
    struct str rest = str_from(url, (size_t)mark + 1), pair;
    for (bool first = true; str_split(&rest, '&', &pair); first = false) {
        ptrdiff_t equals = str_find_char(pair, '=');
        if (!first)
            put_escaped(l, STR("&"), end);
        if (equals < 0 || !is_secret(str_n(pair.p, (size_t)equals))) {
            put_escaped(l, pair, end);
            continue;
        }
        put_escaped(l, str_n(pair.p, (size_t)equals + 1), end);
        put_escaped(l, STR("***"), end);
    }
}

static void put_text(struct line *l, struct str s)
{
    put_escaped(l, s, l->at + VALUE_MAX);
}

/* "21/Nov/2026:07:00:13 +0000"; nearly every call falls into the second of the one before. */
static struct str date_text(int64_t wall_ms)
{
    static _Thread_local struct {
        int64_t second;
        char text[32];
    } last = {.second = -1};
    int64_t second = wall_ms / 1000;
    if (second != last.second) {
        static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        time_t t = (time_t)second;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(last.text, sizeof last.text, "%02d/%s/%04d:%02d:%02d:%02d +0000", tm.tm_mday, months[tm.tm_mon],
                 (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
        last.second = second;
    }
    return str_c(last.text);
}

static void put_combined(struct line *l, const struct access_entry *entry, int64_t wall_ms)
{
    put_escaped(l, entry->address.n ? entry->address : STR("-"), l->at + SHORT_MAX);
    put(l, STR(" - - ["));
    put(l, date_text(wall_ms));
    put(l, STR("] \""));
    if (entry->method.n) {
        put_escaped(l, entry->method, l->at + SHORT_MAX);
        put(l, STR(" "));
        put_url(l, entry->target);
        put(l, entry->minor ? STR(" HTTP/1.1") : STR(" HTTP/1.0"));
    } else {
        put(l, STR("-"));
    }
    put(l, STR("\" "));
    put_u64(l, (uint64_t)entry->status);
    put(l, STR(" "));
    if (entry->bytes)
        put_u64(l, entry->bytes);
    else
        put(l, STR("-"));
    put(l, STR(" \""));
    put_url(l, entry->referer.n ? entry->referer : STR("-"));
    put(l, STR("\" \""));
    put_text(l, entry->user_agent.n ? entry->user_agent : STR("-"));
    put(l, STR("\"\n"));
}

static void put_json(struct line *l, const struct access_entry *entry, int64_t wall_ms)
{
    char iso[ISO_LEN + 1];
    clock_iso(iso, wall_ms);
    put(l, STR("{\"ts\":\""));
    put(l, str_n(iso, ISO_LEN));
    put(l, STR("\",\"address\":\""));
    put_escaped(l, entry->address, l->at + SHORT_MAX);
    put(l, STR("\",\"method\":\""));
    put_escaped(l, entry->method, l->at + SHORT_MAX);
    put(l, STR("\",\"target\":\""));
    put_url(l, entry->target);
    put(l, STR("\",\"status\":"));
    put_u64(l, (uint64_t)entry->status);
    put(l, STR(",\"bytes\":"));
    put_u64(l, entry->bytes);
    put(l, STR(",\"us\":"));
    put_u64(l, entry->micros);
    put(l, STR(",\"id\":\""));
    put_escaped(l, entry->id, l->at + ID_MAX);
    put(l, STR("\",\"referer\":\""));
    put_url(l, entry->referer);
    put(l, STR("\",\"user_agent\":\""));
    put_text(l, entry->user_agent);
    put(l, STR("\"}\n"));
}

int access_log_format(struct buf *out, enum access_format format, const struct access_entry *entry, int64_t wall_ms)
{
    char *start = buf_reserve(out, ACCESS_LINE_MAX);
    if (!start)
        return -1;
    struct line line = {.at = start, .json = format == ACCESS_FORMAT_JSON};
    if (line.json)
        put_json(&line, entry, wall_ms);
    else
        put_combined(&line, entry, wall_ms);
    buf_commit(out, (size_t)(line.at - start));
    return 0;
}
