/* What a cloud service answers to a request for speech: audio as it arrives, brought to the form that was asked for, or
 * the reason why there is none. An error text never comes out as audio. */
#ifndef SPEECH_REPLY_H
#define SPEECH_REPLY_H

#include "base/buf.h"
#include "client/fetch.h"
#include "speech/resample.h"
#include "speech/speech.h"

struct audio_reply {
    struct fetch *fetch;
    struct resampler *resampler; /* NULL: the rate is right as it is */
    bool samples;                /* PCM comes; PCM or WAV leaves */
    struct str first;            /* piece of the body that nobody got yet */
    struct buf in;               /* PCM: what is no whole sample yet */
    struct buf out;              /* PCM: what the reader has */
    size_t total;                /* bytes that came */
    bool ended;
};

/* Waits for the first audio behind fetch_open; the fetch is the reply's from here on. `made`: the rate of the PCM that
 * comes when rq wants PCM or WAV. 0, or -1 with *e (UPSTREAM) when the status is no success, or a body is JSON, text,
 * or nothing. */
int audio_reply_begin(struct audio_reply *r, struct fetch *fetch, const struct tts_request *rq, unsigned made,
                      struct str key, struct err *e);
/* As tts_next. PCM comes in whole samples. */
int audio_reply_next(struct audio_reply *r, struct str *audio, struct err *e);
/* Also behind a failed begin. */
void audio_reply_end(struct audio_reply *r);

/* Reads why a request was refused (or failed: status 2xx) into *e, keys masked. Returns -1. */
int reply_refused(struct fetch *fetch, struct str key, struct err *e);

#endif
