/* Customer care (003) on Socket.IO, in the chat dialect's namespace. What concerns a conversation goes to the sockets
 * that are in it, wherever they are: a turn holds no socket, and is told to who is there when it ends. Private to api/.
 */
#ifndef API_CARE_LIVE_IMPL_H
#define API_CARE_LIVE_IMPL_H

#include "api/care_impl.h"
#include "api/live_impl.h"
#include "base/rand.h"

#define CARE_LIVE_CONVERSATIONS 16 /* that one socket is told of: the latest */

/* What a socket has to do with customer care. */
struct care_member {
    char user_id[OBJECT_ID_LEN + 1];
    char conversations[CARE_LIVE_CONVERSATIONS][OBJECT_ID_LEN + 1]; /* "": none */
    size_t next;                                                    /* the oldest of them */
};

#define CARE_ROOM_MAX 48
/* The names of rooms: of a user's sockets, of those in a conversation, of one socket alone. */
struct care_room {
    char name[CARE_ROOM_MAX];
};
struct care_room care_room_of_user(struct str user_id);
struct care_room care_room_of_conversation(struct str id);
struct care_room care_room_of_socket(const struct sio_socket *s);

/* ---- care_live_member.c: who is there ---- */

/* The user that the socket acts for: the one whose token it showed; without a token, where customer care is open, the
 * user_id it claims, or claimed before (empty). UNAUTHORIZED, NOT_FOUND "User not found", STORE_UNAVAILABLE. May wait.
 */
int care_live_user(struct sio_socket *s, struct str user_id, struct arena *arena, struct user *user, struct err *e);
/* The user's conversation, without messages: CONVERSATION_NOT_FOUND. May wait. */
int care_live_conversation(struct sio_socket *s, struct str user_id, struct str id, struct arena *arena,
                           struct conversation *out, struct err *e);
/* From now on the socket is told of this user's conversation. */
void care_live_enter(struct sio_socket *s, struct str user_id, struct str conversation_id);
/* join_conversation: 1 when it is one of the socket's user, 0 when it is none of customer care's for this socket. */
int care_live_join(struct sio_socket *s, struct str id, struct str user_id, struct arena *arena, struct err *e);
void care_live_leave(struct sio_socket *s, struct str id);
/* After a move, on which care_live_revoke may have missed it. May wait. */
void care_live_arrive(struct sio_socket *s);
void care_live_closed(struct sio_socket *s);

/* ---- care_live.c: what clients send ---- */

void care_live_start(struct sio_message *m);
void care_live_message(struct sio_message *m);

/* ---- care_live_turn.c: turns, one after the other in each conversation ---- */

/* A message that waits for its turn, in an arena of its own, with which it goes. */
struct care_live_turn {
    struct list link; /* care_line.waiting */
    struct arena *arena;
    struct care_say say;
    struct agent agent;      /* say.agent, when it is set */
    const char *log_id;      /* log_request_id meanwhile; may be NULL */
    struct care_room sender; /* who hears of a failure */
};
/* Takes the turn over. -1 TOO_MANY_TURNS, OVERLOADED: then it is still the caller's. */
int care_live_queue(struct live_loop *at, struct care_live_turn *turn, struct err *e);

/* ---- care_live_json.c: arguments of events, in the buffer ---- */

void put_conversation_started(struct buf *out, const struct care_started *started);
void put_ai_response(struct buf *out, const struct care_said *said);
/* message: what could not be done. */
void put_care_error(struct buf *out, struct str message, const struct err *e);
void put_priority(struct buf *out, const struct care_view *view);

#endif
