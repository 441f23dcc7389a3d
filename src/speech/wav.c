#include "speech/wav.h"

#include <string.h>

static void put_le(char *out, unsigned value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (char)(value >> 8 * i & 0xff);
}

void wav_head(char out[WAV_HEAD], unsigned rate)
{
    memcpy(out, "RIFF\xff\xff\xff\xffWAVEfmt ", 16);
    put_le(out + 16, 16, 4); /* bytes of the format */
    put_le(out + 20, 1, 2);  /* PCM */
    put_le(out + 22, 1, 2);  /* channels */
    put_le(out + 24, rate, 4);
    put_le(out + 28, rate * 2, 4); /* bytes per second */
    put_le(out + 32, 2, 2);        /* bytes per sample of all channels */
    put_le(out + 34, 16, 2);       /* bits */
    memcpy(out + 36, "data\xff\xff\xff\xff", 8);
}

void wav_set_length(char head[WAV_HEAD], size_t n)
{
    put_le(head + 4, (unsigned)(n + WAV_HEAD - 8), 4);
    put_le(head + 40, (unsigned)n, 4);
}
