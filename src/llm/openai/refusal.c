#include "llm/openai/refusal.h"

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

/* Appends text with secrets replaced by "***", line breaks dropped; stops at max bytes. */
static void put_masked(struct buf *out, struct str text, struct str key, size_t max)
{
    bool in_token = false;
    size_t begin = 0;
    for (size_t i = 0; i < text.n && out->len - begin < max;) {
        struct str rest = str_from(text, i);
        struct str before = {text.p, i};
        size_t secret = 0;
        if (key.n >= KEY_MIN && str_starts(rest, key))
            secret = key.n;
        else if (!in_token)
            secret = secret_length(rest, str_ends(before, STR("Bearer ")));
        if (secret) {
            buf_lit(out, "***");
            i += secret;
            in_token = false;
            continue;
        }
        in_token = token_char(text.p[i]);
        if (text.p[i] != '\r' && text.p[i] != '\n')
            buf_byte(out, text.p[i]);
        i++;
    }
}

struct str refusal_line(struct arena *a, struct str body, struct str key, size_t max)
{
    struct buf out = BUF_INIT(max + 16);
    put_masked(&out, body, key, max);
    struct str line = buf_str(&out);
    if (out.len > max)
        line.n = max;
    line.n = utf8_whole(line.p, line.n);
    line = arena_str(a, line);
    buf_free(&out);
    return line;
}

void refusal_mask(struct err *e, struct str key)
{
    struct buf out = BUF_INIT(sizeof e->text * 2);
    put_masked(&out, str_c(e->text), key, sizeof e->text - 1);
    str_copy(e->text, sizeof e->text, buf_str(&out));
    buf_free(&out);
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

int refusal_error(struct str body, int status, struct err *e)
{
    struct buf scratch = BUF_INIT(KIB(64));
    struct str message = find_message(body, &scratch);
    char text[TEXT_MAX + 1];
    str_copy(text, sizeof text, message);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    if (*text)
        err_set(e, ERR_UPSTREAM, "%s", text);
    else if (status)
        err_set(e, ERR_UPSTREAM, "The model's service answered with status %d", status);
    else
        err_set(e, ERR_UPSTREAM, "The model's service reported an error");
    if (e && status >= 400)
        e->status = status;
    buf_free(&scratch);
    return -1;
}
