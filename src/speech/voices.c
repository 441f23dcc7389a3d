#include "speech/voices.h"

#include "base/macros.h"

#define AZURE_NAME_MAX 96

/* `classic` and `tts_1` say which voice of these sets is nearest. */
static const struct {
    const char *name, *tts_1, *classic, *azure;
} openai[] = {{"alloy", "alloy", "alloy", "en-US-JennyNeural"},     {"ash", "ash", "onyx", "en-US-DavisNeural"},
              {"ballad", "fable", "fable", "en-GB-RyanNeural"},     {"cedar", "onyx", "onyx", "en-US-AndrewNeural"},
              {"coral", "coral", "nova", "en-US-AriaNeural"},       {"echo", "echo", "echo", "en-US-GuyNeural"},
              {"fable", "fable", "fable", "en-GB-RyanNeural"},      {"marin", "nova", "nova", "en-US-AvaNeural"},
              {"nova", "nova", "nova", "en-US-AriaNeural"},         {"onyx", "onyx", "onyx", "en-US-ChristopherNeural"},
              {"sage", "sage", "shimmer", "en-US-MichelleNeural"},  {"verse", "fable", "fable", "en-US-BrianNeural"},
              {"shimmer", "shimmer", "shimmer", "en-US-EmmaNeural"}};

/* The men among Azure's English voices. */
static const char *const azure_men[] = {
    "Aarav",    "Abeo",    "Adam",   "Alfie",  "Andrew", "Brandon", "Brian",  "Chilemba", "Christopher", "Connor",
    "Darren",   "Davis",   "Derek",  "Duncan", "Dustin", "Elimu",   "Elliot", "Eric",     "Ethan",       "Guy",
    "Jacob",    "James",   "Jason",  "Kai",    "Ken",    "Kunal",   "Lewis",  "Liam",     "Luke",        "Mark",
    "Mitchell", "Neil",    "Noah",   "Oliver", "Ollie",  "Prabhat", "Rehaan", "Roger",    "Ryan",        "Sam",
    "Samuel",   "Steffan", "Thomas", "Tim",    "Tony",   "Wayne",   "William"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_locale_part(struct str part, size_t longest)
{
    for (size_t i = 0; i < part.n; i++)
        if (!is_letter(part.p[i]))
            return false;
    return part.n >= 2 && part.n <= longest;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-' && s.p[i] != ':')
            return false;
    return s.n <= AZURE_NAME_MAX;
}

struct str voice_azure_name(struct str name)
{
    static const char *const endings[] = {"Neural", "Multilingual", "Turbo"};
    struct str language, region, rest = name;
    if (!is_plain(name) || !str_split(&rest, '-', &language) || !str_split(&rest, '-', &region) ||
        !str_ends(rest, STR("Neural")) || !is_locale_part(language, 3) || !is_locale_part(region, 4))
        return STR("");
    for (size_t i = 0; i < COUNT(endings); i++)
        if (str_ends(rest, str_c(endings[i])))
            rest.n -= strlen(endings[i]);
    ptrdiff_t colon = str_find_char(rest, ':'); /* en-US-Andrew:DragonHDLatestNeural */
    return colon > 0 ? str_n(rest.p, (size_t)colon) : rest;
}

bool voice_azure_man(struct str azure_name)
{
    for (size_t i = 0; i < COUNT(azure_men); i++)
        if (str_ieq(azure_name, str_c(azure_men[i])))
            return true;
    return false;
}

/* Its place in the table, COUNT(openai) when it has none. */
static size_t find(struct str name)
{
    size_t i = 0;
    while (i < COUNT(openai) && !str_ieq(name, str_c(openai[i].name)))
        i++;
    return i;
}

const char *voice_openai(struct str name, enum openai_voices set)
{
    size_t i = find(name);
    struct str own = i == COUNT(openai) ? voice_azure_name(name) : STR("");
    if (own.n > 0)
        i = find(own); /* en-US-AlloyTurboMultilingualNeural */
    if (own.n > 0 && i == COUNT(openai))
        return voice_azure_man(own) ? "onyx" : "nova";
    if (i == COUNT(openai))
        return NULL;
    if (set == OPENAI_VOICES_ALL)
        return openai[i].name;
    return set == OPENAI_VOICES_TTS_1 ? openai[i].tts_1 : openai[i].classic;
}

struct str voice_azure(struct str name)
{
    size_t i = find(name);
    if (i < COUNT(openai))
        return str_c(openai[i].azure);
    return voice_azure_name(name).n > 0 ? name : STR_NONE;
}
