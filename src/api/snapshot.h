/* The conversation as a client needs it that joins in the middle: what is stored, corrected so that together with the
 * events that follow nothing is missing and nothing comes twice. Private to api/. */
#ifndef API_SNAPSHOT_H
#define API_SNAPSHOT_H

#include "api/api_impl.h"

#define SNAPSHOT_RECENT 128 /* messages at the end that may yet come as events too: those of LIMIT_TURN_QUEUE turns */

/* Which of the newest messages a snapshot told already. */
struct snapshot_told {
    size_t n;
    uint64_t marks[]; /* hash of the id; the lowest bit: nothing more can happen to it */
};

/* Reads the conversation after the room was joined: call with what room_follow said. */
int snapshot_load(struct chat *chat, const struct chat_scope *scope, struct str id, const struct room_join *join,
                  struct arena *arena, struct conversation *out, struct err *e);
/* Made of a loaded snapshot; free() it. */
struct snapshot_told *snapshot_told_new(const struct conversation *snapshot);
/* Whether the event tells what the snapshot told. told NULL: there was none. */
bool snapshot_has(const struct snapshot_told *told, const struct room_event *event);
/* {"messageId":…,"text":…} as the member "running", when a reply is being written. */
void put_running(struct jw *w, const struct room_join *join);

#endif
