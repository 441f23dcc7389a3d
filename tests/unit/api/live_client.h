/* A Socket.IO client of the chat dialect, on a WebSocket, for tests beside the server. */
#ifndef TEST_API_LIVE_CLIENT_H
#define TEST_API_LIVE_CLIENT_H

#include "unit/api/api_env.h"

struct sioc {
    struct ws_client ws;
    char *sid, *pid, *offset; /* offset: of the last event that had one */
    bool back;                /* it was welcomed to the session it had */
};

/* A message of the server. */
struct told {
    char *text;             /* the whole packet */
    char *name;             /* of an event, NULL for others */
    char *payload, *offset; /* its first argument as JSON; the recovery offset */
};

static inline void told_free(struct told *t)
{
    free(t->text);
    free(t->name);
    free(t->payload);
    free(t->offset);
    *t = (struct told){0};
}

/* The value as JSON text again. */
static inline char *json_again(const struct json_value *v)
{
    struct buf out = BUF_INIT(MIB(64));
    if (v->type == JSON_STRING)
        buf_addf(&out, "\"%.*s\"", STR_ARG(v->raw));
    else
        buf_str_add(&out, v->raw);
    char *text = str_dup(buf_str(&out));
    buf_free(&out);
    return text;
}

static inline struct told told_parse(char *text)
{
    struct told t = {.text = text};
    const char *array = strchr(text, '[');
    struct json_want root = {.path = ""};
    struct json_value v;
    if (strncmp(text, "42", 2) != 0 || !array)
        return t;
    if (json_scan(str_c(array), &root, 1, NULL, NULL) < 0)
        fail_msg("no JSON: %s", text);
    struct json_iter it = json_iter(&root.value);
    for (int i = 0; json_each(&it, NULL, &v); i++) {
        if (i == 0)
            t.name = str_dup(v.raw);
        else if (i == 1)
            t.payload = json_again(&v);
        else
            t.offset = str_dup(v.raw);
    }
    return t;
}

/* The next packet, malloc'd; heartbeats are answered. */
static inline char *sioc_read(struct sioc *c)
{
    for (;;) {
        char *text = wsc_read(&c->ws);
        if (strcmp(text, "2") != 0)
            return text;
        free(text);
        wsc_text(&c->ws, "3");
    }
}

static inline struct told sioc_next(struct sioc *c)
{
    struct told t = told_parse(sioc_read(c));
    c->back |= c->sid && strncmp(t.text, "40{", 3) == 0 && strstr(t.text, c->sid);
    if (t.offset) {
        free(c->offset);
        c->offset = str_dup(str_c(t.offset));
    }
    return t;
}

