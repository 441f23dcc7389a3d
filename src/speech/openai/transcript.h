/* What a transcription's reply says: one JSON object, or the events of a stream. Pure. */
#ifndef SPEECH_OPENAI_TRANSCRIPT_H
#define SPEECH_OPENAI_TRANSCRIPT_H

#include "base/buf.h"
#include "base/err.h"

struct openai_transcript {
    struct buf text; /* what was understood so far */
    struct buf scratch;
    bool done; /* the text is complete */
};

void openai_transcript_init(struct openai_transcript *t);
void openai_transcript_free(struct openai_transcript *t);
/* A whole reply. 0, or -1 with *e (UPSTREAM) when it has no text. */
int openai_transcript_read_whole(struct openai_transcript *t, struct str json, struct err *e);
/* One event of a stream: 1 when the text changed or is done, 0 when it says nothing about it, -1 with *e (UPSTREAM).
 * `key` is masked in errors. */
int openai_transcript_read_event(struct openai_transcript *t, struct str json, struct str key, struct err *e);

#endif
