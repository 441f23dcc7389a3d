/* Listening: audio in, utterances out. Voice activity says when somebody speaks, end-pointing when they are done, the
 * speech-to-text driver what was said. An input belongs to one loop and one speaker. All calls come from that loop
 * (tasks or not) and never park; events come on it, outside of any task, never from inside a call. While nobody speaks
 * it owns no task, no recognizer, and no more audio than the prefix. */
#ifndef CHAT_VOICE_INPUT_H
#define CHAT_VOICE_INPUT_H

#include "base/err.h"
#include "base/str.h"
#include "speech/clean.h"
#include "speech/speech.h"

struct voice_input;

struct voice_listening {
    unsigned rate;             /* of what is written, Hz: 8000 to 48000. Never changes */
    struct str language;       /* "en-US"; "": the driver's default. Strings are copied */
    struct str prompt;         /* words that may come */
    bool partials;             /* VOICE_HEARD_PARTIAL is wanted; end-pointing looks at them in any case */
    bool detect;               /* voice activity begins and ends utterances; false: only voice_input_commit does */
    double threshold;          /* 0 to 1; 0: 0.5 */
    unsigned prefix_ms;        /* audio from before the voice that belongs to the utterance */
    unsigned silence_ms;       /* end-pointing: silence that ends what sounds complete … */
    unsigned max_silence_ms;   /* … and what does not ("and", "my", a partial that still changes); 0: silence_ms */
    unsigned max_utterance_ms; /* longer ones are ended; without detection, no more is taken; 0: 60000 */
    unsigned stall_timeout_ms; /* recognition that tells nothing for so long behind the end fails; 0: 30000 */
    enum clean_strength clean; /* of what recognition gets; voice activity hears all */
};

enum voice_heard_type {
    VOICE_HEARD_STARTED, /* somebody began to speak */
    VOICE_HEARD_STOPPED, /* and is done; what was said is committed to recognition */
    VOICE_HEARD_PARTIAL, /* text: what was understood so far */
    VOICE_HEARD_FINAL,   /* text: what was said; "" when it was no words (a cough, noise) */
    VOICE_HEARD_FAILED,  /* error: recognition failed, in words that may reach the client */
};

struct voice_heard {
    enum voice_heard_type type;
    uint64_t utterance; /* 1, 2, …: STARTED and STOPPED (not for committed ones without detection), then PARTIAL of it
                         * at any time after STARTED, then exactly one of FINAL and FAILED, unless it is cleared. Of two
                         * utterances, either may be understood first */
    uint64_t at_ms;     /* STARTED, STOPPED: place in all the audio ever written */
    struct str text;
    double confidence;       /* FINAL: 0 to 1, negative when not known */
    uint64_t audio_ms;       /* FINAL, FAILED: length of the utterance */
    const struct err *error; /* FAILED */
};

typedef void voice_heard_fn(void *arg, const struct voice_heard *heard);

/* stt NULL: every utterance ends with FAILED NOT_CONFIGURED. stt outlives the input. */
struct voice_input *voice_input_new(struct stt *stt, const struct voice_listening *how, voice_heard_fn *heard,
                                    void *arg);
/* From the next utterance on. Switching detection on forgets what is pending without it. */
void voice_input_configure(struct voice_input *in, const struct voice_listening *how);
/* Takes PCM (whole samples, copied). -1: OVERLOADED, when recognition is so far behind that no more is kept (a minute),
 * or more would be pending than max_utterance_ms; the audio is then dropped. Speech that breaks off, as nothing is
 * written for 10 s, ends. */
int voice_input_write(struct voice_input *in, struct str pcm, struct err *e);
/* Audio that a commit would take: of the utterance under way, or without detection since the last commit or clear. */
uint64_t voice_input_pending_ms(const struct voice_input *in);
/* Ends the utterance now. Its number, or 0 when less than 100 ms are pending. */
uint64_t voice_input_commit(struct voice_input *in);
/* Forgets what is pending: the utterance under way has no further events. Returns its number, 0: there was none. */
uint64_t voice_input_clear(struct voice_input *in);
/* Whether somebody speaks. */
bool voice_input_speaking(const struct voice_input *in);
/* How long the voice of who speaks was heard by now: without the prefix, and the silence at the end. 0: nobody speaks.
 */
uint64_t voice_input_voiced_ms(const struct voice_input *in);
/* Utterances that ended and whose FINAL or FAILED is still to come. */
size_t voice_input_busy(const struct voice_input *in);
/* No event comes after this call; work under way is given up. Takes NULL, returns NULL. */
struct voice_input *voice_input_free(struct voice_input *in);

#endif
