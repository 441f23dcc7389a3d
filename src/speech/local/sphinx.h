/* pocketsphinx, the recognizer. Its calls block: they belong into the worker pool; a recognizer is used by one thread
 * at a time. One recognizer takes 90 MiB and 0.3 s to make, and is used for one utterance after the other. */
#ifndef SPEECH_LOCAL_SPHINX_H
#define SPEECH_LOCAL_SPHINX_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define SPHINX_RATE 16000

struct recognizer;

/* Loads the library and looks whether the model is there. `folder` as in library.h. */
int sphinx_load(const char *folder, const char *model, struct err *e);
/* After sphinx_load. NULL with *e. */
struct recognizer *recognizer_new(const char *model, struct err *e);
struct recognizer *recognizer_free(struct recognizer *r); /* takes NULL, returns NULL */

/* A new utterance; nothing of the one before, finished or not, has an influence on it. */
int recognizer_begin(struct recognizer *r, struct err *e);
/* Takes PCM at SPHINX_RATE; it is not listened to yet. */
int recognizer_push(struct recognizer *r, struct str pcm, struct err *e);
/* Nothing more is pushed. */
int recognizer_end(struct recognizer *r, struct err *e);
/* Listens to some 0.2 s of what was pushed. 1: call again, there is more; 0: it wants more audio, or after
 * recognizer_end: the text is complete. -1 with *e. */
int recognizer_step(struct recognizer *r, struct err *e);

/* What was understood so far; valid until the next call. */
struct str recognizer_text(struct recognizer *r);
/* How sure it is of the text of a complete utterance, 0 to 1; -1 when there is no text. */
double recognizer_confidence(const struct recognizer *r);

#endif
