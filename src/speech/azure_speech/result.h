/* What recognition answers: the object of the REST reply and of speech.phrase. Pure. */
#ifndef SPEECH_AZURE_SPEECH_RESULT_H
#define SPEECH_AZURE_SPEECH_RESULT_H

#include "base/buf.h"
#include "base/err.h"

struct result {
    struct str text;   /* "" when nothing was understood; valid as long as the JSON and the scratch buffer are */
    double confidence; /* 0 to 1, negative when not said */
    int64_t audio_ms;  /* up to the end of what was understood; negative when not said */
};

/* 0, or -1 with *e (UPSTREAM): no such object, or the service says that it failed. A status of success without speech
 * (NoMatch, silence, babble) is an empty text. */
int result_read(struct result *result, struct str json, struct buf *scratch, struct err *e);
/* The same of speech.hypothesis: what is understood so far. */
int result_read_hypothesis(struct result *result, struct str json, struct buf *scratch, struct err *e);

#endif
