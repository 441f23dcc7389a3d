/* Messages of a user's conversation: read, and added with or without an answer. */
#include "api/care_impl.h"
#include "base/limits.h"

#define PAGE 200 /* messages read at a time */

/* ---- GET ---- */

struct reading {
    struct http_request *rq;
    struct message_query query;
};

static void put_page(struct jw *w, const struct message_page *page, struct arena *arena)
{
    for (size_t i = 0; i < page->n; i++)
        put_care_message(w, &page->items[i], arena);
}

static void begin_stream(struct http_request *rq, struct buf *out)
{
    if (http_replied(rq))
        return;
    http_stream_begin(rq, 200, STR("application/json; charset=utf-8"));
    buf_byte(out, '[');
}

/* 1: there is more; 0 at the end. */
static int send_page(struct reading *r, struct err *e)
{
    struct arena *arena = arena_new("care_messages");
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    struct message_page page = {0};
    int result = store_message_list(chat_store(api_of(r->rq)->chat), arena, &r->query, &page, e);
    if (result == 0) {
        w.comma = http_replied(r->rq);
        begin_stream(r->rq, &out);
        put_page(&w, &page, arena);
        result = http_stream_write(r->rq, buf_str(&out), e);
    }
    if (page.n)
        r->query.after = page.items[page.n - 1].seq;
    bool more = page.more && page.n > 0;
    buf_free(&out);
    arena_free(arena);
    return result < 0 ? -1 : more;
}

/* What cannot be read to its end is cut: the client sees that it is not whole. */
static void send_all(struct reading *r)
{
    struct err e;
    int more;
    r->query.limit = PAGE;
    do
        more = send_page(r, &e);
    while (more > 0);
    if (more == 0 && http_stream_write(r->rq, STR("]"), &e) == 0)
        http_stream_end(r->rq);
    else if (!http_replied(r->rq))
        care_refuse(r->rq, &e, "Failed to fetch messages");
}

static void send_one_page(struct reading *r)
{
    struct http_request *rq = r->rq;
    struct message_page page;
    struct err e;
    if (store_message_list(chat_store(api_of(rq)->chat), rq->arena, &r->query, &page, &e) < 0) {
        care_refuse(rq, &e, "Failed to fetch messages");
        return;
    }
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_arr(&w);
    put_page(&w, &page, rq->arena);
    jw_end_arr(&w);
    if (page.more && page.n > 0)
        care_next_page(rq, arena_printf(rq->arena, "limit=%u&", r->query.limit), "after", page.items[page.n - 1].id);
    http_reply_jw(rq, 200, &w);
}

/* `after` names a message: what follows it is meant. */
static int find_after(struct reading *r, struct err *e)
{
    struct str id = http_request_query(r->rq, STR("after"));
    struct message_ref ref = {.conversation_id = r->query.conversation_id, .id = id};
    struct message message;
    if (id.n == 0)
        return 0;
    if (id.n > LIMIT_ID)
        return err_set(e, ERR_MESSAGE_NOT_FOUND, NULL);
    if (store_message_get(chat_store(api_of(r->rq)->chat), r->rq->arena, &ref, &message, e) < 0)
        return -1;
    r->query.after = message.seq;
    return 0;
}

void care_get_messages(struct http_request *rq)
{
    struct reading r = {.rq = rq, .query = {.conversation_id = rq->params[0]}};
    struct care_view view;
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0 || care_limit(rq, STORE_PAGE, &r.query.limit) < 0)
        return;
    if (care_get(api_of(rq)->care, user.id, rq->params[0], 0, false, rq->arena, &view, &e) < 0 ||
        find_after(&r, &e) < 0)
        care_refuse(rq, &e, "Failed to fetch messages");
    else if (r.query.limit)
        send_one_page(&r);
    else
        send_all(&r);
}

/* ---- POST ---- */

