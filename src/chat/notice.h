/* Notices: texts for every client of a space at once, of no conversation and not stored: what a device asked, and what
 * it was answered. They travel as events (ROOM_NOTICE) in a room of the space's own, whose id no client can name. */
#ifndef CHAT_NOTICE_H
#define CHAT_NOTICE_H

#include "chat/room.h"

enum notice_kind {
    NOTICE_MESSAGE, /* what somebody said */
    NOTICE_REPLY,   /* a piece of what was answered */
};

struct notice {
    const char *space; /* at most NOTICE_SPACE_MAX bytes */
    enum notice_kind kind;
    struct str trace_id, text;
    bool end; /* nothing more comes with this trace_id and kind */
};
#define NOTICE_SPACE_MAX 32

/* Sends it to all who follow, on all loops, in the order of the calls of one loop. Any loop, also outside of tasks. */
void notice_send(struct chat *chat, const struct notice *notice);

/* Sends the text as it would be typed: NOTICE_REPLY in pieces of NOTICE_PIECE characters, one every NOTICE_PACE_MS, the
 * last with `end`. Parks. When the task is cancelled or the server drains, the rest goes out in one piece: 0, or -1
 * CANCELLED or TIMEOUT. */
#define NOTICE_PIECE   8
#define NOTICE_PACE_MS 50
int notice_reply(struct chat *chat, const char *space, struct str trace_id, struct str text, struct err *e);

/* Follows the space's notices from now on: as room_follow. */
int notice_follow(struct chat *chat, const char *space, struct room_follower *follower, struct arena *arena,
                  struct err *e);
/* What an event of that room says; its space is not told. */
struct notice notice_of(const struct room_event *event);

#endif
