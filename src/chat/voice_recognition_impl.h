/* One attempt to recognize one utterance: what is added never parks, a pair of tasks carries it to the speech-to-text
 * driver and brings back what was understood. Belongs to one loop. */
#ifndef CHAT_VOICE_RECOGNITION_IMPL_H
#define CHAT_VOICE_RECOGNITION_IMPL_H

#include "speech/speech.h"

struct recognition;

/* What is heard of it, always from a task of its own, never from inside a call. */
struct recognition_ops {
    void (*partial)(void *arg, struct str text);
    /* The last call: the recognition is gone when it returns. The driver's error tells too much for clients. */
    void (*over)(void *arg, const struct stt_event *final, const struct err *error); /* one of them is NULL */
};

/* NULL: the loop has no room for a task. Strings are copied; the driver outlives the tasks. */
struct recognition *recognition_start(struct stt *stt, const struct stt_request *rq, const struct recognition_ops *ops,
                                      void *arg);
void recognition_add(struct recognition *r, struct str pcm);
/* No more audio. */
void recognition_finish(struct recognition *r);
/* Bytes of audio that the driver did not take yet. */
size_t recognition_waiting(const struct recognition *r);
/* Nothing is heard of it after this call. Takes NULL, returns NULL. */
struct recognition *recognition_give_up(struct recognition *r);

#endif
