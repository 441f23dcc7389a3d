/* Realtime voice over parley's own turn engine, in OpenAI's protocol: what the files realtime_*.c of the local door
 * share. Names, items and sessions are GA's; `beta` says that the client speaks the shapes of the preview. */
#ifndef API_REALTIME_IMPL_H
#define API_REALTIME_IMPL_H

#include "api/api_impl.h"
#include "loop/timer.h"
#include "server/websocket.h"
#include "speech/resample.h"

#define REALTIME_AUDIO_MAX   MIB(15) /* audio of one event */
#define REALTIME_MESSAGE_MAX MIB(24) /* a frame of that in base64 and some more: close 1009 */
#define REALTIME_STRING_MAX  KIB(4)  /* a string of a session other than its instructions */
#define REALTIME_RATE        24000   /* of audio/pcm, and of what the engine gets */

enum realtime_format { REALTIME_PCM, REALTIME_PCMU, REALTIME_PCMA, REALTIME_FORMATS };

/* What session.update says. Strings live in `arena`, while one is read also in the message. */
struct realtime_session {
    struct arena *arena;
    bool transcription; /* it listens only */
    bool audio;         /* replies are spoken */
    bool transcribe;    /* what was said is told, as input_audio_transcription events */
    struct str model, instructions, voice;
    struct str stt_model, language, prompt;
    enum realtime_format input, output;
    enum clean_strength clean; /* noise_reduction */
    double speed, temperature;
    int max_tokens; /* 0: "inf" */
    enum voice_detection detection;
    double threshold;
    unsigned prefix_ms, silence_ms, idle_timeout_ms; /* silence_ms 0: not said */
    const char *eagerness;
    bool create_response, interrupt_response;
};

/* One socket; lies in its record. */
struct realtime {
    const struct api *api;
    struct websocket *ws; /* NULL while only its session is made */
    struct voice *voice;  /* NULL once the session ended */
    struct realtime_session session;
    char id[VOICE_ID], conversation[VOICE_ID];
    int64_t expires_at; /* s */
    struct timer expiry;
    struct resampler *in, *out; /* of G.711; NULL while there is nothing in them */
    char out_item[VOICE_ID];    /* whose audio is in `out` */
    char part_due[VOICE_ID];    /* the item whose content part is still to be announced */
    char done_due[VOICE_ID];    /* the item whose response.output_item.done is still to come */
    char due_response[VOICE_ID];
    bool beta;
    bool front_end; /* dialect 001 on /api/realtime, with spellings of its own */
    bool updated;   /* a session.update was taken */
    bool paused;    /* the client reads slowly */
    bool deaf;      /* the last audio was dropped, as the client was told */
};

/* ---- errors: realtime_error.c ---- */

