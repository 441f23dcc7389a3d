/* Dialect 002 over HTTP: anonymous conversations. */
#include "api/api_impl.h"
#include "api/care_impl.h"
#include "api/private.h"
#include "base/clock.h"
#include "base/limits.h"

static const struct chat_scope scope = {.space = "chat"};

static void put_reply_extras(struct jw *w, const struct message *reply, struct str text, bool model_used)
{
    jw_kstr(w, "id", reply->id);
    jw_kiso(w, "timestamp", reply->created_us / 1000);
    jw_kbool(w, "aiUsed", model_used);
    jw_kstr(w, "originalMessage", text);
}

static const struct message *find_message(const struct conversation *c, struct str id)
{
    for (size_t i = c->nmessages; i-- > 0;)
        if (str_eq(c->messages[i].id, id))
            return &c->messages[i];
    return NULL;
}

static void answer(struct http_request *rq, const struct turn_ticket *ticket, const struct turn_result *result,
                   struct str text)
{
    struct conversation c;
    struct err e;
    if (conversation_get(api_of(rq)->chat, &scope, ticket->conversation_id, STORE_ALL, rq->arena, &c, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    const struct message *reply = find_message(&c, ticket->reply_id);
    if (!reply || reply->status == MESSAGE_STREAMING) { /* the turn is over, but the store could not keep its outcome */
        err_set(&e, ERR_STORE_UNAVAILABLE, NULL);
        http_reply_error(rq, &e);
        return;
    }
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    jw_obj(&w);
    jw_key(&w, "message");
    put_message(&w, reply);
    jw_key(&w, "conversation");
    put_conversation(&w, &c);
    put_reply_extras(&w, reply, text, result->model_used);
    jw_end_obj(&w);
    http_reply_jw(rq, 200, &w);
}

void conversations_chat_post(struct http_request *rq, struct chat_post *post)
{
    struct api *api = api_of(rq);
    struct turn_request request = {
        .surface = &api->chat_surface,
        .conversation_id = want_text(rq->arena, &post->wants[WANT_CONVERSATION_ID].value),
        .text = post->message,
        .client_id = want_text(rq->arena, &post->wants[WANT_CLIENT_ID].value),
        .origin = rq,
    };
    struct turn_ticket ticket;
    struct turn_result result;
    struct err e;
    if (turn_start(api->chat, &request, rq->arena, &ticket, &e) < 0 ||
        turn_wait(api->chat, &ticket, rq->arena, &result, &e) < 0) {
        http_reply_error(rq, &e);
        return;
    }
    answer(rq, &ticket, &result, request.text);
}

/* ---- /api/conversations ---- */

static void begin_list(struct http_request *rq, struct buf *out)
{
    if (http_replied(rq))
        return;
    http_stream_begin(rq, 200, STR("application/json; charset=utf-8"));
    buf_byte(out, '[');
}

static int list_one(void *arg, const struct conversation *c, struct err *e)
{
    struct http_request *rq = arg;
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    w.comma = http_replied(rq);
    begin_list(rq, &out);
    put_conversation(&w, c);
    int result = http_stream_write(rq, buf_str(&out), e);
    buf_free(&out);
    return result;
}

static void end_list(struct http_request *rq)
{
    struct buf out = BUF_INIT(KIB(1));
    struct err e;
    begin_list(rq, &out);
    buf_byte(&out, ']');
    if (http_stream_write(rq, buf_str(&out), &e) == 0)
        http_stream_end(rq);
    buf_free(&out);
}

/* Sent as it is read: neither the number of conversations nor their length is held in memory. A list that cannot be
 * read to its end is cut: the client sees that it is not whole. */
static void get_all(struct http_request *rq)
{
    if (private_is(rq, STR(""))) {
        care_get_all(rq);
        return;
    }
    struct conversation_walk walk = {
        .order = CONVERSATION_BY_UPDATED, .messages = STORE_ALL, .each = list_one, .arg = rq};
    struct err e;
    if (conversation_walk(api_of(rq)->chat, &scope, &walk, &e) == 0)
        end_list(rq);
    else if (!http_replied(rq))
        http_reply_error(rq, &e);
}

static void reply_conversation(struct http_request *rq, int status, const struct conversation *c)
{
    struct jw w = reply_writer(rq, SIZE_MAX / 2);
    put_conversation(&w, c);
    http_reply_jw(rq, status, &w);
}

static void get_one(struct http_request *rq)
{
    struct conversation c;
    struct err e;
    if (private_is(rq, rq->params[0])) {
        care_get_one(rq);
        return;
    }
    if (conversation_get(api_of(rq)->chat, &scope, rq->params[0], STORE_ALL, rq->arena, &c, &e) < 0)
        http_reply_error(rq, &e);
    else
        reply_conversation(rq, 200, &c);
}

/* The title in the body; answers 400 itself and returns STR_NONE when there is none. */
static struct str read_title(struct http_request *rq)
{
    struct json_want title = {.path = "title"};
    struct err e;
    if (rq->body.n && json_scan(rq->body, &title, 1, NULL, &e) < 0) {
        http_reply_error(rq, &e);
        return STR_NONE;
    }
    struct str text = str_trim(want_text(rq->arena, &title.value));
    if (text.n && text.n <= LIMIT_TITLE)
        return text;
    err_set(&e, ERR_INVALID_REQUEST, text.n ? "Title is too long" : "Title is required");
    http_reply_error(rq, &e);
    return STR_NONE;
}

static void post_one(struct http_request *rq)
{
    struct conversation c;
    struct err e;
    if (private_is(rq, STR(""))) {
        care_post_one(rq);
        return;
    }
    struct str title = read_title(rq);
    if (!title.p)
        return;
    if (conversation_create(api_of(rq)->chat, &scope, &(struct conversation){.title = title}, rq->arena, &c, &e) < 0)
        http_reply_error(rq, &e);
    else
        reply_conversation(rq, 201, &c);
}

static void put_one(struct http_request *rq)
{
    struct conversation c;
    struct err e;
    if (private_is(rq, rq->params[0])) {
        care_put_one(rq);
        return;
    }
    struct str title = read_title(rq);
    if (!title.p)
        return;
    if (conversation_retitle(api_of(rq)->chat, &scope, rq->params[0], title, rq->arena, &c, &e) < 0)
        http_reply_error(rq, &e);
    else
        reply_conversation(rq, 200, &c);
}

static void delete_one(struct http_request *rq)
{
    struct err e;
    if (private_is(rq, rq->params[0])) {
        care_delete_one(rq);
        return;
    }
    if (conversation_delete(api_of(rq)->chat, &scope, rq->params[0], &e) < 0)
        http_reply_error(rq, &e);
    else
        http_reply_json(rq, 200, STR("{\"message\":\"Conversation deleted successfully\"}"));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/api/conversations", get_all, NULL, 0, "chat", "All anonymous conversations, newest change first"},
    {HTTP_POST, "/api/conversations", post_one, NULL, 0, "chat", "A new, empty conversation"},
    {HTTP_GET, "/api/conversations/:id", get_one, NULL, 0, "chat", "One conversation with its messages"},
    {HTTP_PUT, "/api/conversations/:id", put_one, NULL, 0, "chat", "Renames a conversation"},
    {HTTP_DELETE, "/api/conversations/:id", delete_one, NULL, 0, "chat", "Deletes a conversation and its messages"},
};

const struct door door_conversations = {routes, COUNT(routes), NULL};
