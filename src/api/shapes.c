#include "api/api_impl.h"

#include "base/mem.h"

#include <stdlib.h>

void put_message(struct jw *w, const struct message *m)
{
    jw_obj(w);
    jw_kstr(w, "id", m->id);
    jw_kstr(w, "content", m->content);
    jw_kstr(w, "role", m->role);
    jw_kiso(w, "timestamp", m->created_us / 1000);
    jw_kstr(w, "conversationId", m->conversation_id);
    jw_kstr(w, "status", str_c(message_status_name(m->status)));
    jw_end_obj(w);
}

void put_conversation(struct jw *w, const struct conversation *c)
{
    jw_obj(w);
    jw_kstr(w, "id", c->id);
    jw_kstr(w, "title", c->title);
    jw_key(w, "messages");
    jw_arr(w);
    for (size_t i = 0; i < c->nmessages; i++)
        put_message(w, &c->messages[i]);
    jw_end_arr(w);
    jw_kiso(w, "createdAt", c->created_us / 1000);
    jw_kiso(w, "updatedAt", c->updated_us / 1000);
    jw_end_obj(w);
}

void put_error(struct jw *w, const struct err *e)
{
    jw_kstr(w, "error", str_c(e->text));
    jw_kstr(w, "message", str_c(e->text));
    jw_kstr(w, "code", str_c(err_name(e->code)));
}

void put_usage(struct jw *w, const struct llm_usage *usage)
{
    if (usage->prompt_tokens < 0 && usage->completion_tokens < 0) {
        jw_null(w);
        return;
    }
    int64_t prompt = MAX(usage->prompt_tokens, 0), completion = MAX(usage->completion_tokens, 0);
    jw_obj(w);
    jw_kint(w, "prompt_tokens", prompt);
    jw_kint(w, "completion_tokens", completion);
    jw_kint(w, "total_tokens", prompt + completion);
    jw_end_obj(w);
}

struct str want_text(struct arena *arena, const struct json_value *v)
{
    if (v->type != JSON_STRING)
        return STR_NONE;
    if (!v->escaped)
        return v->raw;
    struct buf scratch = BUF_INIT(v->raw.n + 4);
    struct str text = json_text(v, &scratch);
    text = arena_str(arena, text);
    buf_free(&scratch);
    return text;
}

static void free_buf(void *arg)
{
    buf_free(arg);
}

struct jw reply_writer(struct http_request *rq, size_t max)
{
    struct buf *out = arena_alloc(rq->arena, sizeof *out);
    buf_init(out, max);
    arena_own(rq->arena, out, free_buf);
    return jw_begin(out);
}

void reply_retry_after(struct http_request *rq, const struct err *e)
{
    if (e->retry_after_ms > 0)
        http_reply_header(rq, STR("Retry-After"), arena_printf(rq->arena, "%d", (e->retry_after_ms + 999) / 1000));
}

void reply_plain_error(struct http_request *rq, const struct err *e)
{
    reply_retry_after(rq, e);
    if (e->status == 401)
        http_reply_header(rq, STR("WWW-Authenticate"), STR("Bearer"));
    http_reply_text(rq, e->status, str_c(e->text));
}
