/* What clients of the chat dialect send. Every event may ask for an acknowledgement: {"ok":true,…} or
 * {"ok":false,"error":text,"code":NAME}, beside the events that tell the same. */
#include "api/live_impl.h"

#include "api/care_live_impl.h"
#include "base/limits.h"
#include "base/rand.h"

/* ---- arguments ---- */

/* The members that any of the events has; a bare string is the conversation's id. */
enum want { CONVERSATION_ID, MESSAGE_ID, MESSAGE, USER_NAME, DELTA, CLIENT_ID, USER_ID, WANTS };

struct call {
    struct sio_message *m;
    struct sio_socket *socket;
    struct api *api;
    struct json_want wants[WANTS];
    struct str id; /* the conversation; empty: not named */
};

static struct call call_begin(struct sio_message *m)
{
    struct call call = {
        .m = m,
        .socket = m->socket,
        .api = sio_owner(m->socket),
        .wants = {[CONVERSATION_ID] = {.path = "conversationId"},
                  [MESSAGE_ID] = {.path = "messageId"},
                  [MESSAGE] = {.path = "message"},
                  [USER_NAME] = {.path = "userName"},
                  [DELTA] = {.path = "delta"},
                  [CLIENT_ID] = {.path = "clientMessageId"},
                  [USER_ID] = {.path = "userId"}},
    };
    struct json_iter args = sio_message_args(m);
    struct json_value first = {.type = JSON_NONE};
    json_each(&args, NULL, &first);
    if (first.type == JSON_OBJECT)
        json_scan(first.raw, call.wants, WANTS, NULL, NULL);
    else if (first.type == JSON_STRING)
        call.wants[CONVERSATION_ID].value = first;
    return call;
}

/* A text of at most LIMIT_ID bytes, empty when it is absent or null. */
static int read_text(const struct call *call, enum want which, struct str *out, struct err *e)
{
    const struct json_want *want = &call->wants[which];
    *out = STR("");
    if (want->value.type == JSON_NONE || want->value.type == JSON_NULL)
        return 0;
    if (want->value.type != JSON_STRING)
        return err_set(e, ERR_INVALID_REQUEST, "%s must be a string", want->path);
    *out = want_text(call->m->arena, &want->value);
    if (out->n > LIMIT_ID)
        return err_set(e, ERR_INVALID_REQUEST, "%s is longer than %d bytes", want->path, LIMIT_ID);
    return 0;
}

static int read_id(const struct call *call, enum want which, struct str *out, struct err *e)
{
    if (read_text(call, which, out, e) < 0)
        return -1;
    return out->n ? 0 : err_set(e, ERR_INVALID_REQUEST, "%s is required", call->wants[which].path);
}

static struct live_join join_wishes(const struct call *call, bool implicit)
{
    enum json_type delta = call->wants[DELTA].value.type;
    return (struct live_join){.id = call->id,
                              .implicit = implicit,
                              .text = delta == JSON_TRUE    ? LIVE_DELTA
                                      : delta == JSON_FALSE ? LIVE_WHOLE
                                                            : LIVE_AS_BEFORE};
}

/* ---- answers ---- */

void live_tell(struct sio_socket *s, struct str name, struct str args)
{
    struct sio_emit emit = {.name = name, .args = args};
    sio_emit(s, &emit);
}

void live_ack(const struct sio_message *m, struct str json)
{
    if (m->wants_ack)
        sio_ack(m->socket, m->ack_id, json, NULL, 0);
}

struct str live_public_text(const struct err *e)
{
    return str_c(e->code == ERR_INTERNAL_ERROR ? err_text(e->code) : e->text);
}

void live_ack_failure(const struct sio_message *m, const struct err *e)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_kbool(&w, "ok", false);
    jw_kstr(&w, "error", live_public_text(e));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    jw_end_obj(&w);
    live_ack(m, buf_str(&out));
    buf_free(&out);
}

/* {"ok":true,"conversationId":…}, with one more member when it has a name. */
static void succeed(const struct call *call, const char *name, bool value)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    if (!call->m->wants_ack)
        return;
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kstr(&w, "conversationId", call->id);
    if (name)
        jw_kbool(&w, name, value);
    jw_end_obj(&w);
    live_ack(call->m, buf_str(&out));
    buf_free(&out);
}

static void emit_error(struct sio_socket *s, struct str name, const struct err *e)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_kstr(&w, "message", live_public_text(e));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    jw_end_obj(&w);
    live_tell(s, name, buf_str(&out));
    buf_free(&out);
}

