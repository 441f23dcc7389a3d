/* Dialect 004 on /ws: five commands; replies are flat, except lower-case `error`. Members come in `payload` or, as the
 * document's examples have them, at the top. */
#include "api/socket.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "chat/notice.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WANT_TYPE,
    WANT_PAYLOAD,
    WANT_P_CHAT,
    WANT_CHAT,
    WANT_P_CONTENT,
    WANT_CONTENT,
    WANT_MESSAGE_CONTENT,
    WANT_P_MESSAGE_ID,
    WANT_MESSAGE_ID_FLAT,
    WANT_P_NAME,
    WANT_NAME,
    WANT_LAST_ID
};
static const char *const paths[] = {"type",    "payload",         "payload.chatId",     "chatId",     "payload.content",
                                    "content", "message.content", "payload.message.id", "message.id", "payload.name",
                                    "name",    "lastEventId"};

static const struct chat_scope scope = {.space = "pichat"};

/* The first of the members that is a string; payload wins over the top level. */
static struct str text_of(struct socket_message *m, int first, int second, int third)
{
    const int order[] = {first, second, third};
    for (size_t i = 0; i < COUNT(order); i++)
        if (order[i] >= 0 && m->wants[order[i]].value.type == JSON_STRING)
            return want_text(m->arena, &m->wants[order[i]].value);
    return STR_NONE;
}

static struct str chat_id_of(struct socket_message *m)
{
    return text_of(m, WANT_P_CHAT, WANT_CHAT, -1);
}

static struct jw frame(struct buf *out, const char *type)
{
    buf_init(out, SIZE_MAX / 2);
    struct jw w = jw_begin(out);
    jw_obj(&w);
    jw_kstr(&w, "type", str_c(type));
    return w;
}

static void send_frame(struct websocket *ws, struct jw *w)
{
    jw_end_obj(w);
    socket_send_jw(ws, w);
}

/* What a command could not do. */
static void send_failure(struct websocket *ws, const char *text)
{
    struct buf out;
    struct jw w = frame(&out, "ERROR");
    jw_kstr(&w, "error", str_c(text));
    send_frame(ws, &w);
}

static void failed(struct websocket *ws, const struct err *e)
{
    struct buf out;
    struct jw w = frame(&out, "ERROR");
    jw_kstr(&w, "error", str_c(e->text));
    jw_kstr(&w, "code", str_c(err_name(e->code)));
    send_frame(ws, &w);
}

/* A frame that was no command: the lower-case form, with a payload. */
static void send_error(struct websocket *ws, struct str text)
{
    struct buf out;
    struct jw w = frame(&out, "error");
    jw_key(&w, "payload");
    jw_obj(&w);
    jw_kstr(&w, "message", text);
    jw_end_obj(&w);
    send_frame(ws, &w);
}

/* 2026-11-21T07:04:31.407198: microseconds, no zone. */
static void put_time(struct jw *w, const char *key, int64_t us)
{
    char iso[ISO_LEN + 1], text[32];
    clock_iso(iso, us / 1000);
    int n = snprintf(text, sizeof text, "%.20s%06d", iso, (int)(us % 1000000));
    jw_kstr(w, key, str_n(text, (size_t)n));
}

static void put_chat(struct jw *w, const struct conversation *c)
{
    jw_obj(w);
    jw_kstr(w, "id", c->id);
    jw_kstr(w, "name", c->title);
    jw_kbool(w, "active", c->active);
    put_time(w, "created_at", c->created_us);
    if (c->device_id.n)
        jw_kstr(w, "device_id", c->device_id);
    jw_end_obj(w);
}

static int list_one(void *arg, const struct conversation *c, struct err *e)
{
    struct jw *w = arg;
    put_chat(w, c);
    return jw_ok(w) ? 0 : err_set(e, ERR_INTERNAL_ERROR, NULL);
}

static void get_chats(struct socket_message *m)
{
    struct buf out;
    struct err e;
    struct jw w = frame(&out, "CHAT_LIST");
    struct conversation_walk walk = {.order = CONVERSATION_BY_CREATED, .each = list_one, .arg = &w};
    jw_key(&w, "chats");
    jw_arr(&w);
    if (conversation_walk(socket_api(m->ws)->chat, &scope, &walk, &e) < 0) {
        buf_free(&out);
        socket_fail(m->ws, &e);
        return;
    }
    jw_end_arr(&w);
    send_frame(m->ws, &w);
}

static struct str default_name(struct arena *arena)
{
    char iso[ISO_LEN + 1];
    clock_iso(iso, clock_wall_ms());
    return arena_printf(arena, "Chat %.10s %.5s", iso, iso + 11);
}

