#include "chat/company.h"

#include "base/macros.h"
#include "chat/company_impl.h"
#include "chat/word.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* In the order in which they count. */
static const char *const stats[COMPANY_STATS] = {"amazon",    "netflix", "pizza hut", "apple",
                                                 "microsoft", "google",  "uber",      "airbnb"};

static bool begins_with(struct str text, const char *name)
{
    size_t i = 0;
    while (i < text.n && name[i] && lower(text.p[i]) == name[i])
        i++;
    return name[i] == 0;
}

unsigned company_stats(struct str text)
{
    unsigned found = 0;
    for (size_t at = 0; at < text.n; at++)
        for (size_t i = 0; i < COMPANY_STATS; i++)
            if (lower(text.p[at]) == stats[i][0] && begins_with(str_from(text, at), stats[i]))
                found |= 1U << i;
    return found;
}

const char *company_stats_name(unsigned bits)
{
    for (size_t i = 0; i < COMPANY_STATS; i++)
        if (bits & 1U << i)
            return stats[i];
    return NULL;
}

/* Whether the text, at a word's begin, says this; a blank stands for any blanks. */
static bool says_here(struct str text, const char *phrase)
{
    size_t at = 0;
    for (; *phrase; phrase++) {
        if (at == text.n || lower(text.p[at]) != *phrase) {
            if (*phrase != ' ' || at == text.n || !is_blank(text.p[at]))
                return false;
        }
        at++;
        while (*phrase == ' ' && at < text.n && is_blank(text.p[at]))
            at++;
    }
    return word_ends(str_from(text, at));
}

/* The first company before `limit` that is named at a word's begin; `limit` when none is. */
static size_t named_here(struct str text, size_t limit)
{
    for (size_t i = 0; i < limit; i++)
        for (size_t k = 0; k < COMPANY_WORDS && companies[i].words[k]; k++)
            if (lower(text.p[0]) == companies[i].words[k][0] && says_here(text, companies[i].words[k]))
                return i;
    return limit;
}

const struct company *company_detect(struct str text)
{
    size_t first = ncompanies;
    struct str word;
    while (first > 0 && word_take(&text, &word)) {
        struct str from = {word.p, (size_t)(text.p - word.p) + text.n};
        first = named_here(from, first);
    }
    return first < ncompanies ? &companies[first] : NULL;
}

const struct company *company_find(struct str name)
{
    name = str_trim(name);
    for (size_t i = 0; i < ncompanies; i++)
        if (str_ieq(name, str_c(companies[i].name)))
            return &companies[i];
    return NULL;
}

const char *company_name(const struct company *company)
{
    return company ? company->name : "";
}

const char *company_persona(const struct company *company)
{
    return company ? company->persona : company_general_persona;
}
