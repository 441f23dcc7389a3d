/* Voices as OpenAI and Azure name them, and which of the one's resembles which of the other's: a request may name
 * either, whatever driver speaks. Pure. */
#ifndef SPEECH_VOICES_H
#define SPEECH_VOICES_H

#include "base/str.h"

/* What stands between the locale and "Neural" in a name like en-US-BrianMultilingualNeural; no bytes in any other name,
 * nor in one that has more than letters, digits, '-' and ':'. */
struct str voice_azure_name(struct str name);
/* Whether this is a man among Azure's English voices. */
bool voice_azure_man(struct str azure_name);

/* Not every model of OpenAI's has every voice. */
enum openai_voices {
    OPENAI_VOICES_ALL,
    OPENAI_VOICES_TTS_1,   /* of tts-1 and tts-1-hd */
    OPENAI_VOICES_CLASSIC, /* the first six, which all have */
};
/* The voice of this name, or what resembles Azure's of this name, among `set`; NULL when it is no name of theirs. */
const char *voice_openai(struct str name, enum openai_voices set);
/* The name itself when Azure would have it so, or what resembles OpenAI's voice; STR_NONE otherwise. */
struct str voice_azure(struct str name);

#endif