static void fail(const struct call *call, const struct err *e)
{
    emit_error(call->socket, STR("error"), e);
    live_ack_failure(call->m, e);
}

/* A socket may have come for customer care alone. */
static int may_chat(const struct call *call, struct err *e)
{
    return live_may_chat(call->socket) ? 0 : err_set(e, ERR_UNAUTHORIZED, NULL);
}

/* ---- conversations ---- */

static void on_join(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct err e;
    if (read_id(&call, CONVERSATION_ID, &call.id, &e) < 0) {
        fail(&call, &e);
        return;
    }
    struct live_join join = join_wishes(&call, false);
    struct str user_id = want_text(m->arena, &call.wants[USER_ID].value);
    int joined = care_live_join(m->socket, call.id, user_id, m->arena, &e);
    if (joined == 0)
        joined = may_chat(&call, &e) < 0 ? -1 : live_join(m->socket, &join, &e);
    if (joined < 0)
        fail(&call, &e);
    else
        succeed(&call, NULL, false);
}

static void on_leave(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct err e;
    if (read_id(&call, CONVERSATION_ID, &call.id, &e) < 0) {
        fail(&call, &e);
        return;
    }
    struct live_member *member = live_member_find(m->socket, call.id);
    if (member)
        live_leave(member);
    care_live_leave(m->socket, call.id);
    succeed(&call, NULL, false);
}

/* Whether the socket may act in the conversation: its members may; others when it is one they could join. */
static int may_act(const struct call *call, bool must_exist, struct err *e)
{
    struct live_socket *state = sio_user(call->socket);
    struct conversation found;
    if (may_chat(call, e) < 0)
        return -1;
    if (live_member_find(call->socket, call->id))
        return 0;
    if (store_conversation_get(chat_store(call->api->chat), call->m->arena, call->id, &found, e) < 0)
        return e->code == ERR_CONVERSATION_NOT_FOUND && !must_exist ? 0 : -1;
    if (found.owner.n || !admit_space(call->api, state->has_token, found.space))
        return err_set(e, ERR_CONVERSATION_NOT_FOUND, NULL);
    return 0;
}

static void typing(struct sio_message *m, bool on)
{
    struct call call = call_begin(m);
    struct err e;
    struct str name;
    if (read_id(&call, CONVERSATION_ID, &call.id, &e) < 0 || read_text(&call, USER_NAME, &name, &e) < 0 ||
        may_act(&call, false, &e) < 0) {
        fail(&call, &e);
        return;
    }
    room_typing(call.api->chat, call.id, live_origin(m->socket), sio_sid(m->socket), name, on);
    succeed(&call, NULL, false);
}

static void on_typing_start(struct sio_message *m)
{
    typing(m, true);
}

static void on_typing_stop(struct sio_message *m)
{
    typing(m, false);
}

static void on_message_read(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct err e;
    struct str message_id;
    if (read_id(&call, CONVERSATION_ID, &call.id, &e) < 0 || read_id(&call, MESSAGE_ID, &message_id, &e) < 0 ||
        may_act(&call, false, &e) < 0) {
        fail(&call, &e);
        return;
    }
    room_read(call.api->chat, call.id, live_origin(m->socket), sio_sid(m->socket), message_id);
    succeed(&call, NULL, false);
}

static void on_cancel_stream(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct err e;
    int cancelled = -1;
    if (read_id(&call, CONVERSATION_ID, &call.id, &e) == 0 && may_act(&call, true, &e) == 0)
        cancelled = turn_cancel(call.api->chat, call.id, &e);
    if (cancelled < 0)
        fail(&call, &e);
    else
        succeed(&call, "cancelled", cancelled == 1);
}

/* ---- stream_chat ---- */

static int read_chat(struct call *call, struct turn_request *request, struct err *e)
{
    const struct json_value *message = &call->wants[MESSAGE].value;
    if (message->type == JSON_STRING)
        request->text = want_text(call->m->arena, message);
    if (str_trim(request->text).n == 0)
        return err_set(e, ERR_INVALID_REQUEST, "Message is required");
    if (read_text(call, CONVERSATION_ID, &call->id, e) < 0 || read_text(call, CLIENT_ID, &request->client_id, e) < 0)
        return -1;
    if (call->id.n == 0) {
        char *id = arena_alloc(call->m->arena, UUID_LEN + 1);
        rand_uuid(id);
        call->id = str_n(id, UUID_LEN);
    }
    request->conversation_id = call->id;
    return 0;
}

