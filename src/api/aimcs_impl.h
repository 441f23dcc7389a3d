/* Dialect 000: what its HTTP and its socket side share. Private to api/. */
#ifndef API_AIMCS_IMPL_H
#define API_AIMCS_IMPL_H

#include "api/api_impl.h"
#include "api/socket.h"
#include "server/websocket.h"

struct aimcs_answer {
    struct str text;
    struct str error;           /* why the model failed, empty when it did not */
    struct str conversation_id; /* empty when nothing was stored */
    struct llm_usage usage;
    bool ai_used;
};

/* One message and its answer, in a task: from the model and stored, or an echo when there is none. The conversation is
 * made when conversation_id is unknown or empty. */
int aimcs_ask(struct api *api, struct str conversation_id, struct str message, const void *origin, struct arena *arena,
              struct aimcs_answer *answer, struct err *e);

/* The member "id": the time in milliseconds, as this dialect's clients know it. */
void aimcs_put_id(struct jw *w);

/* The member "context": the client's own, {} when it sent none. */
void aimcs_put_context(struct jw *w, const struct json_value *context);

/* ---- speech: aimcs_speech.c ---- */

#define AIMCS_NOT_HEARD     "Sorry, I couldn't hear any words. Please try again."
#define AIMCS_NOT_PROCESSED "Sorry, I couldn't process that audio. Please try again."
#define AIMCS_NO_AUDIO      "AI not configured for audio processing"

/* Whether the server speaks or listens. */
bool aimcs_has_speech(const struct api *api);
/* The text as MP3, appended to mp3: its first SPEECH_TEXT_MAX characters, AIMCS_SPOKEN_MAX bytes at most. In a task.
 * deadline begins and ends here; whoever lets it pass earlier stops the synthesis. */
int aimcs_speak(struct api *api, struct str text, struct arena *arena, struct task_deadline *deadline, struct buf *mp3,
                struct err *e);
#define AIMCS_SPOKEN_MAX MIB(4)
/* The members audioData and audioFormat. */
void aimcs_put_audio(struct jw *w, struct str mp3, const char *format);
/* What is said in a whole recording: audio is a string in the request, format its "audioFormat". *text is "" when
 * there are no words. Errors have words that may reach the client. */
int aimcs_hear(struct api *api, const struct json_value *audio, struct str format, struct arena *arena,
               struct str *text, struct err *e);

/* POST /api/audio. */
void aimcs_post_audio(struct http_request *rq);

/* ---- the socket: aimcs_socket.c ---- */

struct aimcs_voice;

struct aimcs_socket {
    struct socket_state base;
    struct aimcs_voice *voice; /* NULL before the first audio */
    struct list speaking;      /* struct aimcs_speaking */
};

/* A frame of the server: members go between the two. */
struct jw aimcs_frame(struct buf *out, const char *type);
void aimcs_send_frame(struct websocket *ws, struct jw *w);
/* All messages of one socket belong to one conversation, so the model knows what was said before. given: the one that
 * the client names, or "". */
struct str aimcs_conversation(struct websocket *ws, struct str given, struct arena *arena);
/* message, aiUsed, originalMessage and what else the answer has. */
void aimcs_put_answer(struct jw *w, struct str message, const struct aimcs_answer *answer);

/* A synthesis under way in one of the socket's tasks. */
struct aimcs_speaking {
    struct list link;
    struct task_deadline deadline;
    bool turn; /* it belongs to a speech turn, so new speech ends it */
};
/* As aimcs_speak; -1 also when the socket closed meanwhile. */
int aimcs_socket_speak(struct websocket *ws, bool turn, struct str text, struct arena *arena, struct buf *mp3,
                       struct err *e);
/* Stops what is being synthesised: of speech turns, or all. */
void aimcs_socket_hush(struct websocket *ws, bool all);

extern const struct websocket_ops aimcs_socket; /* /ws/audio and / */

#endif
