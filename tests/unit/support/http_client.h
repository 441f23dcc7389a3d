/* Reads HTTP replies off a client of live_server.h. */
#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include "unit/support/live_server.h"

struct reply {
    int status;
    char *head; /* through the empty line */
    char *body; /* decoded, terminated */
    size_t body_len;
};

static inline void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct reply){0};
}

/* The header's value up to its line end, .p NULL when absent. Names as the server writes them. */
static inline struct str reply_header(const struct reply *r, const char *name)
{
    char mark[64];
    snprintf(mark, sizeof mark, "\r\n%s: ", name);
    const char *at = strstr(r->head, mark);
    if (!at)
        return STR_NONE;
    at += strlen(mark);
    return str_n(at, strcspn(at, "\r"));
}

static inline void reply_take(struct client *c, struct buf *body, size_t n)
{
    while (c->in.len < n)
        if (!client_fill(c))
            fail_msg("the body ended early");
    buf_add(body, buf_str(&c->in).p, n);
    buf_consume(&c->in, n);
}

static inline void reply_chunks(struct client *c, struct buf *body)
{
    for (size_t size = 1; size;) {
        char *line = client_until(c, "\r\n");
        size = strtoul(line, NULL, 16);
        free(line);
        reply_take(c, body, size);
        free(client_until(c, "\r\n"));
    }
}

/* The next reply; `method` HEAD has no body whatever its head says. */
static inline struct reply reply_read_for(struct client *c, const char *method)
{
    struct reply r = {.head = client_until(c, "\r\n\r\n")};
    struct buf body = BUF_INIT(MIB(256));
    assert_int_equal(strncmp(r.head, "HTTP/1.1 ", 9), 0);
    r.status = (int)strtol(r.head + 9, NULL, 10);
    struct str length = reply_header(&r, "Content-Length");
    bool none = r.status < 200 || r.status == 204 || r.status == 304 || strcmp(method, "HEAD") == 0;
    if (!none && length.p) {
        uint64_t n;
        assert_int_equal(str_u64(length, &n), 0);
        reply_take(c, &body, (size_t)n);
    } else if (!none && reply_header(&r, "Transfer-Encoding").p) {
        reply_chunks(c, &body);
    } else if (!none) {
        while (client_fill(c))
            continue;
        reply_take(c, &body, c->in.len);
    }
    r.body_len = body.len;
    r.body = str_dup(buf_str(&body));
    buf_free(&body);
    return r;
}

static inline struct reply reply_read(struct client *c)
{
    return reply_read_for(c, "");
}

/* Sends the text, reads one reply. */
static inline struct reply ask(struct client *c, const char *request)
{
    client_send(c, str_c(request));
    return reply_read_for(c, strncmp(request, "HEAD ", 5) == 0 ? "HEAD" : "");
}

#endif
