/* The local voices, and which of them stands for a voice of OpenAI or Azure. */
#ifndef SPEECH_LOCAL_VOICES_H
#define SPEECH_LOCAL_VOICES_H

#include "base/str.h"

enum local_voice {
    VOICE_SLT,   /* a woman, US English */
    VOICE_RMS,   /* a man, US English */
    VOICE_AWB,   /* a man, Scottish English */
    VOICE_KAL16, /* a man, US English; put together from diphones: sounds like a machine, needs a tenth of the time */
    LOCAL_VOICES
};

const char *local_voice_name(enum local_voice voice);
/* By a name of its own ("slt"), OpenAI's ("alloy") or Azure's ("en-US-GuyNeural"); LOCAL_VOICES when it is none. */
enum local_voice local_voice_find(struct str name);

#endif
