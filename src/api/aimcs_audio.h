/* Audio as dialect 000 carries it: base64 in members of JSON objects, slices of streams. Pure. Private to api/. */
#ifndef API_AIMCS_AUDIO_H
#define API_AIMCS_AUDIO_H

#include "wire/json.h"

/* Reads a base64 member piece by piece, so that a large recording is never there twice. White space and a data URL's
 * head are skipped, escapes understood. */
struct audio_text {
    struct str rest;
    bool escaped;
    struct buf text;  /* what is no whole group yet */
    struct buf bytes; /* the piece that was handed out */
};
#define AUDIO_PIECE KIB(48) /* longest piece */

/* value: a string inside text that stays valid. */
void audio_text_init(struct audio_text *t, const struct json_value *value);
/* The next bytes: 1 and *bytes (valid until the next call), 0 at the end, -1 when the text is no base64. */
int audio_text_next(struct audio_text *t, struct str *bytes);
void audio_text_free(struct audio_text *t);

/* Whether a slice is the beginning of a recording: it has a container's head. */
bool audio_begins(struct str slice);
/* Whether it could be: MPEG audio and AAC streams have no head, their frames begin alike. */
bool audio_may_begin(struct str slice);
/* The rate of headerless PCM by the name of its format ("audio/pcm;rate=24000", "pcm16"), 0: it is none. */
unsigned audio_pcm_rate(struct str format);

#endif