static void create_chat(struct socket_message *m)
{
    struct str name = str_trim(text_of(m, WANT_P_NAME, WANT_NAME, -1));
    struct conversation made;
    struct err e;
    if (name.n > LIMIT_TITLE) {
        send_failure(m->ws, "Chat name is too long");
        return;
    }
    struct conversation chat = {.title = name.n ? name : default_name(m->arena)};
    if (conversation_create(socket_api(m->ws)->chat, &scope, &chat, m->arena, &made, &e) < 0) {
        socket_fail(m->ws, &e);
        return;
    }
    struct buf out;
    struct jw w = frame(&out, "NEW_CHAT");
    jw_key(&w, "chat");
    put_chat(&w, &made);
    send_frame(m->ws, &w);
}

static void put_history_message(struct jw *w, const struct message *message)
{
    /* A reply that failed before it said anything was never an answer. */
    if (message->content.n == 0 && message->status != MESSAGE_STREAMING)
        return;
    jw_obj(w);
    jw_kstr(w, "id", message->id);
    jw_kstr(w, "content", message->content);
    jw_kstr(w, "role", message->role);
    jw_kstr(w, "chat_id", message->conversation_id);
    put_time(w, "created_at", message->created_us);
    jw_kstr(w, "status", str_c(message_status_name(message->status)));
    jw_end_obj(w);
}

static void get_history(struct socket_message *m)
{
    struct str id = chat_id_of(m);
    struct conversation c = {0};
    struct err e;
    if (id.n == 0) {
        send_failure(m->ws, "Chat ID is required");
        return;
    }
    if (conversation_get(socket_api(m->ws)->chat, &scope, id, STORE_ALL, m->arena, &c, &e) < 0 &&
        e.code != ERR_CONVERSATION_NOT_FOUND) {
        socket_fail(m->ws, &e);
        return;
    }
    struct buf out;
    struct jw w = frame(&out, "CHAT_HISTORY");
    jw_key(&w, "messages");
    jw_arr(&w);
    for (size_t i = 0; i < c.nmessages; i++)
        put_history_message(&w, &c.messages[i]);
    jw_end_arr(&w);
    jw_kstr(&w, "chatId", id);
    send_frame(m->ws, &w);
}

static void delete_chat(struct socket_message *m)
{
    struct str id = chat_id_of(m);
    struct err e;
    if (id.n == 0) {
        send_failure(m->ws, "Chat ID is required");
        return;
    }
    if (conversation_delete(socket_api(m->ws)->chat, &scope, id, &e) < 0 && e.code != ERR_CONVERSATION_NOT_FOUND) {
        socket_fail(m->ws, &e);
        return;
    }
    struct buf out;
    struct jw w = frame(&out, "CHAT_DELETED");
    jw_kstr(&w, "chatId", id);
    send_frame(m->ws, &w);
}

/* ---- SEND_MESSAGE: the reply goes to this socket only, as deltas ---- */

static void send_delta(struct websocket *ws, struct str reply_id, struct str text, bool end)
{
    struct buf out;
    struct jw w = frame(&out, "MESSAGE");
    jw_kstr(&w, "content", text);
    jw_kstr(&w, "traceId", reply_id);
    jw_kbool(&w, "end", end);
    send_frame(ws, &w);
}

/* What the reply has beyond what this socket got; for followers whom the log left behind. */
static void send_missing(struct socket_follower *f, struct str whole)
{
    if (whole.n > f->sent)
        send_delta(f->ws, f->reply_id, str_from(whole, f->sent), false);
    f->sent = MAX(f->sent, whole.n);
}

static bool push_event(struct socket_follower *f, const struct room_event *event)
{
    if (event->type == ROOM_DELETED) {
        send_failure(f->ws, "The chat was deleted");
        return false;
    }
    if (!str_eq(event->message_id, f->reply_id))
        return true;
    if (event->type == ROOM_DELTA) {
        f->sent += event->text.n;
        send_delta(f->ws, f->reply_id, event->text, false);
    } else if (event->type == ROOM_REPLY_FINISHED) {
        send_missing(f, event->text);
        send_delta(f->ws, f->reply_id, STR(""), true);
        return false;
    } else if (event->type == ROOM_REPLY_FAILED) {
        send_failure(f->ws, event->text.p);
        return false;
    }
    return true;
}

