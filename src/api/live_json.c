/* The server's events of the chat dialect, as frames that many sockets share. */
#include "api/live_impl.h"

#include "base/rand.h"

struct writer {
    struct buf out;
    struct jw w;
};

static void begin(struct writer *writer)
{
    buf_init(&writer->out, SIZE_MAX / 2);
    writer->w = jw_begin(&writer->out);
    jw_obj(&writer->w);
}

static struct blob *end(struct writer *writer, const char *name)
{
    jw_end_obj(&writer->w);
    struct blob *frame = sio_frame(STR("/"), str_c(name), buf_str(&writer->out));
    buf_free(&writer->out);
    return frame;
}

struct blob *live_start_frame(struct str conversation_id, struct str message_id)
{
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "messageId", message_id);
    jw_kstr(&writer.w, "conversationId", conversation_id);
    return end(&writer, "stream_start");
}

struct blob *live_chunk_frame(const struct live_chunk *chunk)
{
    char id[UUID_LEN + 1];
    struct writer writer;
    begin(&writer);
    rand_uuid(id);
    jw_kstr(&writer.w, "id", str_n(id, UUID_LEN));
    jw_kstr(&writer.w, "messageId", chunk->message_id);
    jw_kstr(&writer.w, "conversationId", chunk->conversation_id);
    if (chunk->content.p)
        jw_kstr(&writer.w, "content", chunk->content);
    if (chunk->delta.p)
        jw_kstr(&writer.w, "delta", chunk->delta);
    jw_kbool(&writer.w, "isComplete", chunk->complete);
    return end(&writer, "stream_chunk");
}

struct str live_ended_text(const struct room_event *event)
{
    return event->type == ROOM_REPLY_FAILED ? event->whole : event->text;
}

static struct blob *message_frame(const struct room_event *event)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    struct jw w = jw_begin(&out);
    put_message(&w, &(struct message){.id = event->message_id,
                                      .conversation_id = event->conversation_id,
                                      .role = STR("user"),
                                      .content = event->text,
                                      .created_us = event->at_us,
                                      .status = MESSAGE_COMPLETE});
    struct blob *frame = sio_frame(STR("/"), STR("new_message"), buf_str(&out));
    buf_free(&out);
    return frame;
}

static struct blob *typing_frame(const struct room_event *event)
{
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "userId", event->user_id);
    jw_kstr(&writer.w, "userName", event->user_name.n ? event->user_name : STR("Anonymous"));
    jw_kbool(&writer.w, "isTyping", str_eqc(event->text, "1"));
    return end(&writer, "user_typing");
}

static struct blob *read_frame(const struct room_event *event)
{
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "messageId", event->message_id);
    jw_kstr(&writer.w, "status", STR("read"));
    jw_kstr(&writer.w, "readBy", event->user_id);
    return end(&writer, "message_status");
}

struct blob *live_deleted_frame(struct str conversation_id)
{
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "conversationId", conversation_id);
    return end(&writer, "conversation_deleted");
}

struct blob *live_event_frame(const struct room_event *event)
{
    switch (event->type) {
    case ROOM_MESSAGE:
        return message_frame(event);
    case ROOM_REPLY_STARTED:
        return live_start_frame(event->conversation_id, event->message_id);
    case ROOM_REPLY_FINISHED:
    case ROOM_REPLY_FAILED:
        return live_chunk_frame(&(struct live_chunk){.conversation_id = event->conversation_id,
                                                     .message_id = event->message_id,
                                                     .content = live_ended_text(event),
                                                     .complete = true});
    case ROOM_TYPING:
        return typing_frame(event);
    case ROOM_READ:
        return read_frame(event);
    case ROOM_DELETED:
    case ROOM_DELTA:
    case ROOM_PRIORITY:
    case ROOM_NOTICE:
    case ROOM_EVENT_TYPES:
        break;
    }
    return live_deleted_frame(event->conversation_id);
}

/* The newest messages whose text fits. */
static struct conversation within_limit(const struct conversation *c)
{
    struct conversation shown = *c;
    size_t bytes = 0, n = 0;
    while (n < c->nmessages && bytes <= LIVE_CONVERSATION)
        bytes += c->messages[c->nmessages - ++n].content.n;
    if (bytes > LIVE_CONVERSATION && n > 1)
        n--;
    shown.messages = c->messages + (c->nmessages - n);
    shown.nmessages = n;
    return shown;
}

struct blob *live_complete_frame(const struct conversation *c, struct str message_id, struct str finish)
{
    struct conversation shown = within_limit(c);
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "messageId", message_id);
    jw_kstr(&writer.w, "conversationId", c->id);
    jw_key(&writer.w, "conversation");
    put_conversation(&writer.w, &shown);
    jw_kstr(&writer.w, "finishReason", finish);
    if (shown.nmessages < c->nmessages)
        jw_kint(&writer.w, "messagesOmitted", (int64_t)(c->nmessages - shown.nmessages));
    return end(&writer, "stream_complete");
}

struct blob *live_error_frame(struct str conversation_id, struct str message_id, struct str text, struct str code)
{
    struct writer writer;
    begin(&writer);
    jw_kstr(&writer.w, "message", text);
    jw_kstr(&writer.w, "code", code);
    jw_kstr(&writer.w, "messageId", message_id);
    jw_kstr(&writer.w, "conversationId", conversation_id);
    return end(&writer, "stream_error");
}