static void acknowledge_turn(const struct call *call, const struct turn_ticket *ticket)
{
    struct buf out = BUF_INIT(KIB(4));
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    jw_kbool(&w, "ok", true);
    jw_kstr(&w, "conversationId", ticket->conversation_id);
    jw_kstr(&w, "messageId", ticket->reply_id);
    jw_kstr(&w, "userMessageId", ticket->user_message_id);
    jw_kbool(&w, "created", ticket->created);
    jw_kbool(&w, "duplicate", ticket->duplicate);
    jw_end_obj(&w);
    live_ack(call->m, buf_str(&out));
    buf_free(&out);
}

static const struct message *find_reply(const struct conversation *c, struct str id)
{
    for (size_t i = c->nmessages; i-- > 0;)
        if (str_eq(c->messages[i].id, id))
            return c->messages[i].status == MESSAGE_STREAMING ? NULL : &c->messages[i];
    return NULL;
}

/* A repeated message whose reply ended before this client came: it is told as if it had just been written. */
static void tell_again(const struct call *call, const struct turn_ticket *ticket)
{
    struct chat_scope anonymous = {0};
    struct conversation c;
    struct err e;
    if (conversation_get(call->api->chat, &anonymous, call->id, STORE_ALL, call->m->arena, &c, &e) < 0)
        return;
    const struct message *reply = find_reply(&c, ticket->reply_id);
    struct live_member *member = live_member_find(call->socket, call->id);
    if (!reply || !member || member->last == map_hash(ticket->reply_id))
        return;
    struct blob *frames[] = {
        live_start_frame(c.id, reply->id),
        live_chunk_frame(&(struct live_chunk){.conversation_id = c.id,
                                              .message_id = reply->id,
                                              .content = reply->content,
                                              .delta = member->delta ? reply->content : STR_NONE,
                                              .complete = true}),
        live_complete_frame(&c, reply->id, reply->status == MESSAGE_COMPLETE ? STR("stop") : STR("interrupted")),
    };
    for (size_t i = 0; i < COUNT(frames); i++) {
        live_send(member, frames[i]);
        blob_unref(frames[i]);
    }
}

/* The sender is in the room before the turn begins, so that it misses nothing of it. */
static int start_turn(struct call *call, const struct turn_request *request, struct turn_ticket *ticket, struct err *e)
{
    struct live_join join = join_wishes(call, true);
    int joined = live_join(call->socket, &join, e);
    if (joined < 0 && e->code != ERR_CANCELLED) /* then the sender is gone */
        return -1;
    int result = turn_start(call->api->chat, request, call->m->arena, ticket, e);
    struct live_member *member = live_member_find(call->socket, call->id);
    if (result < 0 && joined == 1 && member)
        live_leave(member);
    else if (result == 0 && member && member->room)
        str_copy(member->room->space, sizeof member->room->space, str_c(request->surface->space));
    return result < 0 ? -1 : joined == 1;
}

static void stream_chat(struct sio_message *m)
{
    struct call call = call_begin(m);
    struct turn_request request = {
        .surface = &call.api->chat_surface, .create = true, .origin = live_origin(m->socket)};
    struct turn_ticket ticket;
    struct err e;
    int joined = may_chat(&call, &e) < 0 ? -1 : read_chat(&call, &request, &e);
    if (joined == 0)
        joined = start_turn(&call, &request, &ticket, &e);
    if (joined < 0) {
        emit_error(call.socket, STR("stream_error"), &e);
        fail(&call, &e);
        return;
    }
    acknowledge_turn(&call, &ticket);
    if (ticket.duplicate && joined)
        tell_again(&call, &ticket);
}

/* A message that was received is dealt with, also when its sender is gone by now. */
static void on_stream_chat(struct sio_message *m)
{
    task_shield();
    stream_chat(m);
    task_unshield();
}

const struct sio_row live_rows[LIVE_ROWS] = {
    {"join_conversation", SIO_SERIAL, on_join},      {"leave_conversation", SIO_SERIAL, on_leave},
    {"stream_chat", SIO_SERIAL, on_stream_chat},     {"cancel_stream", SIO_SERIAL, on_cancel_stream},
    {"typing_start", SIO_SERIAL, on_typing_start},   {"typing_stop", SIO_SERIAL, on_typing_stop},
    {"message_read", SIO_SERIAL, on_message_read},   {"start_conversation", SIO_SERIAL, care_live_start},
    {"user_message", SIO_SERIAL, care_live_message},
};

void live_unknown_event(struct sio_message *m)
{
    live_ack(m, STR("{\"ok\":false,\"error\":\"Unknown event\",\"code\":\"NOT_FOUND\"}"));
}
