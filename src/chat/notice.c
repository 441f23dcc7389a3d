#include "chat/notice.h"

#include "chat/chat_impl.h"

#include <stdio.h>

/* Ids of conversations are valid UTF-8, which never has this byte. */
#define ROOM_PREFIX "\xFF"

struct notice_room {
    char id[sizeof ROOM_PREFIX + NOTICE_SPACE_MAX];
};

static struct str room_of(const char *space, struct notice_room *room)
{
    int n = snprintf(room->id, sizeof room->id, ROOM_PREFIX "%s", space);
    return str_n(room->id, MIN((size_t)n, sizeof room->id - 1));
}

void notice_send(struct chat *chat, const struct notice *notice)
{
    struct notice_room room;
    room_pass(chat, room_event_new(&(struct room_event){
                        .type = ROOM_NOTICE,
                        .conversation_id = room_of(notice->space, &room),
                        .message_id = notice->trace_id,
                        .text = notice->text,
                        .code = notice->kind == NOTICE_REPLY ? STR("reply") : STR("message"),
                        .finish = notice->end ? STR("stop") : STR(""),
                    }));
}

struct notice notice_of(const struct room_event *event)
{
    return (struct notice){
        .kind = str_eqc(event->code, "reply") ? NOTICE_REPLY : NOTICE_MESSAGE,
        .trace_id = event->message_id,
        .text = event->text,
        .end = event->finish.n > 0,
    };
}

/* The first characters of the text, in whole ones. */
static struct str piece_of(struct str text)
{
    size_t n = 0;
    for (unsigned characters = 0; n < text.n; n++) {
        bool begins = ((unsigned char)text.p[n] & 0xC0) != 0x80;
        if (begins && characters++ == NOTICE_PIECE)
            break;
    }
    return str_n(text.p, n);
}

int notice_reply(struct chat *chat, const char *space, struct str trace_id, struct str text, struct err *e)
{
    struct notice notice = {.space = space, .kind = NOTICE_REPLY, .trace_id = trace_id};
    int result = 0;
    while (!notice.end) {
        bool hurry = result < 0 || atomic_load_explicit(&chat->draining, memory_order_acquire);
        notice.text = hurry ? text : piece_of(text);
        text = str_from(text, notice.text.n);
        notice.end = text.n == 0;
        notice_send(chat, &notice);
        if (!notice.end)
            result = task_sleep(NOTICE_PACE_MS, e);
    }
    return result;
}

int notice_follow(struct chat *chat, const char *space, struct room_follower *follower, struct arena *arena,
                  struct err *e)
{
    struct notice_room room;
    struct room_join join;
    return room_follow(chat, room_of(space, &room), follower, NULL, arena, &join, e);
}
