/* What was understood of an utterance, out of what the service says in its turns. Pure. */
#ifndef SPEECH_AZURE_SPEECH_TRANSCRIPT_H
#define SPEECH_AZURE_SPEECH_TRANSCRIPT_H

#include "speech/azure_speech/usp.h"

struct transcript {
    struct buf phrases; /* what is final, joined; the text of STT_FINAL */
    struct buf text;    /* the same and the newest hypothesis: the text of STT_PARTIAL */
    struct buf scratch;
    double confidences, weight; /* of the phrases that have one, weighed by their length */
    uint64_t offset_ms;         /* where the turn begins in the utterance; the owner sets it */
    int64_t audio_ms;           /* up to where the utterance was understood; negative: not said */
};

enum transcript_news {
    TRANSCRIPT_NOTHING,
    TRANSCRIPT_TEXT, /* text is another */
    TRANSCRIPT_END,  /* the turn is over */
};

void transcript_init(struct transcript *t);
void transcript_free(struct transcript *t);
/* Takes in a message of the turn: news, or -1 with *e (UPSTREAM, with the status that fits what the service says). */
int transcript_take(struct transcript *t, const struct usp_message *m, struct err *e);
/* Of all phrases; negative when not known. */
double transcript_confidence(const struct transcript *t);

#endif
