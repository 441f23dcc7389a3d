/* Every ceiling in one place; each has an answer for the client that meets it (named beside it). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "base/macros.h"

#define LIMIT_HTTP_HEAD        KIB(16) /* request line and headers: 431 */
#define LIMIT_HTTP_TARGET      KIB(8)  /* request target: 414 */
#define LIMIT_HTTP_HEADERS     100     /* number of header lines: 431 */
#define LIMIT_HTTP_BODY        MIB(10) /* default body: 413 */
#define LIMIT_HTTP_BODY_LARGE  MIB(50) /* bodies that carry audio: 413 */
#define LIMIT_WS_MESSAGE       MIB(4)  /* default WebSocket message: close 1009 */
#define LIMIT_WS_MESSAGE_LARGE MIB(50) /* WebSocket messages that carry audio: close 1009 */
#define LIMIT_WS_QUEUE         MIB(8)  /* unsent bytes of one WebSocket before the slow-consumer policy */
#define LIMIT_JSON_DEPTH       64      /* nesting of any JSON we read: invalid request */
#define LIMIT_MESSAGE_TEXT     MIB(1)  /* text of one chat message, bytes: invalid request */
#define LIMIT_REPLY_TEXT       MIB(4)  /* text of one reply, bytes: the reply ends with finish "length" */
#define LIMIT_ID               128     /* any client-chosen id, bytes: invalid request */
#define LIMIT_TITLE            512     /* conversation title, bytes: invalid request */
#define LIMIT_SSE_EVENT        MIB(4)  /* one event of an upstream's stream: upstream error */
#define LIMIT_UPSTREAM_BODY    MIB(16) /* a whole upstream reply: upstream error */
#define LIMIT_ROOM_EVENTS      4096    /* events a room keeps for replay: older ones answer with a reset */
#define LIMIT_ROOM_BYTES       MIB(1)  /* bytes a room keeps for replay: likewise */
#define LIMIT_SIO_REPLAY       4096    /* events kept for a lost Socket.IO client: then it gets a new session */
#define LIMIT_SIO_REPLAY_BYTES MIB(1)  /* bytes kept for it: likewise */
#define LIMIT_SIO_LOST         65536   /* lost Socket.IO clients of one loop: the first lost gets a new session */
#define LIMIT_SIO_HELD         1024    /* messages of a client that wait while it is recovered: its connection ends */
#define LIMIT_TURN_QUEUE       64      /* turns waiting in one conversation: 429 */
#define LIMIT_USER_TURNS       128     /* turns that a user's sockets have under way on one loop: 429 */
#define LIMIT_AGENT_TEXT       KIB(32) /* each longer text of a user's agent, bytes: invalid request */
#define LIMIT_AGENT_PROMPT     KIB(4)  /* one of its prompts, bytes: likewise */
#define LIMIT_AGENT_PROMPTS    64      /* its prompts: likewise */
#define LIMIT_PICTURE_SIDE     4096    /* width or height of an uploaded picture: invalid request */
#define LIMIT_PICTURE_PIXELS   MIB(16) /* both multiplied: likewise */
#define LIMIT_PICTURE_FRAMES   256     /* pictures of an animation: likewise */
#define LIMIT_PICTURE_PARTS    16384   /* chunks, segments or blocks of one: likewise */

#endif
