/* Less noise, and a quiet microphone made louder, in PCM (signed 16 bit, mono) as a stream: a gain that follows the
 * background, then libspeexdsp's noise suppression, which is loaded when the first stream wants it. It learns from what
 * it hears, so it is given everything, not only the speech. Deterministic; nothing is allocated by what is pushed, and
 * where the pieces are cut makes no difference. 71 KiB and 2 ms of processor time per second of audio at 24 kHz; of one
 * thread at a time. */
#ifndef SPEECH_CLEAN_H
#define SPEECH_CLEAN_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct clean;

enum clean_strength {
    CLEAN_NONE,
    CLEAN_NEAR, /* a microphone at the mouth: noise 15 dB down, what is quiet up to 20 dB up */
    CLEAN_FAR,  /* one in the room: noise 25 dB down, what is quiet up to 30 dB up */
};

/* Loads the library, if nobody has tried to before. folder: where it is; NULL: the system looks for it. Where there is
 * none, the log says so once. */
bool clean_load(const char *folder);
/* rate: 8000 to 48000 Hz. NULL for CLEAN_NONE and without the library; the others take NULL and change nothing. */
struct clean *clean_new(enum clean_strength strength, unsigned rate);
/* The samples become clean ones, in their place: those of clean_delay samples before. The first are silence. */
void clean_push(struct clean *c, int16_t *samples, size_t n);
/* Samples: 40 ms, at odd rates a little less. */
#define CLEAN_DELAY_MAX 1920
size_t clean_delay(const struct clean *c);
/* Takes out what is still due, clean_delay samples: silence follows. What is known of the background stays. */
void clean_flush(struct clean *c, int16_t *samples);
struct clean *clean_free(struct clean *c); /* takes NULL, returns NULL */

#endif
