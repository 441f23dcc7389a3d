/* The speech turn of dialect 000: what one socket's audio goes through. Slices of a recording are decoded as they come
 * (aimcs_stream.c), utterances found and recognized (chat/voice_input.h), answered and spoken (aimcs_turn.c). All of it
 * belongs to the socket's loop. Private to api/. */
#ifndef API_AIMCS_VOICE_H
#define API_AIMCS_VOICE_H

#include "api/aimcs_impl.h"
#include "chat/voice_input.h"
#include "loop/serial.h"

#define AIMCS_RATE 16000

struct aimcs_stream; /* one recording that is being decoded */

struct aimcs_voice {
    unsigned refs;        /* the socket and each of its tasks hold one */
    struct websocket *ws; /* referenced */
    struct api *api;
    struct voice_input *input; /* NULL once the socket closed */
    bool chunked;              /* its audio comes as audio_chunk: answers are audio_response */

    struct serial *slices; /* what is to be decoded, in order */
    struct aimcs_stream *stream;
    bool headless;  /* what comes without a head belongs to a recording that is over, or broken */
    unsigned holds; /* why the socket is not read */

    struct timer quiet; /* nothing comes */
    bool stopping;      /* after stop_audio: one more slice may follow */
    size_t received;    /* bytes of audio since the last audio_processing */

    struct serial *turns; /* what was said, to be answered in order */
    struct list outcomes; /* of utterances behind one that is still being recognized: struct outcome */
    uint64_t told;        /* how many utterances the client knows the outcome of */
    uint64_t worded;      /* the newest utterance with words */
    bool owed;            /* a recording of chunks is over */
    bool answered;        /* and something in it was understood, or failed */
};

static inline bool aimcs_voice_open(const struct aimcs_voice *v)
{
    return v->input != NULL;
}
struct aimcs_voice *aimcs_voice_ref(struct aimcs_voice *v);
struct aimcs_voice *aimcs_voice_unref(struct aimcs_voice *v); /* returns NULL */
/* For serial_ops, where the owner is a voice. */
void aimcs_voice_ref_owner(void *owner);
void aimcs_voice_unref_owner(void *owner);
const char *aimcs_voice_log_id(void *owner);
enum aimcs_hold { AIMCS_HOLD_SLICES = 1, AIMCS_HOLD_TURNS = 2 };
void aimcs_voice_hold(struct aimcs_voice *v, enum aimcs_hold why, bool hold);

/* ---- aimcs_voice.c: what the client sends ---- */

/* data: a string of base64, not empty. final: the recording ends with it. */
void aimcs_voice_audio(struct websocket *ws, const struct json_value *data, struct str format, bool chunk, bool final);
/* The recording ends: after one more slice of it, which may be on its way, or `now`. */
void aimcs_voice_stop(struct websocket *ws, bool now);
void aimcs_voice_closed(struct websocket *ws);

/* ---- aimcs_stream.c ---- */

/* Hands over a piece of audio. first: it begins a slice. */
void aimcs_stream_slice(struct aimcs_voice *v, struct str bytes, unsigned pcm_rate, bool first);
/* The recording ends behind what was handed over; what was said is committed. answer: the client waits for one. */
void aimcs_stream_end(struct aimcs_voice *v, bool answer);
void aimcs_stream_abort(struct aimcs_voice *v);
void aimcs_audio_error(struct aimcs_voice *v, const struct err *e);

/* ---- aimcs_turn.c ---- */

/* voice_heard_fn of the input; arg is the voice. */
void aimcs_heard(void *arg, const struct voice_heard *heard);
/* The recording is over, and the client waits for an answer, whatever was understood. */
void aimcs_turn_owed(struct aimcs_voice *v);
void aimcs_turn_abort(struct aimcs_voice *v);

#endif
