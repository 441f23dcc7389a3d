/* Long audio in segments, each of which a recognizer takes at once: cut at pauses, and where nobody pauses, at the
 * quietest moment. Nothing is left out. Pure. Private to api/. */
#ifndef API_HEARING_CUT_H
#define API_HEARING_CUT_H

#include "base/buf.h"
#include "speech/vad.h"

struct hearing_cut_config {
    unsigned rate;
    unsigned min_ms, max_ms; /* of a segment: a pause before min_ms is none */
};

struct hearing_cutter {
    struct hearing_cut_config config;
    struct vad vad;
    struct buf pcm;      /* from the segment under way on */
    uint64_t base;       /* samples in front of that */
    size_t looked;       /* samples of pcm that the detector has seen */
    size_t handed;       /* samples of the segment that was handed out last; they go at the next call */
    bool voice;          /* somebody spoke in the segment under way … */
    uint64_t begin, end; /* … from here to there: samples from the very first */
};

struct hearing_segment {
    struct str pcm;            /* valid until the next call */
    uint64_t start_ms, end_ms; /* of the speech in it; of all of it when there seems to be none */
    bool silent;               /* from its first sample to its last */
};

void hearing_cut_init(struct hearing_cutter *c, const struct hearing_cut_config *config);
void hearing_cut_free(struct hearing_cutter *c);
/* More PCM, however it is cut. */
void hearing_cut_add(struct hearing_cutter *c, struct str pcm);
/* The next segment, once it is complete; `last`: no more PCM comes. */
bool hearing_cut_next(struct hearing_cutter *c, bool last, struct hearing_segment *segment);
/* Audio there has been so far. */
uint64_t hearing_cut_ms(const struct hearing_cutter *c);

#endif
