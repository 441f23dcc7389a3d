/* The JSON of a room's events, the same on SSE and on the raw sockets. */
#include "api/socket.h"

#include "base/limits.h"
#include "chat/notice.h"

const char *event_name(const struct room_event *event)
{
    static const char *const names[ROOM_EVENT_TYPES] = {
        [ROOM_MESSAGE] = "message",
        [ROOM_REPLY_STARTED] = "reply_started",
        [ROOM_DELTA] = "delta",
        [ROOM_REPLY_FINISHED] = "reply_finished",
        [ROOM_REPLY_FAILED] = "reply_failed",
        [ROOM_TYPING] = "typing",
        [ROOM_READ] = "message_read",
        [ROOM_DELETED] = "deleted",
        [ROOM_PRIORITY] = "priority",
        [ROOM_NOTICE] = "notice",
    };
    return names[event->type];
}

static void put_message_of(struct jw *w, const struct room_event *event, const char *role, enum message_status status)
{
    bool failed = event->type == ROOM_REPLY_FAILED;
    put_message(w, &(struct message){.id = event->message_id,
                                     .conversation_id = event->conversation_id,
                                     .role = str_c(role),
                                     .content = failed ? event->whole : event->text,
                                     .created_us = event->at_us,
                                     .status = status});
}

static void put_user_message(struct jw *w, const struct room_event *event)
{
    jw_key(w, "message");
    put_message_of(w, event, "user", MESSAGE_COMPLETE);
    if (event->client_id.n)
        jw_kstr(w, "clientMessageId", event->client_id);
}

static void put_ended(struct jw *w, const struct room_event *event)
{
    jw_kstr(w, "messageId", event->message_id);
    if (event->type == ROOM_REPLY_FAILED) {
        jw_kstr(w, "code", event->code);
        jw_kstr(w, "error", event->text);
    } else {
        jw_kstr(w, "finishReason", event->finish);
    }
    jw_key(w, "message");
    put_message_of(w, event, "assistant", event->status);
}

static void put_typing(struct jw *w, const struct room_event *event)
{
    jw_kstr(w, "userId", event->user_id);
    jw_kstr(w, "userName", event->user_name);
    jw_kbool(w, "isTyping", str_eqc(event->text, "1"));
}

static void put_notice(struct jw *w, const struct room_event *event)
{
    struct notice notice = notice_of(event);
    jw_kstr(w, "messageId", notice.trace_id);
    jw_kstr(w, "role", notice.kind == NOTICE_REPLY ? STR("assistant") : STR("user"));
    jw_kstr(w, "text", notice.text);
    jw_kbool(w, "end", notice.end);
}

void put_event(struct jw *w, const struct room_event *event)
{
    if (event->type != ROOM_NOTICE)
        jw_kstr(w, "conversationId", event->conversation_id);
    switch (event->type) {
    case ROOM_MESSAGE:
        put_user_message(w, event);
        break;
    case ROOM_REPLY_STARTED:
        jw_kstr(w, "messageId", event->message_id);
        break;
    case ROOM_DELTA:
        jw_kstr(w, "messageId", event->message_id);
        jw_kstr(w, "text", event->text);
        break;
    case ROOM_REPLY_FINISHED:
    case ROOM_REPLY_FAILED:
        put_ended(w, event);
        break;
    case ROOM_TYPING:
        put_typing(w, event);
        break;
    case ROOM_READ:
        jw_kstr(w, "messageId", event->message_id);
        jw_kstr(w, "readBy", event->user_id);
        break;
    case ROOM_PRIORITY:
        jw_kstr(w, "priority", event->text);
        jw_kstr(w, "sentiment", event->code);
        break;
    case ROOM_NOTICE:
        put_notice(w, event);
        break;
    case ROOM_DELETED:
    case ROOM_EVENT_TYPES:
        break;
    }
}

struct blob *event_as_frame(const struct room_event *event)
{
    char id[ROOM_CURSOR_MAX];
    struct buf out = BUF_INIT(LIMIT_REPLY_TEXT * 8);
    struct jw w = jw_begin(&out);
    room_cursor_print(id, (struct room_cursor){event->epoch, event->offset});
    jw_obj(&w);
    jw_kstr(&w, "type", STR("event"));
    jw_kstr(&w, "event", str_c(event_name(event)));
    jw_kstr(&w, "id", str_c(id));
    put_event(&w, event);
    jw_end_obj(&w);
    struct blob *frame = websocket_encode(WS_TEXT, buf_str(&out));
    buf_free(&out);
    return frame;
}
