/* Audio of any length in any format, as text: decoded as it is handed over, cut into segments at pauses, each
 * recognized on its own. Memory is bounded by one segment, whatever the length. Private to api/. */
#ifndef API_HEARING_H
#define API_HEARING_H

#include "base/buf.h"
#include "speech/media.h"

struct hearing_request {
    struct stt *stt;
    struct media *media;
    struct str audio; /* a file, or base64 of one */
    bool base64;
    unsigned pcm_rate; /* headerless PCM at this rate; 0: a file */
    struct str language, prompt;
    bool fine; /* a segment at every pause; otherwise as few as possible */
    /* Text to append to what was told before, as it is understood; parks. NULL: not wanted. */
    int (*tell)(void *arg, struct str text, struct err *e);
    void *arg;
};

struct heard_segment {
    size_t from, n; /* of the text */
    uint64_t start_ms, end_ms;
    double confidence; /* negative: not known */
};

struct heard {
    struct buf text;
    struct buf segments; /* of struct heard_segment */
    uint64_t duration_ms;
    bool bad_audio; /* what failed is the audio itself */
};

void heard_init(struct heard *heard);
void heard_free(struct heard *heard);
size_t heard_count(const struct heard *heard);
const struct heard_segment *heard_segment(const struct heard *heard, size_t i);
struct str heard_text(const struct heard *heard, const struct heard_segment *segment);
/* Over all segments; negative: not known. */
double heard_confidence(const struct heard *heard);

/* In a task. -1 with *e: INVALID_REQUEST (no audio, broken, too long), NOT_CONFIGURED, OVERLOADED, UPSTREAM … */
int hear(const struct hearing_request *rq, struct arena *arena, struct heard *heard, struct err *e);

#endif