/* What was wrong with a client's event. */
struct realtime_error {
    const char *type, *code; /* type NULL: invalid_request_error */
    char param[128];         /* "": null */
    char text[384];
};
/* Fills *e and returns -1. param NULL: none. */
int realtime_refuse(struct realtime_error *e, const char *code, const char *param, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The engine's error, in its own words. */
int realtime_refuse_err(struct realtime_error *e, const char *code, const char *param, const struct err *why);
/* event_id: the client's as JSON; "" for none. */
void realtime_send_error(struct realtime *rt, const struct realtime_error *e, struct str event_id);
/* {"type":…,"code":…,"message":…,"param":null}: of what failed without being asked for. */
void realtime_put_failure(struct jw *w, const struct err *e);

/* ---- events out ---- */

/* Begins {"type":type,"event_id":…; realtime_send ends and queues it. */
struct jw realtime_event(struct buf *out, const char *type);
void realtime_send(struct realtime *rt, struct jw *w);
/* "event_…", "sess_…": prefix and random letters. */
void realtime_id(char out[VOICE_ID], const char *prefix);
/* voice_ops.event: realtime_events.c. */
void realtime_voice_event(void *arg, const struct voice_event *event);
/* Looks after each message whether the client keeps up. */
void realtime_mind_queue(struct realtime *rt);
/* An error, then the end of the session and the socket. */
void realtime_end(struct realtime *rt, const struct realtime_error *e, uint16_t code, const char *reason);

/* ---- reading members: realtime_read.c ---- */

/* An object of the client's and where it lies, for messages: "session.audio.input". */
struct realtime_reader {
    const cJSON *obj;
    const char *path;
    struct realtime_error *error;
};
/* Each: 0 and *out when the member is there, 0 and *out as it was when it is absent or null; -1 when it is wrong. */
int realtime_read_str(const struct realtime_reader *r, const char *key, size_t max, struct str *out);
int realtime_read_num(const struct realtime_reader *r, const char *key, double least, double most, double *out);
int realtime_read_uint(const struct realtime_reader *r, const char *key, unsigned least, unsigned most, unsigned *out);
int realtime_read_bool(const struct realtime_reader *r, const char *key, bool *out);
/* One of the names; *out is its place. */
int realtime_read_name(const struct realtime_reader *r, const char *key, const char *const *names, size_t n,
                       size_t *out);
/* *out.obj is NULL when it is absent or null; `path` is the buffer in which the child's path is made. */
int realtime_read_obj(const struct realtime_reader *r, const char *key, char path[64], struct realtime_reader *out);
/* Whether the member is there and not null. */
bool realtime_has(const struct realtime_reader *r, const char *key);
/* -1 when the object has a member of another name. */
int realtime_known(const struct realtime_reader *r, const char *const *names, size_t n);
/* -1 for a member that is served by nobody here: it must be absent, null, or an empty array. */
int realtime_unserved(const struct realtime_reader *r, const char *key);
int realtime_missing(const struct realtime_reader *r, const char *key);
int realtime_wrong_type(const struct realtime_reader *r, const char *key, const char *expected);
int realtime_read_tools(const struct realtime_reader *r);
/* A reply's limit: 1 to 4096 or "inf" (0). */
int realtime_read_limit(const struct realtime_reader *r, const char *key, int *out);
/* ["audio"], ["text"] or, in the preview, both. */
int realtime_read_modalities(const struct realtime_reader *r, const char *key, bool beta, bool *audio);

/* ---- the session: realtime_session.c, realtime_session_read.c, realtime_session_write.c ---- */

/* Where the client names none. */
struct str realtime_default_model(const struct api *api);
void realtime_session_init(struct realtime *rt, struct str model, bool transcription);
void realtime_session_free(struct realtime_session *s);
/* Takes over a changed session: its strings are copied, the old ones are freed. */
void realtime_session_adopt(struct realtime *rt, const struct realtime_session *changed);
struct voice_settings realtime_voice_settings(const struct realtime *rt, const struct realtime_session *s);
/* Changes *s by the client's session object. */
int realtime_session_read(struct realtime_session *s, const struct realtime_reader *r);
int realtime_session_read_beta(struct realtime_session *s, const struct realtime_reader *r);
int realtime_read_format(const struct realtime_reader *r, const char *key, enum realtime_format *out);
int realtime_read_format_beta(const struct realtime_reader *r, const char *key, enum realtime_format *out);
int realtime_read_transcription(const struct realtime_reader *r, const char *key, struct realtime_session *s);
int realtime_read_detection(const struct realtime_reader *r, const char *key, struct realtime_session *s);
/* Whether the object has members that only the preview's sessions have. */
bool realtime_is_beta_session(const cJSON *session);
void realtime_session_put(struct jw *w, const struct realtime *rt);
void realtime_put_format(struct jw *w, const char *key, enum realtime_format format);
const char *realtime_format_name(enum realtime_format format, bool beta);
/* "session.created" and "session.updated", in the preview also of transcription sessions. */
void realtime_send_session(struct realtime *rt, bool created);

/* ---- items and responses: realtime_item.c, realtime_response.c ---- */

/* An item of the client's, in the message's arena. */
struct realtime_item {
    struct voice_new_item text;
    bool is_audio;
    struct str audio; /* base64 */
};
int realtime_item_read(struct realtime *rt, const struct realtime_reader *r, struct arena *arena,
                       struct realtime_item *out);
void realtime_put_item(struct jw *w, const struct realtime *rt, const struct voice_item *item);
/* The item's only content part; empty: as it is before its content comes. */
void realtime_put_part(struct jw *w, const struct voice_item *item, bool empty);
int realtime_ask_read(struct realtime *rt, const struct realtime_reader *r, struct arena *arena, struct voice_ask *ask);
void realtime_put_response(struct jw *w, const struct realtime *rt, const struct voice_response *response);

/* ---- events in: realtime_client.c ---- */

void realtime_on_message(struct realtime *rt, enum ws_opcode opcode, struct str data);

/* ---- audio: realtime_audio.c ---- */

/* Hands the engine bytes in the session's input format. */
int realtime_audio_append(struct realtime *rt, struct str bytes, struct realtime_error *e);
/* What the resampler still has, before the audio is committed. */
void realtime_audio_settle(struct realtime *rt);
/* Forgets what the resampler has. */
void realtime_audio_clear(struct realtime *rt);
/* The bytes of base64, in the place of the text, which must be writable. */
int realtime_audio_decode(struct str *text, struct realtime_error *e);
/* As realtime_audio_append, for audio that is an item of its own: PCM at the engine's rate is appended to out. */
int realtime_audio_convert(const struct realtime *rt, struct str bytes, struct buf *out, struct realtime_error *e);
void realtime_audio_delta(struct realtime *rt, const struct voice_event *event);
/* The end of the item's audio. */
void realtime_audio_done(struct realtime *rt, const struct voice_event *event);
/* Begins an event about the only content part of a response's only item. */
struct jw realtime_output_event(struct buf *out, const char *type, const char *response_id, const char *item_id);

#endif
