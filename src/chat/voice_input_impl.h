/* The two halves of an input: voice_input.c takes audio and says where utterances begin and end, voice_utterance.c has
 * them recognized and tells the events. */
#ifndef CHAT_VOICE_INPUT_IMPL_H
#define CHAT_VOICE_INPUT_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "chat/voice_input.h"
#include "chat/voice_recognition_impl.h"
#include "loop/timer.h"
#include "speech/vad.h"

/* From its first audio until its outcome is told. */
struct utterance {
    struct list link;
    struct voice_input *in;
    uint64_t number;
    bool detected; /* by voice activity; the others wait for a commit */
    bool ended;    /* no more audio belongs to it */
    bool over;     /* the outcome is known: `failure`, or `text` and `confidence` */
    bool dormant;  /* recognition was given up before the commit, which begins it anew with `kept` */
    uint64_t samples;
    struct recognition *recognition; /* under way */
    struct buf kept;                 /* audio that no recognition has, or that may be needed for another one */
    struct buf text;                 /* the newest partial, then the final */
    uint64_t changed_ms;             /* when the partial did, loop time */
    double confidence;
    struct err failure;
    struct timer stalled;
};

struct voice_input {
    struct loop *loop;
    struct stt *stt;
    voice_heard_fn *heard;
    void *arg;
    struct voice_listening how, next; /* strings are owned */
    bool changed;                     /* `next` waits for the end of the utterance under way */

    uint64_t written; /* samples */
    struct vad vad;
    uint64_t vad_from;                         /* samples written before those that vad had */
    char *prefix;                              /* ring of the newest audio while nobody speaks; NULL while not needed */
    size_t prefix_size, prefix_at, prefix_len; /* bytes */
    struct clean *clean;                       /* NULL: what is heard goes on as it came */

    struct utterance *current; /* under way */
    bool in_doubt;             /* it is quiet, but what was said does not sound complete */
    uint64_t voice_from;       /* samples; where its voice began */
    uint64_t quiet_from;       /* samples; since when voice activity sees no speech */
    struct timer starved;
    uint64_t written_ms; /* loop time of the last write */

    struct list utterances; /* whose outcome is still to be told, and the one under way */
    uint64_t last_number;
    struct list due; /* events */
    struct timer deliver;
    bool *gone; /* set when the input is freed while it delivers */
};

/* ---- voice_utterance.c ---- */

/* A new one becomes the current one; without detection nothing is told of it. */
void utterance_begin(struct voice_input *in, bool detected);
void utterance_add(struct utterance *u, struct str pcm);
/* No more audio; it is the current one no longer. */
void utterance_end(struct utterance *u);
/* Recognition is given up until the end. */
void utterance_rest(struct utterance *u);
/* Forgets it and what is still to be told of it. */
void utterance_forget(struct utterance *u);
/* The same for an input that goes away. */
void utterance_discard(struct utterance *u);
/* Bytes of audio that wait for recognition, of all utterances. */
size_t utterances_waiting(const struct voice_input *in);
/* Tells of the utterance, from the loop. `at` (samples): STARTED, STOPPED. */
void input_tell(struct utterance *u, enum voice_heard_type type, uint64_t at);
void input_deliver(struct timer *timer);
static inline uint64_t input_ms(const struct voice_input *in, uint64_t samples)
{
    return samples * 1000 / in->how.rate;
}

#endif
