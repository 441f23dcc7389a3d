/* Speech: text to audio and audio to text, each as a stream. Drivers: openai, azure_openai, azure_speech, and local
 * (flite and pocketsphinx, no account). Called from tasks. What drivers exchange is PCM (signed 16 bit, little endian,
 * mono) at a rate that is always said; every other format is speech/media.h's business. */
#ifndef SPEECH_SPEECH_H
#define SPEECH_SPEECH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Formats of audio that leaves, as OpenAI names them. PCM has no header; its rate is the request's. */
enum speech_format { SPEECH_MP3, SPEECH_OPUS, SPEECH_AAC, SPEECH_FLAC, SPEECH_WAV, SPEECH_PCM, SPEECH_FORMATS };
/* "mp3" … and "audio/mpeg" …; speech_format_find: SPEECH_FORMATS when there is none of this name. */
const char *speech_format_name(enum speech_format format);
const char *speech_format_type(enum speech_format format);
enum speech_format speech_format_find(struct str name);

/* ---- text to speech ---- */

struct tts;
struct tts_stream;

struct tts_request {
    struct str text; /* UTF-8, as it is to be read; at most SPEECH_TEXT_MAX characters */
    struct str
        voice;    /* "": the driver's default. OpenAI's names and Azure's (en-US-JennyNeural) work with every driver */
    double speed; /* 0.25 to 4; 0 is 1 */
    enum speech_format format;
    unsigned rate;           /* of SPEECH_PCM and SPEECH_WAV, Hz; 0: 24000 */
    struct str language;     /* "en-US"; "": the voice's */
    struct str instructions; /* how to speak; ignored by drivers that cannot */
};
#define SPEECH_TEXT_MAX 4096

/* Parks until the first audio is on its way or the request was refused. NULL with *e: INVALID_REQUEST, NOT_CONFIGURED,
 * OVERLOADED, UPSTREAM… Strings of rq must stay valid until tts_close. */
struct tts_stream *tts_open(struct tts *tts, const struct tts_request *rq, struct arena *arena, struct err *e);
/* Parks for the next piece of audio: 1 and *audio (valid until the next call); 0 at the end; -1 with *e. Pieces come as
 * they are made: the first leaves before the text is spoken to its end. */
int tts_next(struct tts_stream *s, struct str *audio, struct err *e);
/* Takes NULL and unfinished streams (work for them stops soon), returns NULL. */
struct tts_stream *tts_close(struct tts_stream *s);
const char *tts_name(const struct tts *tts);
struct tts *tts_free(struct tts *tts); /* after all loops ended; takes NULL, returns NULL */

/* ---- speech to text ---- */

struct stt;
struct stt_stream;

struct stt_request {
    unsigned rate;       /* of the PCM that will be written, Hz: 8000 to 48000 */
    struct str language; /* "en-US"; "": the driver's default */
    struct str prompt;   /* words that may come; "" for none */
    bool partial;        /* STT_PARTIAL events are wanted */
};

enum stt_event_type {
    STT_PARTIAL, /* what was understood so far; replaces the partial before */
    STT_FINAL,   /* what was said, once, at the end; empty when nothing was understood */
};
struct stt_event {
    enum stt_event_type type;
    struct str text;   /* valid until the next call */
    bool settled;      /* STT_PARTIAL: what comes later only appends to it */
    double confidence; /* 0 to 1, negative when not known */
    uint64_t audio_ms; /* how much audio it is about */
};

/* One utterance. NULL with *e: NOT_CONFIGURED, OVERLOADED (all recognizers are busy) … */
struct stt_stream *stt_open(struct stt *stt, const struct stt_request *rq, struct arena *arena, struct err *e);
/* Hands over PCM (whole samples); parks while the recognizer is behind. 0, or -1 with *e. */
int stt_write(struct stt_stream *s, struct str pcm, struct err *e);
/* No more audio: STT_FINAL will come. */
int stt_finish(struct stt_stream *s, struct err *e);
/* Parks for the next event: 1; 0 behind STT_FINAL; -1 with *e. May be called by another task than stt_write. */
int stt_next(struct stt_stream *s, struct stt_event *event, struct err *e);
struct stt_stream *stt_close(struct stt_stream *s); /* takes NULL and unfinished ones, returns NULL */
const char *stt_name(const struct stt *stt);
struct stt *stt_free(struct stt *stt); /* after all loops ended; takes NULL, returns NULL */

#endif
