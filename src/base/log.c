#include "base/log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <stdatomic.h>
#include <unistd.h>

#define LOG_LINE     KIB(16)
#define LINE_END     32 /* kept free for a number, quotes, the closing brace and the newline */
#define WORST_ESCAPE 6  /* bytes that one byte of a value may become: \u0001 */

_Thread_local const char *log_request_id;

static atomic_int min_level = LOG_INFO;
static atomic_int out_format = LOG_TEXT;

static const char *const names[] = {"debug", "info", "warn", "error", "off"};

void log_setup(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&out_format, (int)format, memory_order_relaxed);
}

int log_level_parse(struct str name, enum log_level *level)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_ieq(name, str_c(names[i]))) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    if (str_ieq(name, STR("warning")))
        *level = LOG_WARN;
    else if (str_ieq(name, STR("silent")) || str_ieq(name, STR("none")))
        *level = LOG_OFF;
    else
        return -1;
    return 0;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

static bool is_plain(struct str s)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] == 0x7F)
            return false;
    return true;
}

static void put_text(struct buf *out, const char *key, struct str value)
{
    if (out->len)
        buf_byte(out, ' ');
    buf_str_add(out, str_c(key));
    buf_byte(out, '=');
    if (is_plain(value))
        json_put_escaped(out, value);
    else
        json_put_str(out, value);
}

/* The value cut so that it fits however it must be escaped: a line is never broken off inside a field. */
static struct str fitting(const struct buf *out, const char *key, struct str value)
{
    size_t room = (out->max - out->len - LINE_END) / WORST_ESCAPE, used = strlen(key) + 1;
    return str_n(value.p, room <= used ? 0 : value.n <= room - used ? value.n : utf8_floor(value.p, room - used));
}

static void put_field(struct buf *out, struct jw *w, const struct log_field *f)
{
    /* What is left must hold at least the key and an empty value. */
    if (!f->key || out->max - out->len < LINE_END + WORST_ESCAPE * (strlen(f->key) + 1))
        return;
    char digits[24];
    struct buf number = {.data = digits, .cap = sizeof digits, .max = sizeof digits};
    struct str value = f->s;
    if (value.p) {
        value = fitting(out, f->key, value);
    } else {
        struct jw n = jw_begin(&number);
        jw_int(&n, f->i);
        value = buf_str(&number);
    }
    if (!w)
        put_text(out, f->key, value);
    else if (f->s.p)
        jw_kstr(w, f->key, value);
    else
        jw_kraw(w, f->key, value);
}

void log_write(enum log_level level, const char *area, const char *event, const struct log_field *fields, size_t n)
{
    char iso[ISO_LEN + 1];
    clock_iso(iso, clock_wall_ms());
    const char *request = log_request_id;
    const struct log_field head[] = {F_C("ts", iso), F_C("level", names[level]), F_C("area", area), F_C("event", event),
                                     F_C("request", request)};
    struct buf line = BUF_INIT(LOG_LINE);
    struct jw w = jw_begin(&line);
    struct jw *json = atomic_load_explicit(&out_format, memory_order_relaxed) == LOG_JSON ? &w : NULL;
    if (json)
        jw_obj(json);
    for (size_t i = 0; i < COUNT(head) - !request; i++)
        put_field(&line, json, &head[i]);
    for (size_t i = 0; i < n; i++)
        put_field(&line, json, &fields[i]);
    if (json)
        jw_end_obj(json);
    buf_byte(&line, '\n');
    /* One write per line: lines of several threads never mix. A log that cannot be written must not stop the server. */
    if (write(STDERR_FILENO, buf_str(&line).p, line.len) < 0)
        (void)0;
    buf_free(&line);
}
