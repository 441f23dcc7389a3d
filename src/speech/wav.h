/* The head of a WAVE stream. */
#ifndef SPEECH_WAV_H
#define SPEECH_WAV_H

#include <stddef.h>

#define WAV_HEAD 44

/* PCM, signed 16 bit, mono, of unknown length: both sizes are the largest there is, as streams say it. */
void wav_head(char out[WAV_HEAD], unsigned rate);
/* Says in such a head that n bytes of PCM follow. */
void wav_set_length(char head[WAV_HEAD], size_t n);

#endif
