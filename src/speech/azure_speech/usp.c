#include "speech/azure_speech/usp.h"

#define LENGTH 2 /* bytes before the headers of a binary message */

static const struct {
    const char *name;
    size_t at;
} fields[] = {{"Path", offsetof(struct usp_message, path)},
              {"X-RequestId", offsetof(struct usp_message, request_id)},
              {"X-Timestamp", offsetof(struct usp_message, timestamp)},
              {"Content-Type", offsetof(struct usp_message, content_type)},
              {"X-StreamId", offsetof(struct usp_message, stream_id)}};

static struct str *field(struct usp_message *m, size_t i)
{
    return (struct str *)(void *)((char *)m + fields[i].at);
}

static bool has_controls(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return true;
    return false;
}

static int broken(struct err *e)
{
    return err_set(e, ERR_UPSTREAM, "Azure Speech sent a message that cannot be read");
}

static int read_line(struct usp_message *m, struct str line, struct err *e)
{
    ptrdiff_t colon = str_find_char(line, ':');
    if (colon <= 0 || has_controls(line))
        return broken(e);
    struct str name = str_trim(str_n(line.p, (size_t)colon)), value = str_trim(str_from(line, (size_t)colon + 1));
    for (size_t i = 0; i < COUNT(fields); i++)
        if (field(m, i)->n == 0 && str_ieq(name, str_c(fields[i].name)))
            *field(m, i) = value;
    return 0;
}

static int read_headers(struct usp_message *m, struct str text, struct err *e)
{
    struct str line;
    if (text.n > USP_HEADERS_MAX)
        return broken(e);
    while (str_split(&text, '\n', &line)) {
        line = str_trim(line);
        if (line.n > 0 && read_line(m, line, e) < 0)
            return -1;
    }
    return m->path.n > 0 ? 0 : broken(e);
}

static int read_binary(struct usp_message *m, struct str data, struct err *e)
{
    if (data.n < LENGTH)
        return broken(e);
    size_t n = (size_t)(unsigned char)data.p[0] << 8 | (unsigned char)data.p[1];
    data = str_from(data, LENGTH);
    if (n > data.n)
        return broken(e);
    m->body = str_from(data, n);
    return read_headers(m, str_n(data.p, n), e);
}

int usp_read(struct usp_message *m, bool binary, struct str data, struct err *e)
{
    static const struct str gap = {"\r\n\r\n", 4};
    *m = (struct usp_message){.binary = binary, .body = STR("")};
    for (size_t i = 0; i < COUNT(fields); i++)
        *field(m, i) = STR("");
    if (binary)
        return read_binary(m, data, e);
    ptrdiff_t end = str_find(data, gap);
    if (end < 0)
        return read_headers(m, data, e);
    m->body = str_from(data, (size_t)end + gap.n);
    return read_headers(m, str_n(data.p, (size_t)end), e);
}

static int put_headers(struct buf *out, struct usp_message *m)
{
    size_t before = out->len;
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct str value = *field(m, i);
        if (has_controls(value))
            return -1;
        if (value.n > 0 &&
            (buf_addf(out, "%s: ", fields[i].name) < 0 || buf_str_add(out, value) < 0 || buf_lit(out, "\r\n") < 0))
            return -1;
    }
    return out->len - before <= USP_HEADERS_MAX ? 0 : -1;
}

int usp_put(struct buf *out, const struct usp_message *message)
{
    struct usp_message m = *message;
    size_t start = out->len;
    if (m.binary && buf_add(out, "\0\0", LENGTH) < 0)
        return -1;
    if (put_headers(out, &m) < 0 || (!m.binary && buf_lit(out, "\r\n") < 0))
        return -1;
    if (m.binary) {
        size_t n = out->len - start - LENGTH;
        char *length = out->data + out->head + start;
        length[0] = (char)(n >> 8);
        length[1] = (char)(n & 0xff);
    }
    return buf_str_add(out, m.body);
}