static bool push_reply(struct socket_follower *f)
{
    struct room_event *event;
    while (websocket_queued(f->ws) < CONN_HIGH_MARK && (event = room_next(&f->room)))
        if (!push_event(f, event))
            return false;
    if (!f->room.lagged)
        return true;
    struct str running_id, text = room_running(&f->room, &running_id);
    room_skip(&f->room);
    if (text.p && str_eq(running_id, f->reply_id)) {
        send_missing(f, text);
        return true;
    }
    /* The reply ended while this client read nothing: it asks for the history when it is back. */
    websocket_close(f->ws, WS_TRY_LATER, STR("Slow consumer"));
    return false;
}

/* Sends the reply as the store has it; false when it is still being written. */
static bool send_stored(struct socket_message *m, const struct turn_ticket *ticket)
{
    struct message_ref ref = {ticket->conversation_id, ticket->reply_id};
    struct message reply;
    struct err e;
    if (store_message_get(chat_store(socket_api(m->ws)->chat), m->arena, &ref, &reply, &e) < 0) {
        socket_fail(m->ws, &e);
        return true;
    }
    if (reply.status == MESSAGE_STREAMING)
        return false;
    if (reply.content.n)
        send_delta(m->ws, reply.id, reply.content, false);
    if (reply.status == MESSAGE_FAILED)
        send_failure(m->ws, err_text(ERR_UPSTREAM));
    else
        send_delta(m->ws, reply.id, STR(""), true);
    return true;
}

static bool push_reply(struct socket_follower *f);

static bool is_followed(struct websocket *ws, struct str reply_id)
{
    const struct socket_state *state = websocket_user(ws);
    list_each(entry, &state->followers) {
        const struct socket_follower *f = container_of(entry, struct socket_follower, link);
        if (f->push == push_reply && str_eq(f->reply_id, reply_id))
            return true;
    }
    return false;
}

/* The reply from its beginning: out of the log, or, when the log does not reach back to it or the message was sent
 * before, out of the store if it is over. */
static void follow_reply(struct socket_message *m, const struct turn_ticket *ticket)
{
    struct room_join join;
    struct err e;
    if (is_followed(m->ws, ticket->reply_id))
        return; /* sent twice by an impatient client: one reply is enough */
    struct socket_follower *f = socket_follow(m->ws, ticket->conversation_id, &ticket->from, m->arena, &join, &e);
    if (!f) {
        socket_fail(m->ws, &e);
        return;
    }
    bool runs = join.running_id.p && str_eq(join.running_id, ticket->reply_id);
    f->reply_id = (struct str){str_dup(ticket->reply_id), ticket->reply_id.n};
    if ((ticket->duplicate || (!join.replayed && !runs)) && send_stored(m, ticket)) {
        socket_unfollow(f);
        return;
    }
    if (!join.replayed && runs)
        send_missing(f, join.running_text);
    socket_follow_start(f, push_reply);
}

static void send_message(struct socket_message *m)
{
    struct api *api = socket_api(m->ws);
    struct str id = chat_id_of(m), text = text_of(m, WANT_P_CONTENT, WANT_CONTENT, WANT_MESSAGE_CONTENT);
    if (id.n == 0 || str_trim(text).n == 0) {
        send_failure(m->ws, "Chat ID and message are required");
        return;
    }
    struct turn_request request = {.surface = &api->pichat,
                                   .conversation_id = id,
                                   .create = true,
                                   .text = text,
                                   .client_id = text_of(m, WANT_P_MESSAGE_ID, WANT_MESSAGE_ID_FLAT, -1),
                                   .origin = m->ws};
    struct turn_ticket ticket;
    struct err e;
    if (turn_start(api->chat, &request, m->arena, &ticket, &e) < 0)
        socket_fail(m->ws, &e);
    else
        follow_reply(m, &ticket);
}

static void cancel_message(struct socket_message *m)
{
    struct str id = chat_id_of(m);
    struct conversation c;
    struct err e;
    if (id.n == 0) {
        send_failure(m->ws, "Chat ID is required");
        return;
    }
    bool found = conversation_get(socket_api(m->ws)->chat, &scope, id, 0, m->arena, &c, &e) == 0;
    if (!found && e.code != ERR_CONVERSATION_NOT_FOUND) {
        socket_fail(m->ws, &e);
        return;
    }
    struct buf out;
    struct jw w = frame(&out, "CANCELLED");
    jw_kstr(&w, "chatId", id);
    jw_kbool(&w, "cancelled", found && turn_cancel(socket_api(m->ws)->chat, id, &e) == 1);
    send_frame(m->ws, &w);
}

static void resume(struct socket_message *m)
{
    socket_resume(m, chat_id_of(m), text_of(m, WANT_LAST_ID, -1, -1));
}

