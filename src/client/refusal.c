#include "client/refusal.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/json.h"

#define TEXT_MAX 240 /* of the service's own words, in an error */
#define KEY_MIN  6   /* shorter configured keys are not looked for: they would blank innocent text */

static bool token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
           c == '*' || c == '.';
}

static size_t token_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && token_char(s.p[n]))
        n++;
    return n;
}

/* How many bytes at the start of `s`, where a token begins, are a secret. */
static size_t secret_length(struct str s, bool after_bearer)
{
    size_t n = token_length(s);
    if (n == 0)
        return 0;
    struct str token = {s.p, n};
    if (n > 6 && (str_starts(token, STR("sk-")) || str_find(token, STR("***")) >= 0))
        return n;
    return after_bearer ? n : 0;
}

/* Line breaks go first: what they set apart may be a key. `gap` stands for each, "" for none. */
static struct str without_breaks(struct str text, struct str gap, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '\r' && text.p[i] != '\n')
            buf_byte(out, text.p[i]);
        else
            buf_str_add(out, gap);
    }
    return buf_str(out);
}

/* How much of `rest` is the configured key: all of it, or what a cut at the end left of it. */
static size_t key_length(struct str rest, struct str key)
{
    if (key.n < KEY_MIN || rest.n < KEY_MIN)
        return 0;
    size_t n = MIN(key.n, rest.n);
    return memcmp(rest.p, key.p, n) == 0 ? n : 0;
}

/* Appends text with each secret replaced by "***"; may go past max bytes by little. */
static void put_masked(struct buf *out, struct str text, struct str key, size_t max)
{
    bool in_token = false;
    for (size_t i = 0; i < text.n && out->len < max;) {
        struct str rest = str_from(text, i);
        size_t secret = key_length(rest, key);
        if (!secret && !in_token)
            secret = secret_length(rest, str_ends((struct str){text.p, i}, STR("Bearer ")));
        if (secret) {
            buf_lit(out, "***");
            i += secret;
            in_token = false;
            continue;
        }
        in_token = token_char(text.p[i]);
        buf_byte(out, text.p[i++]);
    }
}

/* The result is in out, at most max bytes, cut at a character. */
static struct str masked(struct buf *out, struct str line, struct str key, size_t max)
{
    put_masked(out, line, key, max);
    struct str text = {buf_str(out).p, MIN(out->len, max)};
    text.n = utf8_whole(text.p, text.n);
    return text;
}

struct str refusal_line(struct arena *a, struct str body, struct str key, size_t max)
{
    struct buf plain = BUF_INIT(SIZE_MAX), out = BUF_INIT(SIZE_MAX);
    struct str line = arena_str(a, masked(&out, without_breaks(body, STR(""), &plain), key, max));
    buf_free(&plain);
    buf_free(&out);
    return line;
}

/* The service's own words, wherever it put them. */
static struct str find_message(struct str body, struct buf *scratch)
{
    struct json_want wants[] = {{.path = "error.message"}, {.path = "error"}, {.path = "message"}, {.path = "detail"}};
    if (json_scan(body, wants, COUNT(wants), NULL, NULL) < 0)
        return STR_NONE;
    for (size_t i = 0; i < COUNT(wants); i++)
        if (wants[i].value.type == JSON_STRING && wants[i].value.raw.n > 0)
            return json_text(&wants[i].value, scratch);
    return STR_NONE;
}

int refusal_error(struct str body, int status, struct str key, struct err *e)
{
    struct buf scratch = BUF_INIT(KIB(64)), plain = BUF_INIT(SIZE_MAX), out = BUF_INIT(SIZE_MAX);
    struct str message = without_breaks(find_message(body, &scratch), STR(" "), &plain);
    char text[TEXT_MAX + 1];
    str_copy(text, sizeof text, masked(&out, message, key, TEXT_MAX));
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    if (*text)
        err_set(e, ERR_UPSTREAM, "%s", text);
    else if (status)
        err_set(e, ERR_UPSTREAM, "The service answered with status %d", status);
    else
        err_set(e, ERR_UPSTREAM, "The service reported an error");
    if (e && status >= 400)
        e->status = status;
    buf_free(&scratch);
    buf_free(&plain);
    buf_free(&out);
    return -1;
}
