/* Errors as the realtime protocol has them, and what every event of the server begins and ends with. */
#include "api/realtime_impl.h"

#include "base/rand.h"

#include <stdarg.h>
#include <stdio.h>

void realtime_id(char out[VOICE_ID], const char *prefix)
{
    unsigned char bytes[12];
    size_t n = str_copy(out, VOICE_ID - 2 * sizeof bytes, str_c(prefix));
    rand_bytes(bytes, sizeof bytes);
    hex_encode(out + n, bytes, sizeof bytes);
}

struct jw realtime_event(struct buf *out, const char *type)
{
    char id[VOICE_ID];
    realtime_id(id, "event_");
    buf_init(out, LIMIT_WS_QUEUE);
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(type));
    jw_kstr(&w, "event_id", str_c(id));
    return w;
}

void realtime_send(struct realtime *rt, struct jw *w)
{
    jw_end_obj(w);
    if (jw_ok(w)) {
        websocket_send(rt->ws, WS_TEXT, buf_str(w->out));
    } else {
        struct realtime_error e;
        realtime_refuse(&e, "response_too_large", NULL, "What is to be told is too large");
        e.type = "server_error";
        realtime_send_error(rt, &e, STR(""));
    }
    buf_free(w->out);
    realtime_mind_queue(rt);
}

int realtime_refuse(struct realtime_error *e, const char *code, const char *param, const char *fmt, ...)
{
    va_list args;
    e->type = NULL;
    e->code = code;
    str_copy(e->param, sizeof e->param, str_c(param));
    va_start(args, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, args);
    va_end(args);
    if (n >= (int)sizeof e->text)
        e->text[utf8_whole(e->text, sizeof e->text - 1)] = 0;
    return -1;
}

int realtime_refuse_err(struct realtime_error *e, const char *code, const char *param, const struct err *why)
{
    realtime_refuse(e, code, param, "%s", why->text);
    if (why->status >= 500)
        e->type = "server_error";
    return -1;
}

static void put_members(struct jw *w, const struct realtime_error *e, struct str event_id)
{
    jw_kstr(w, "type", str_c(e->type ? e->type : "invalid_request_error"));
    jw_kstr(w, "code", str_c(e->code));
    jw_kstr(w, "message", str_c(e->text));
    if (e->param[0])
        jw_kstr(w, "param", str_c(e->param));
    else
        jw_knull(w, "param");
    if (event_id.n)
        jw_kraw(w, "event_id", event_id);
    else
        jw_knull(w, "event_id");
}

void realtime_send_error(struct realtime *rt, const struct realtime_error *e, struct str event_id)
{
    struct buf out;
    struct jw w = realtime_event(&out, "error");
    jw_key(&w, "error");
    jw_obj(&w);
    put_members(&w, e, event_id);
    jw_end_obj(&w);
    jw_end_obj(&w);
    if (jw_ok(&w))
        websocket_send(rt->ws, WS_TEXT, buf_str(&out));
    buf_free(&out);
    realtime_mind_queue(rt);
}

void realtime_put_failure(struct jw *w, const struct err *e)
{
    const char *type = e->status == 429  ? "rate_limit_error"
                       : e->status < 500 ? "invalid_request_error"
                                         : "server_error";
    jw_obj(w);
    jw_kstr(w, "type", str_c(type));
    jw_kstr(w, "code", str_c(e->code == ERR_RATE_LIMIT_EXCEEDED ? "rate_limit_exceeded" : err_name(e->code)));
    jw_kstr(w, "message", str_c(e->text));
    jw_knull(w, "param");
    jw_end_obj(w);
}
