/* flite, the synthesizer. Its calls block: they belong into the worker pool. Voices may speak on several threads at
 * once, also the same one: what an utterance changes is its own. Only loading is done by one thread at a time. */
#ifndef SPEECH_LOCAL_FLITE_H
#define SPEECH_LOCAL_FLITE_H

#include "base/buf.h"
#include "base/err.h"
#include "speech/local/voices.h"

#define FLITE_RATE 16000

/* Loads a voice, with the library when it is the first. `folder` as in library.h. */
int flite_load(const char *folder, enum local_voice voice, struct err *e);
/* Speaks plain ASCII with a voice that was loaded; appends PCM at FLITE_RATE. */
int flite_speak(enum local_voice voice, const char *text, double speed, struct buf *out, struct err *e);

#endif
