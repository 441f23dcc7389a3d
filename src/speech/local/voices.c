#include "speech/local/voices.h"

#include "base/macros.h"
#include "speech/voices.h"

static const char *const names[LOCAL_VOICES] = {"slt", "rms", "awb", "kal16"};

/* OpenAI's voices. */
static const struct {
    const char *name;
    enum local_voice voice;
} openai[] = {
    {"alloy", VOICE_SLT}, {"ash", VOICE_RMS},   {"ballad", VOICE_AWB},  {"cedar", VOICE_RMS}, {"coral", VOICE_SLT},
    {"echo", VOICE_RMS},  {"fable", VOICE_AWB}, {"marin", VOICE_SLT},   {"nova", VOICE_SLT},  {"onyx", VOICE_RMS},
    {"sage", VOICE_SLT},  {"verse", VOICE_AWB}, {"shimmer", VOICE_SLT},
};

const char *local_voice_name(enum local_voice voice)
{
    return names[voice];
}

static enum local_voice openai_find(struct str name)
{
    for (size_t i = 0; i < COUNT(openai); i++)
        if (str_ieq(name, str_c(openai[i].name)))
            return openai[i].voice;
    return LOCAL_VOICES;
}

static enum local_voice azure_find(struct str name)
{
    struct str own = voice_azure_name(name);
    if (own.n == 0)
        return LOCAL_VOICES;
    if (openai_find(own) != LOCAL_VOICES) /* en-US-AlloyTurboMultilingualNeural */
        return openai_find(own);
    if (!voice_azure_man(own)) /* everybody else is spoken by slt */
        return VOICE_SLT;
    return str_starts(name, STR("en-GB")) || str_starts(name, STR("en-IE")) ? VOICE_AWB : VOICE_RMS;
}

enum local_voice local_voice_find(struct str name)
{
    for (int i = 0; i < LOCAL_VOICES; i++)
        if (str_ieq(name, str_c(names[i])))
            return (enum local_voice)i;
    enum local_voice voice = openai_find(name);
    return voice != LOCAL_VOICES ? voice : azure_find(name);
}
