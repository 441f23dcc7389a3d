/* The client side of a WebSocket for tests, on wire/ws.h's client role. */
#ifndef TEST_WS_CLIENT_H
#define TEST_WS_CLIENT_H

#include "unit/support/live_server.h"

#include "wire/ws.h"

#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct ws_client {
    struct client tcp;
    struct ws_reader reader;
    struct ws_deflate *deflate;
    char *head; /* the answer to the upgrade */
};

static inline void wsc_request(struct ws_client *c, const char *path, const char *headers)
{
    struct buf out = BUF_INIT(KIB(8));
    buf_addf(&out,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n%s\r\n",
             path, headers);
    client_send(&c->tcp, buf_str(&out));
    buf_free(&out);
}

#define WS_USUAL "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WS_KEY "\r\n"

/* Connects and sends the upgrade; the answer's head is in c->head. */
static inline void wsc_try(struct ws_client *c, uint16_t port, const char *path, const char *headers)
{
    *c = (struct ws_client){0};
    client_open(&c->tcp, port);
    ws_reader_init(&c->reader, false, MIB(64));
    wsc_request(c, path, headers);
    c->head = client_until(&c->tcp, "\r\n\r\n");
}

static inline void wsc_open_with(struct ws_client *c, uint16_t port, const char *path, const char *headers)
{
    wsc_try(c, port, path, headers);
    if (strncmp(c->head, "HTTP/1.1 101 ", 13) != 0)
        fail_msg("no upgrade: %s", c->head);
}

static inline void wsc_open(struct ws_client *c, uint16_t port, const char *path)
{
    wsc_open_with(c, port, path, WS_USUAL);
}

static inline void wsc_free(struct ws_client *c)
{
    client_close(&c->tcp);
    ws_reader_free(&c->reader);
    c->deflate = ws_deflate_free(c->deflate);
    free(c->head);
    c->head = NULL;
}

static inline void wsc_send(struct ws_client *c, enum ws_opcode opcode, struct str data)
{
    struct buf out = BUF_INIT(MIB(64));
    assert_int_equal(ws_frame_put(&out, opcode, data, true), 0);
    client_send(&c->tcp, buf_str(&out));
    buf_free(&out);
}

static inline void wsc_text(struct ws_client *c, const char *text)
{
    wsc_send(c, WS_TEXT, str_c(text));
}

static inline void wsc_send_close(struct ws_client *c, uint16_t code, const char *reason)
{
    struct buf out = BUF_INIT(KIB(1));
    assert_int_equal(ws_close_put(&out, code, str_c(reason), true), 0);
    client_send(&c->tcp, buf_str(&out));
    buf_free(&out);
}

/* The next event into *event, whose data is copied into *copy (may be NULL). False at the end of the stream. */
static inline bool wsc_next(struct ws_client *c, struct ws_event *event, struct buf *copy)
{
    struct err e;
    for (;;) {
        struct str in = buf_str(&c->tcp.in);
        size_t had = in.n;
        int got = ws_next(&c->reader, &in, event, &e);
        if (got < 0)
            fail_msg("%s", e.text);
        if (got > 0 && copy) {
            buf_clear(copy);
            buf_str_add(copy, event->data);
        }
        buf_consume(&c->tcp.in, had - in.n);
        if (got > 0)
            return true;
        if (!client_fill(&c->tcp))
            return false;
    }
}

static inline void wsc_expect(struct ws_client *c, enum ws_opcode opcode, struct str data)
{
    struct ws_event event;
    struct buf copy = BUF_INIT(MIB(64));
    if (!wsc_next(c, &event, &copy))
        fail_msg("the stream ended");
    if (event.opcode != opcode || !str_eq(buf_str(&copy), data))
        fail_msg("got opcode %d, %zu bytes: %.*s", (int)event.opcode, copy.len, (int)MIN(copy.len, 200),
                 buf_str(&copy).p);
    buf_free(&copy);
}

static inline void wsc_expect_text(struct ws_client *c, const char *text)
{
    wsc_expect(c, WS_TEXT, str_c(text));
}

/* The next event is this close frame; reason NULL: any. */
static inline void wsc_expect_close(struct ws_client *c, uint16_t code, const char *reason)
{
    struct ws_event event;
    struct buf copy = BUF_INIT(KIB(1));
    if (!wsc_next(c, &event, &copy))
        fail_msg("the stream ended");
    assert_int_equal(event.opcode, WS_CLOSE);
    assert_int_equal(event.close_code, code);
    if (reason)
        assert_string_equal(buf_cstr(&copy), reason);
    buf_free(&copy);
}

/* The server ends the connection without another frame. */
static inline void wsc_expect_end(struct ws_client *c)
{
    struct ws_event event;
    if (wsc_next(c, &event, NULL))
        fail_msg("opcode %d instead of the end", (int)event.opcode);
}

#endif
