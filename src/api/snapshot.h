/* The conversation as a client needs it that joins in the middle: what is stored, corrected so that together with the
 * events that follow nothing is missing and nothing comes twice. Private to api/. */
#ifndef API_SNAPSHOT_H
#define API_SNAPSHOT_H

#include "api/api_impl.h"

#define SNAPSHOT_RECENT 128 /* messages at the end that may yet come as events too */

struct snapshot {
    struct conversation conversation;
    struct room_join join;
    const struct message *recent; /* the newest messages, to tell repeated ones */
    size_t nrecent;
};

/* Reads the conversation after the room was joined: call with what room_follow said. */
int snapshot_load(struct chat *chat, const struct chat_scope *scope, struct str id, const struct room_join *join,
                  struct arena *arena, struct snapshot *out, struct err *e);
/* Whether the event tells of a message that the snapshot holds already. */
bool snapshot_has(const struct snapshot *s, const struct room_event *event);
/* {"messageId":…,"text":…} as the member "running", when a reply is being written. */
void put_running(struct jw *w, const struct room_join *join);

#endif
