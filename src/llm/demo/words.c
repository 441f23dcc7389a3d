#include "llm/demo/words.h"

#include "base/macros.h"

#include <stdlib.h>

static bool word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

bool word_next(struct str *rest, struct str *word)
{
    size_t begin = 0, end;
    while (begin < rest->n && !word_char(rest->p[begin]))
        begin++;
    if (begin == rest->n)
        return false;
    for (end = begin; end < rest->n; end++) {
        bool inner = rest->p[end] == '\'' && end + 1 < rest->n && word_char(rest->p[end + 1]);
        if (!word_char(rest->p[end]) && !inner)
            break;
    }
    *word = (struct str){rest->p + begin, end - begin};
    *rest = str_from(*rest, end);
    return true;
}

static bool ends(const char *word, size_t n, const char *suffix)
{
    size_t k = strlen(suffix);
    return n >= k + 3 && memcmp(word + n - k, suffix, k) == 0;
}

static size_t strip(const char *word, size_t n)
{
    static const struct {
        const char *suffix;
        size_t cut;
    } rules[] = {{"'s", 2},   {"ically", 4}, {"ations", 5}, {"ation", 5}, {"ments", 5}, {"ment", 4}, {"ingly", 5},
                 {"ings", 4}, {"ing", 3},    {"ies", 2},    {"ied", 2},   {"edly", 4},  {"ed", 2},   {"ers", 3},
                 {"er", 2},   {"ly", 2},     {"sses", 2},   {"es", 2},    {"s", 1}};
    for (size_t i = 0; i < COUNT(rules); i++)
        if (ends(word, n, rules[i].suffix) && !(rules[i].cut == 1 && ends(word, n, "ss")))
            return n - rules[i].cut;
    return n;
}

size_t word_stem(char out[WORD_MAX], struct str word)
{
    size_t n = 0;
    for (; n < word.n && n < WORD_MAX - 1; n++)
        out[n] = word.p[n] >= 'A' && word.p[n] <= 'Z' ? (char)(word.p[n] + 32) : word.p[n];
    n = strip(out, n);
    /* shipping, shipped: one p; deliver(y), deliveri(es): one spelling; notice, notic(ing): no e. */
    if (n > 3 && out[n - 1] == out[n - 2] && !strchr("lsz", out[n - 1]))
        n--;
    if (n > 3 && out[n - 1] == 'y')
        out[n - 1] = 'i';
    if (n > 3 && out[n - 1] == 'e')
        n--;
    out[n] = 0;
    return n;
}

static const char *const stops[] = {
    "a",    "about", "after", "all",  "also",  "am",    "an",   "and",  "any",    "are",    "as",   "at",     "be",
    "been", "but",   "by",    "can",  "could", "did",   "do",   "does", "for",    "from",   "get",  "give",   "had",
    "has",  "have",  "he",    "her",  "here",  "him",   "his",  "how",  "i",      "i'd",    "i'm",  "if",     "in",
    "into", "is",    "it",    "its",  "just",  "know",  "let",  "like", "make",   "may",    "me",   "my",     "need",
    "no",   "not",   "of",    "on",   "one",   "or",    "our",  "out",  "please", "say",    "she",  "should", "so",
    "some", "tell",  "than",  "that", "the",   "their", "them", "then", "there",  "these",  "they", "this",   "those",
    "to",   "too",   "up",    "us",   "want",  "was",   "we",   "were", "what",   "what's", "when", "where",  "which",
    "who",  "whom",  "why",   "will", "with",  "would", "yes",  "you",  "your",   "yours"};

static int compare_stop(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

bool word_is_stop(struct str word)
{
    char lower[WORD_MAX];
    if (word.n >= sizeof lower)
        return false;
    for (size_t i = 0; i < word.n; i++)
        lower[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] + 32) : word.p[i];
    lower[word.n] = 0;
    return bsearch(lower, stops, COUNT(stops), sizeof *stops, compare_stop) != NULL;
}

size_t word_count(struct str text)
{
    struct str word;
    size_t n = 0;
    while (word_next(&text, &word))
        n++;
    return n;
}