int care_turn(struct http_request *rq, const struct user *user, const struct care_say *say, struct care_said *said,
              struct err *e)
{
    struct api *api = api_of(rq);
    struct care_say full = *say;
    full.channel = CARE_REST;
    full.owner = user->id;
    full.conversation_id = rq->params[0];
    full.speak = true;
    full.origin = rq;
    if (care_say(api->care, &full, rq->arena, said, e) < 0)
        return -1;
    if (said->raised)
        care_live_priority(api, user->id, &said->view);
    return 0;
}

void put_care_said(struct jw *w, const struct care_said *said, struct arena *arena)
{
    const struct care_view *view = &said->view;
    jw_kstr(w, "conversationId", view->conversation.id);
    jw_kstr(w, "title", view->conversation.title);
    jw_kstr(w, "sentiment", str_c(sentiment_name(view->figures.sentiment)));
    jw_kstr(w, "priority", view->high_priority ? STR("high") : STR("normal"));
    jw_key(w, "userMessage");
    put_care_message(w, &said->user, arena);
}

static void say(struct http_request *rq, const struct user *user, struct str content, struct str client_id)
{
    struct care_said said;
    struct err e;
    if (care_turn(rq, user, &(struct care_say){.text = content, .client_id = client_id}, &said, &e) < 0) {
        care_refuse(rq, &e, "Failed to add message");
        return;
    }
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    put_care_message_members(&w, &said.reply, rq->arena);
    put_care_said(&w, &said, rq->arena);
    if (said.duplicate)
        jw_kbool(&w, "duplicate", true);
    jw_end_obj(&w);
    http_reply_jw(rq, said.duplicate ? 200 : 201, &w);
}

static void note(struct http_request *rq, const struct user *user, const struct message *message)
{
    struct message kept;
    struct err e;
    if (care_note(api_of(rq)->care, user->id, rq->params[0], message, rq->arena, &kept, &e) < 0) {
        care_refuse(rq, &e, "Failed to add message");
        return;
    }
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    put_care_message(&w, &kept, rq->arena);
    http_reply_jw(rq, 201, &w);
}

enum want { WANT_CONTENT, WANT_ROLE, WANT_CLIENT, WANTS };

static int read_message(struct http_request *rq, struct message *message, struct err *e)
{
    struct json_want wants[WANTS] = {
        [WANT_CONTENT] = {.path = "content"},
        [WANT_ROLE] = {.path = "role"},
        [WANT_CLIENT] = {.path = "clientMessageId"},
    };
    if (rq->body.n && json_scan(rq->body, wants, WANTS, NULL, e) < 0)
        return -1;
    message->content = want_text(rq->arena, &wants[WANT_CONTENT].value);
    message->client_id = want_text(rq->arena, &wants[WANT_CLIENT].value);
    message->role =
        wants[WANT_ROLE].value.type == JSON_NONE ? STR("user") : want_text(rq->arena, &wants[WANT_ROLE].value);
    if (!str_eqc(message->role, "user") && !str_eqc(message->role, "assistant") && !str_eqc(message->role, "system"))
        return err_set(e, ERR_INVALID_REQUEST, "Role must be user, assistant or system");
    if (str_trim(message->content).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Message is required");
    if (message->content.n > LIMIT_MESSAGE_TEXT)
        return err_set(e, ERR_INVALID_REQUEST, "Message is too long");
    if (message->client_id.n > LIMIT_ID)
        return err_set(e, ERR_INVALID_REQUEST, "clientMessageId is too long");
    return 0;
}

void care_post_message(struct http_request *rq)
{
    struct message message = {0};
    struct user user;
    struct err e;
    if (care_enter(rq, &user) < 0)
        return;
    if (read_message(rq, &message, &e) < 0)
        http_reply_error(rq, &e);
    else if (str_eqc(message.role, "user"))
        say(rq, &user, message.content, message.client_id);
    else
        note(rq, &user, &message);
}
