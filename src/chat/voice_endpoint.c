#include "chat/voice_endpoint.h"

#include "base/macros.h"

#include <ctype.h>

/* Conjunctions, articles, possessives, prepositions, fillers. Not those that end sentences as often ("turn it on", "I
 * like her"): whoever is done should not wait for the longer silence. */
static const char *const english[] = {
    "a",     "about", "am",     "an",   "and",      "as",      "at",      "because", "between", "but",     "by",
    "erm",   "er",    "every",  "from", "hmm",      "i",       "i'd",     "i'll",    "i'm",     "i've",    "if",
    "in",    "into",  "its",    "like", "my",       "nor",     "of",      "or",      "our",     "than",    "the",
    "their", "to",    "uh",     "uhm",  "um",       "unless",  "until",   "very",    "we're",   "whether", "while",
    "whose", "with",  "you're", "your", "although", "they're", "without", "during",  "his",
};
static const char *const german[] = {
    "aber", "als",   "am",   "an",    "auf",    "aus",  "bei",  "beim",  "bis",   "dass",  "dein",  "deine",   "dem",
    "den",  "der",   "des",  "die",   "das",    "ein",  "eine", "einem", "einen", "einer", "für",   "hm",      "im",
    "in",   "ins",   "mein", "meine", "meinen", "mit",  "nach", "oder",  "ob",    "sehr",  "seine", "sondern", "um",
    "und",  "unser", "vom",  "von",   "weil",   "wenn", "wie",  "zum",   "zur",   "äh",    "ähm",
};
static const char *const french[] = {
    "alors", "au",  "aux", "avec", "car", "ce", "cette", "chez", "dans", "de",   "des", "donc", "du",    "en", "est",
    "et",    "euh", "hum", "je",   "la",  "le", "les",   "leur", "ma",   "mais", "mes", "mon",  "notre", "ou", "par",
    "pour",  "que", "sa",  "sans", "ses", "si", "son",   "sur",  "ta",   "ton",  "un",  "une",  "votre", "à",
};
static const char *const spanish[] = {
    "a",    "al", "aunque", "como",  "con", "cuando", "de", "del",  "el",   "en",  "es",
    "este", "la", "las",    "los",   "mi",  "mis",    "o",  "para", "pero", "por", "porque",
    "que",  "si", "sin",    "sobre", "su",  "sus",    "tu", "un",   "una",  "y",
};

static const struct {
    const char *language;
    const char *const *words;
    size_t n;
} languages[] = {
    {"en", english, COUNT(english)},
    {"de", german, COUNT(german)},
    {"fr", french, COUNT(french)},
    {"es", spanish, COUNT(spanish)},
};

static bool wants_more(struct str word, struct str language)
{
    struct str code = language.n >= 2 ? str_n(language.p, 2) : STR("en");
    for (size_t i = 0; i < COUNT(languages); i++) {
        if (!str_ieq(code, str_c(languages[i].language)))
            continue;
        for (size_t k = 0; k < languages[i].n; k++)
            if (str_ieq(word, str_c(languages[i].words[k])))
                return true;
    }
    return false;
}

bool voice_endpoint_complete(struct str text, struct str language)
{
    static const char dots[] = "\xE2\x80\xA6"; /* an ellipsis in one sign */
    text = str_trim(text);
    if (text.n == 0)
        return true;
    if (str_ends(text, STR("...")) || str_ends(text, str_c(dots)))
        return false;
    char last = text.p[text.n - 1];
    if (memchr(".!?", last, 3))
        return true;
    if (memchr(",;:-", last, 4))
        return false;
    size_t from = text.n;
    while (from > 0 && !isspace((unsigned char)text.p[from - 1]))
        from--;
    return !wants_more(str_from(text, from), language);
}
