/* G.711, the telephone's audio: one byte for each sample of 8000 in a second, on a logarithmic scale of 14 bits
 * (mu-law) or 13 bits (A-law). */
#ifndef SPEECH_G711_H
#define SPEECH_G711_H

#include "base/buf.h"

#define G711_RATE 8000

enum g711 { G711_ULAW, G711_ALAW };

/* Appends PCM (signed 16 bit, little endian), two bytes for each byte. -1 past out's ceiling, then nothing was added.
 */
int g711_decode(struct buf *out, struct str bytes, enum g711 law);
/* The other way: whole samples of PCM. */
int g711_encode(struct buf *out, struct str pcm, enum g711 law);

#endif
