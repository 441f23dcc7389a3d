/* The head of a WAVE stream. */
#ifndef SPEECH_WAV_H
#define SPEECH_WAV_H

#define WAV_HEAD 44

/* PCM, signed 16 bit, mono, of unknown length: both sizes are the largest there is, as streams say it. */
void wav_head(char out[WAV_HEAD], unsigned rate);

#endif
