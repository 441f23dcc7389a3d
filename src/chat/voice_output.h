/* Speaking: text in as it is made, audio out, sentence by sentence, so that the first audio leaves before the text is
 * complete. Synthesis runs ahead of the reader in a task of its own, a few seconds at most. Made and used by tasks of
 * one loop. */
#ifndef CHAT_VOICE_OUTPUT_H
#define CHAT_VOICE_OUTPUT_H

#include "base/err.h"
#include "base/str.h"
#include "speech/speech.h"

struct voice_output;

struct voice_speaking {
    struct str voice, language, instructions; /* as in struct tts_request; copied */
    double speed;
    enum speech_format format; /* SPEECH_PCM: pieces may be joined at any sample. Others: each sentence is a file of its
                                * own, which MP3 players (and only they) take joined */
    unsigned rate;             /* of SPEECH_PCM and SPEECH_WAV */
    unsigned ahead_ms;         /* how much audio waits at most; 0: 4000 */
};

/* One piece of audio. */
struct voice_piece {
    struct str audio; /* valid until the next call */
    size_t from, to;  /* bytes of the text that was said: the sentence that this piece belongs to */
    bool first;       /* of its sentence */
};

/* Never NULL. tts NULL: voice_output_next gives NOT_CONFIGURED. */
struct voice_output *voice_output_new(struct tts *tts, const struct voice_speaking *how);
/* More text (copied). Never parks. Text that is not to be read aloud (Markdown signs, emoji, links' addresses) is left
 * out of what is spoken. */
void voice_output_say(struct voice_output *out, struct str text);
/* No more text. */
void voice_output_finish(struct voice_output *out);
/* Parks for the next piece: 1; 0 when all is spoken; -1 with *e (whose text may reach clients: never the service's own
 * words) when synthesis failed or the task was cancelled. */
int voice_output_next(struct voice_output *out, struct voice_piece *piece, struct err *e);
/* Stops synthesis at once. From any code of the loop, not while another task parks in voice_output_next. Takes NULL,
 * returns NULL. */
struct voice_output *voice_output_free(struct voice_output *out);

/* The first sentence of the text: how many of its bytes, the white space behind it included; 0 when it is not known yet
 * (more text may come) and `last` is false. Knows abbreviations, numbers, quotes, CJK full stops; cuts at a comma or a
 * space what is longer than `most` bytes. Pure. */
size_t voice_sentence(struct str text, size_t most, bool last);

#endif
