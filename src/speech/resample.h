/* Another sample rate for PCM (signed 16 bit, mono), as a stream: windowed-sinc interpolation. What both rates can hold
 * is kept up to 85 % of the lower one's half; what the lower rate cannot hold comes out below -70 dB. Without delay:
 * the first sample out belongs to the first sample in. */
#ifndef SPEECH_RESAMPLE_H
#define SPEECH_RESAMPLE_H

#include "base/buf.h"

struct resampler;

/* Any two rates from 1000 to 192000 Hz that are not more than 16 times apart. Never NULL. */
struct resampler *resampler_new(unsigned from, unsigned to);
/* Takes whole samples in native byte order and appends those that can be told by now to out. -1 past out's ceiling. */
int resampler_push(struct resampler *r, struct str pcm, struct buf *out);
/* Appends what is still due; from then on, it begins anew. n samples in have become ceil(n * to / from) out. */
int resampler_finish(struct resampler *r, struct buf *out);
struct resampler *resampler_free(struct resampler *r); /* takes NULL, returns NULL */

#endif
