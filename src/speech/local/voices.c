#include "speech/local/voices.h"

#include "base/macros.h"

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

/* The men among Azure's English voices; everybody else is spoken by slt. */
static const char *const azure_men[] = {
    "Aarav",    "Abeo",    "Adam",   "Alfie",  "Andrew", "Brandon", "Brian",  "Chilemba", "Christopher", "Connor",
    "Darren",   "Davis",   "Derek",  "Duncan", "Dustin", "Elimu",   "Elliot", "Eric",     "Ethan",       "Guy",
    "Jacob",    "James",   "Jason",  "Kai",    "Ken",    "Kunal",   "Lewis",  "Liam",     "Luke",        "Mark",
    "Mitchell", "Neil",    "Noah",   "Oliver", "Ollie",  "Prabhat", "Rehaan", "Roger",    "Ryan",        "Sam",
    "Samuel",   "Steffan", "Thomas", "Tim",    "Tony",   "Wayne",   "William"};

const char *local_voice_name(enum local_voice voice)
{
    return names[voice];
}

/* What stands between the locale and "Neural" in a name like en-US-BrianMultilingualNeural; no bytes in another name.
 */
static struct str azure_name(struct str name)
{
    static const char *const endings[] = {"Neural", "Multilingual", "Turbo"};
    struct str language, region, rest = name;
    if (!str_split(&rest, '-', &language) || !str_split(&rest, '-', &region) || !str_ends(rest, STR("Neural")) ||
        language.n < 2 || language.n > 3 || region.n < 2 || region.n > 4)
        return STR("");
    for (size_t i = 0; i < COUNT(endings); i++)
        if (str_ends(rest, str_c(endings[i])))
            rest.n -= strlen(endings[i]);
    ptrdiff_t colon = str_find_char(rest, ':'); /* en-US-Andrew:DragonHDLatestNeural */
    return colon > 0 ? str_n(rest.p, (size_t)colon) : rest;
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
    struct str own = azure_name(name);
    if (own.n == 0)
        return LOCAL_VOICES;
    if (openai_find(own) != LOCAL_VOICES) /* en-US-AlloyTurboMultilingualNeural */
        return openai_find(own);
    for (size_t i = 0; i < COUNT(azure_men); i++)
        if (str_ieq(own, str_c(azure_men[i])))
            return str_starts(name, STR("en-GB")) || str_starts(name, STR("en-IE")) ? VOICE_AWB : VOICE_RMS;
    return VOICE_SLT;
}

enum local_voice local_voice_find(struct str name)
{
    for (int i = 0; i < LOCAL_VOICES; i++)
        if (str_ieq(name, str_c(names[i])))
            return (enum local_voice)i;
    enum local_voice voice = openai_find(name);
    return voice != LOCAL_VOICES ? voice : azure_find(name);
}