static inline void sioc_send_text(struct sioc *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void sioc_send_text(struct sioc *c, const char *fmt, ...)
{
    char text[8192];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    wsc_text(&c->ws, text);
}

/* Opens the session; what CONNECT is answered is the caller's to read. */
static inline void sioc_dial(struct sioc *c, size_t loop, const char *query, const char *headers, const char *auth)
{
    char path[512], lines[1024];
    *c = (struct sioc){0};
    snprintf(path, sizeof path, "/socket.io/?EIO=4&transport=websocket%s", query);
    snprintf(lines, sizeof lines, WS_USUAL "%s", headers);
    wsc_open_with(&c->ws, env.ports[loop], path, lines);
    char *open = sioc_read(c);
    assert_int_equal(open[0], '0');
    free(open);
    sioc_send_text(c, "40%s", auth);
}

static inline void sioc_await_connected(struct sioc *c)
{
    char *text = sioc_read(c);
    if (strncmp(text, "40", 2) != 0)
        fail_msg("not connected: %s", text);
    c->sid = json_member(text + 2, "sid");
    c->pid = json_member(text + 2, "pid");
    free(text);
}

static inline void sioc_open(struct sioc *c, size_t loop)
{
    sioc_dial(c, loop, "", "", "{\"recovery\":true}");
    sioc_await_connected(c);
}

static inline void sioc_close(struct sioc *c)
{
    wsc_free(&c->ws);
    free(c->sid);
    free(c->pid);
    free(c->offset);
    *c = (struct sioc){0};
}

/* Breaks the connection, as a network does. */
static inline void sioc_cut(struct sioc *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->ws.tcp.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    wsc_free(&c->ws);
}

/* Comes back: the CONNECT is sent, nothing is read. */
static inline void sioc_return(struct sioc *c, size_t loop)
{
    struct sioc old = *c;
    char auth[256];
    snprintf(auth, sizeof auth, "{\"pid\":\"%s\"%s%s%s}", old.pid, old.offset ? ",\"offset\":\"" : "",
             old.offset ? old.offset : "", old.offset ? "\"" : "");
    sioc_dial(c, loop, "", "", auth);
    c->sid = old.sid;
    c->pid = old.pid;
    c->offset = old.offset;
}

/* The next event has this name; the caller frees it. */
static inline struct told sioc_expect(struct sioc *c, const char *name)
{
    struct told t = sioc_next(c);
    if (c->back && strncmp(t.text, "40{", 3) == 0) { /* the welcome is behind what was missed */
        told_free(&t);
        t = sioc_next(c);
    }
    if (!t.name || strcmp(t.name, name) != 0)
        fail_msg("wanted %s, got %.600s", name, t.text);
    return t;
}

/* …and this in it. */
static inline void sioc_expect_part(struct sioc *c, const char *name, const char *part)
{
    struct told t = sioc_expect(c, name);
    if (!strstr(t.payload, part))
        fail_msg("wanted %s in %.600s", part, t.text);
    told_free(&t);
}

/* Asks with an acknowledgement and reads on until it is there; events before it are dropped. */
static inline char *sioc_ask(struct sioc *c, const char *event)
{
    static unsigned ids;
    char head[32];
    unsigned id = ++ids;
    sioc_send_text(c, "42%u%s", id, event);
    snprintf(head, sizeof head, "43%u[", id);
    for (;;) {
        struct told t = sioc_next(c);
        if (strncmp(t.text, head, strlen(head)) != 0) {
            told_free(&t);
            continue;
        }
        size_t n = strlen(t.text) - strlen(head) - 1;
        char *json = str_dup(str_n(t.text + strlen(head), n));
        told_free(&t);
        return json;
    }
}

static inline void sioc_ask_ok(struct sioc *c, const char *event)
{
    char *json = sioc_ask(c, event);
    if (!strstr(json, "\"ok\":true"))
        fail_msg("%s: %s", event, json);
    free(json);
}

static inline void sioc_join_id(struct sioc *c, const char *id)
{
    char event[256];
    snprintf(event, sizeof event, "[\"join_conversation\",\"%s\"]", id);
    sioc_ask_ok(c, event);
}

static inline void sioc_say(struct sioc *c, const char *id, const char *message)
{
    sioc_send_text(c, "42[\"stream_chat\",{\"message\":\"%s\",\"conversationId\":\"%s\"}]", message, id);
}

/* A whole reply as the client was told it. */
struct reply_seen {
    char *message_id, *conversation_id, *text, *complete; /* complete: payload of stream_complete */
    size_t chunks;
    bool has_error;
};

static inline void reply_seen_free(struct reply_seen *r)
{
    free(r->message_id);
    free(r->conversation_id);
    free(r->text);
    free(r->complete);
}

static inline bool json_true(const char *json, const char *path)
{
    struct json_want want = {.path = path};
    return json_scan(str_c(json), &want, 1, NULL, NULL) == 0 && want.value.type == JSON_TRUE;
}

static inline void append(char **text, const char *more)
{
    size_t n = strlen(*text), m = strlen(more);
    *text = mem_realloc(*text, n + m + 1);
    memcpy(*text + n, more, m + 1);
}

static inline void seen_chunk(struct reply_seen *r, const char *payload, bool delta)
{
    char *content = json_member(payload, "content"), *more = json_member(payload, "delta");
    char *id = json_member(payload, "messageId");
    bool last = json_true(payload, "isComplete");
    if (!id || strcmp(id, r->message_id) != 0)
        fail_msg("a chunk of another reply: %s", payload);
    if (delta) {
        assert_non_null(more);
        append(&r->text, more);
        if (last)
            assert_string_equal(content, r->text);
        else
            assert_null(content);
    } else {
        assert_null(more);
        assert_non_null(content);
        if (strncmp(content, r->text, strlen(r->text)) != 0)
            fail_msg("%s goes on as %s", r->text, content);
        free(r->text);
        r->text = str_dup(str_c(content));
    }
    r->chunks++;
    free(content);
    free(more);
    free(id);
}

static inline void reply_begin(struct reply_seen *r, struct told *start)
{
    *r = (struct reply_seen){.message_id = json_member(start->payload, "messageId"),
                             .conversation_id = json_member(start->payload, "conversationId"),
                             .text = str_dup(STR(""))};
    told_free(start);
}

/* Reads on to stream_complete. */
static inline void reply_read_on(struct sioc *c, struct reply_seen *r, bool delta)
{
    bool last = false;
    while (!r->complete) {
        struct told t = sioc_next(c);
        if (t.name && strcmp(t.name, "stream_chunk") == 0) {
            assert_false(last);
            seen_chunk(r, t.payload, delta);
            last = json_true(t.payload, "isComplete");
        } else if (t.name && strcmp(t.name, "stream_error") == 0) {
            assert_true(last);
            r->has_error = true;
        } else if (t.name && strcmp(t.name, "stream_complete") == 0) {
            assert_true(last);
            r->complete = str_dup(str_c(t.payload));
        } else if (t.name) {
            fail_msg("%.600s in between", t.text);
        }
        told_free(&t);
    }
}

/* Reads a reply from stream_start on. */
static inline struct reply_seen reply_seen_read(struct sioc *c, bool delta)
{
    struct reply_seen r;
    struct told start = sioc_expect(c, "stream_start");
    reply_begin(&r, &start);
    reply_read_on(c, &r, delta);
    return r;
}

static inline void sioc_expect_reply(struct sioc *c, const char *text)
{
    struct reply_seen r = reply_seen_read(c, false);
    assert_string_equal(r.text, text);
    reply_seen_free(&r);
}

#endif
