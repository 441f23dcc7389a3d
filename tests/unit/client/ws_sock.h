/* An outgoing WebSocket as the tests hold it: what happened is noted, and the test's task is woken. */
#ifndef TEST_WS_SOCK_H
#define TEST_WS_SOCK_H

#include "unit/support/unit.h"

#include "base/mem.h"
#include "client/ws_client.h"
#include "unit/client/run_client.h"

struct sock {
    struct ws_client *ws; /* a reference, while there is one */
    struct task *task;
    struct buf log;     /* "T5:hello ", "B+3:" when more follows, "-2:" for the following */
    struct buf message; /* of the last whole message */
    int messages, drained, closed;
    size_t bytes;
    bool quiet; /* only count */
    bool in_call;
    uint16_t code;
    char reason[128];
    void (*then)(struct sock *s); /* after each message or frame */
};

static inline void sock_note(struct sock *s, enum ws_opcode opcode, bool fin, struct str data)
{
    assert_false(s->in_call);
    assert_int_equal(s->closed, 0);
    s->in_call = true;
    s->messages += fin;
    s->bytes += data.n;
    if (!s->quiet) {
        char kind = opcode == WS_TEXT ? 'T' : opcode == WS_BINARY ? 'B' : '-';
        buf_addf(&s->log, "%c%s%zu:", kind, fin ? "" : "+", data.n);
        if (data.n < 100)
            buf_str_add(&s->log, data);
        buf_byte(&s->log, ' ');
    }
    if (s->then)
        s->then(s);
    s->in_call = false;
    task_wake(s->task);
}

static inline void sock_on_message(struct ws_client *ws, enum ws_opcode opcode, struct str data)
{
    struct sock *s = ws_client_user(ws);
    assert_true(opcode == WS_TEXT || opcode == WS_BINARY);
    buf_clear(&s->message);
    buf_str_add(&s->message, data);
    sock_note(s, opcode, true, data);
}

static inline void sock_on_frame(struct ws_client *ws, enum ws_opcode opcode, bool fin, struct str data)
{
    sock_note(ws_client_user(ws), opcode, fin, data);
}

static inline void sock_on_drained(struct ws_client *ws)
{
    struct sock *s = ws_client_user(ws);
    assert_true(ws_client_queued(ws) <= KIB(64));
    s->drained++;
    task_wake(s->task);
}

static inline void sock_on_closed(struct ws_client *ws, uint16_t code, struct str reason)
{
    struct sock *s = ws_client_user(ws);
    assert_false(ws_client_is_open(ws));
    assert_int_equal(ws_client_send(ws, WS_TEXT, true, STR("late")), -1);
    ws_client_close(ws, WS_NORMAL, STR("late"));
    ws_client_pause(ws, true);
    s->closed++;
    s->code = code;
    str_copy(s->reason, sizeof s->reason, reason);
    task_wake(s->task);
}

static const struct ws_client_ops sock_message_ops = {
    .on_message = sock_on_message, .on_drained = sock_on_drained, .on_closed = sock_on_closed};
static const struct ws_client_ops sock_frame_ops = {
    .on_frame = sock_on_frame, .on_drained = sock_on_drained, .on_closed = sock_on_closed};

/* rq's ops and user are set here; -1 when it was refused. */
static inline int sock_try(struct sock *s, struct ws_client_request rq, bool frames, struct err *e)
{
    *s = (struct sock){.task = task_self(), .log = BUF_INIT(MIB(1)), .message = BUF_INIT(MIB(64))};
    rq.ops = frames ? &sock_frame_ops : &sock_message_ops;
    rq.user = s;
    struct ws_client *ws = ws_client_open(&rq, NULL, NULL, e);
    if (!ws)
        return -1;
    assert_true(ws_client_is_open(ws));
    assert_ptr_equal(ws_client_user(ws), s);
    s->ws = ws_client_ref(ws);
    return 0;
}

static inline void sock_open(struct sock *s, struct ws_client_request rq, bool frames)
{
    struct err e = {0};
    if (sock_try(s, rq, frames, &e) < 0)
        fail_msg("%s", e.text);
}

static inline void sock_await_log(struct sock *s, const char *want)
{
    while (s->log.len < strlen(want) && !s->closed)
        assert_int_equal(task_park(NULL), 0);
    assert_string_equal(buf_cstr(&s->log), want);
    buf_clear(&s->log);
}

static inline void sock_await_messages(struct sock *s, int n)
{
    while (s->messages < n && !s->closed)
        assert_int_equal(task_park(NULL), 0);
    assert_int_equal(s->messages, n);
}

static inline void sock_await_closed(struct sock *s, uint16_t code, const char *reason)
{
    while (!s->closed)
        assert_int_equal(task_park(NULL), 0);
    assert_int_equal(s->code, code);
    if (reason)
        assert_string_equal(s->reason, reason);
    assert_int_equal(s->closed, 1);
}

static inline void sock_free(struct sock *s)
{
    s->ws = ws_client_unref(s->ws);
    buf_free(&s->log);
    buf_free(&s->message);
}

/* Says good-bye and waits for the answer. */
static inline void sock_close(struct sock *s)
{
    ws_client_close(s->ws, WS_NORMAL, STR("done"));
    sock_await_closed(s, WS_NORMAL, NULL);
    sock_free(s);
}

static inline void sock_text(struct sock *s, const char *text)
{
    assert_int_equal(ws_client_send(s->ws, WS_TEXT, true, str_c(text)), 0);
}

#endif