static bool refused(struct socket_message *m)
{
    enum json_type payload = m->wants[WANT_PAYLOAD].value.type;
    if (payload == JSON_NONE || payload == JSON_OBJECT || payload == JSON_NULL)
        return false;
    send_error(m->ws, STR("Payload must be an object"));
    return true;
}

static void unknown(struct socket_message *m)
{
    const struct json_value *type = &m->wants[WANT_TYPE].value;
    char text[160] = "No action found in message";
    struct buf scratch = BUF_INIT(KIB(64));
    struct str name = json_text(type, &scratch);
    if (name.n)
        snprintf(text, sizeof text, "Unknown action: %.*s", (int)utf8_whole(name.p, MIN(name.n, (size_t)100)), name.p);
    buf_free(&scratch);
    send_error(m->ws, str_c(text));
}

static void malformed(struct websocket *ws, const struct err *e)
{
    send_error(ws, str_c(e->text));
}

static const struct socket_command commands[] = {
    {"GET_CHATS", COMMAND_SERIAL, get_chats},
    {"CREATE_CHAT", COMMAND_SERIAL, create_chat},
    {"GET_CHAT_HISTORY", COMMAND_SERIAL, get_history},
    {"DELETE_CHAT", COMMAND_SERIAL, delete_chat},
    {"SEND_MESSAGE", COMMAND_SERIAL, send_message},
    {"CANCEL_MESSAGE", COMMAND_SERIAL, cancel_message},
    {"resume", COMMAND_SERIAL, resume},
};

static const struct socket_dialect dialect = {
    .paths = paths,
    .npaths = COUNT(paths),
    .commands = commands,
    .ncommands = COUNT(commands),
    .refused = refused,
    .unknown = unknown,
    .malformed = malformed,
    .failed = failed,
};

/* ---- notices: what devices say and hear goes to every socket ---- */

struct pichat_state {
    struct socket_state socket; /* first: websocket_user */
    struct websocket *ws;
    struct room_follower notices;
};

static struct blob *notice_as_frame(const struct room_event *event)
{
    struct notice notice = notice_of(event);
    struct buf out;
    struct jw w = frame(&out, notice.kind == NOTICE_REPLY ? "MESSAGE" : "FIRST_MESSAGE");
    jw_kstr(&w, "content", notice.text);
    jw_kstr(&w, "traceId", notice.trace_id);
    jw_kbool(&w, "end", notice.end);
    jw_end_obj(&w);
    struct blob *encoded = websocket_encode(WS_TEXT, buf_str(&out));
    buf_free(&out);
    return encoded;
}

/* A socket that reads too slowly for the log misses what it no longer has. */
static void push_notices(struct pichat_state *state)
{
    while (websocket_queued(state->ws) < CONN_HIGH_MARK) {
        struct room_event *event = room_next(&state->notices);
        if (event)
            websocket_send_frame(state->ws, room_event_encoded(event, ROOM_AS_SOCKET, notice_as_frame));
        else if (state->notices.lagged)
            room_skip_lost(&state->notices);
        else
            return;
    }
}

static void on_notice(struct room_follower *notices)
{
    push_notices(container_of(notices, struct pichat_state, notices));
}

static void follow_notices(struct websocket *ws, struct arena *arena, struct str none)
{
    (void)none;
    struct pichat_state *state = websocket_user(ws);
    struct err e;
    state->notices.notify = on_notice;
    if (notice_follow(socket_api(ws)->chat, scope.space, &state->notices, arena, &e) == 0 && !websocket_is_open(ws))
        room_leave(&state->notices);
}

static void on_open(struct websocket *ws, struct http_request *rq)
{
    struct pichat_state *state = websocket_user(ws);
    socket_open(ws, rq, &dialect);
    state->ws = ws;
    websocket_serial(ws, STR(""), follow_notices);
}

static void on_drained(struct websocket *ws)
{
    push_notices(websocket_user(ws));
    socket_drained(ws);
}

static void on_closed(struct websocket *ws, uint16_t code, struct str reason)
{
    struct pichat_state *state = websocket_user(ws);
    room_leave(&state->notices);
    socket_closed(ws, code, reason);
}

static const struct websocket_ops pichat_socket = {
    .user_size = sizeof(struct pichat_state),
    .on_open = on_open,
    .on_message = socket_message,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static const struct http_route routes[] = {
    {HTTP_GET, "/ws", NULL, &pichat_socket, 0, "pichat", "WebSocket of the PiChat dialect"},
};

const struct door door_pichat = {routes, COUNT(routes), NULL};
