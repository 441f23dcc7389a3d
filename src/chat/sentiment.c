#include "chat/sentiment.h"

#include "base/macros.h"
#include "base/mem.h"
#include "chat/sentiment_impl.h"

#include <math.h>
#include <stdlib.h>

static const char *const names[SENTIMENTS] = {"pending", "positive", "negative", "urgent", "neutral"};

const char *sentiment_name(enum sentiment sentiment)
{
    return (unsigned)sentiment < SENTIMENTS ? names[sentiment] : names[SENTIMENT_UNKNOWN];
}

enum sentiment sentiment_find(struct str name)
{
    for (int i = SENTIMENT_POSITIVE; i < SENTIMENTS; i++)
        if (str_ieq(name, str_c(names[i])))
            return (enum sentiment)i;
    return SENTIMENT_UNKNOWN;
}

enum sentiment sentiment_of_answer(struct str answer)
{
    bool stopped = false;
    while (answer.n && strchr(" \t\r\n\"'`", answer.p[0]) && answer.p[0])
        answer = str_from(answer, 1);
    while (answer.n && answer.p[answer.n - 1] && strchr(" \t\r\n\"'`.", answer.p[answer.n - 1])) {
        bool stop = answer.p[answer.n - 1] == '.';
        if (stop && stopped)
            break;
        stopped = stopped || stop;
        answer.n--;
    }
    return sentiment_find(answer);
}

#define NEGATED_WORDS 4 /* how far a negation reaches */
#define DEGREE_WORDS  2
#define WORD_BYTES    24 /* of words that may have an ending */
#define DEMANDED_NOW  16.0
#define FELT          8.5  /* from where on a feeling counts as one */
#define PRESSING      20.0 /* from where on urgency does */
#define MESSAGES      8    /* the weight of earlier ones is below 1 % */

/* One message while it is read. */
struct reading {
    const struct sentiment_words *words;
    double good, bad, urgency; /* bad is below 0 */
    double praise;             /* the part of `good` that stands by itself at a sentence's begin: sarcasm, if all else
                                * is bad */
    double degree;
    size_t negated_to, degree_to; /* words before these are reached by the last negation, degree */
    uint16_t negated_clause;
    double hint; /* of the last negation, already part of `bad` */
    bool demands;
    uint16_t demand_sentence;
    double deadline; /* what the nearest one adds, when there is trouble */
};

static struct str word_at(const struct sentiment_words *w, size_t i)
{
    return (struct str){w->text + w->tokens[i].at, w->tokens[i].n};
}

/* Whether the rest of a phrase stands at word i of the same sentence; *i then is behind it. */
static bool continues(const struct sentiment_words *w, const char *phrase, size_t *i)
{
    size_t at = *i;
    for (; *phrase; at++) {
        phrase++; /* the blank */
        size_t n = strcspn(phrase, " ");
        if (at == w->ntokens || w->tokens[at].sentence != w->tokens[*i - 1].sentence)
            return false;
        bool number = n == 1 && *phrase == '#' && w->tokens[at].number;
        if (!number && !str_eq(word_at(w, at), (struct str){phrase, n}))
            return false;
        phrase += n;
    }
    *i = at;
    return true;
}

/* The longest entry that begins with `first`, the spelling of word i; *end is behind it. */
static const struct sentiment_entry *find_in(const struct sentiment_table *table, const struct sentiment_words *w,
                                             struct str first, size_t i, size_t *end)
{
    const struct sentiment_entry *found = NULL;
    size_t low = 0, high = table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(table->entries[middle].phrase, first.p, first.n) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < table->n; low++) {
        const char *phrase = table->entries[low].phrase;
        size_t at = i + 1;
        if (strncmp(phrase, first.p, first.n) != 0 || (phrase[first.n] && phrase[first.n] != ' '))
            break; /* blanks sort before all letters */
        if (continues(w, phrase + first.n, &at) && (!found || at > *end)) {
            found = &table->entries[low];
            *end = at;
        }
    }
    return found;
}

static const struct sentiment_entry *find_spelled(const struct sentiment_words *w, struct str first, size_t i,
                                                  size_t *end)
{
    const struct sentiment_entry *found = NULL;
    for (size_t k = 0; k < SENTIMENT_TABLES; k++) {
        size_t other_end = 0;
        const struct sentiment_entry *other = find_in(sentiment_tables[k], w, first, i, &other_end);
        if (other && (!found || other_end > *end)) {
            found = other;
            *end = other_end;
        }
    }
    return found;
}

/* The entry of a word that stands in the lexicon with another ending: "scratches", "shouting", "nicely". */
static const struct sentiment_entry *find_inflected(const struct sentiment_words *w, size_t i, size_t *end)
{
    static const struct {
        const char *ending, *instead;
    } rules[] = {{"ies", "y"}, {"ier", "y"}, {"iest", "y"}, {"es", ""},   {"s", ""},  {"ied", "y"}, {"ed", ""},
                 {"ed", "e"},  {"ing", ""},  {"ing", "e"},  {"ily", "y"}, {"ly", ""}, {"er", ""},   {"est", ""}};
    struct str word = word_at(w, i);
    char other[WORD_BYTES];
    if (word.n < 5 || word.n >= sizeof other)
        return NULL;
    for (size_t k = 0; k < COUNT(rules); k++) {
        struct str ending = str_c(rules[k].ending);
        if (!str_ends(word, ending) || word.n - ending.n < 3)
            continue;
        size_t n = word.n - ending.n;
        memcpy(other, word.p, n);
        n += str_copy(other + n, sizeof other - n, str_c(rules[k].instead));
        bool doubled = n >= 4 && other[n - 1] == other[n - 2];
        const struct sentiment_entry *found = find_spelled(w, str_n(other, n), i, end);
        if (!found && doubled)
            found = find_spelled(w, str_n(other, n - 1), i, end);
        if (found)
            return found;
    }
    return NULL;
}

static const struct sentiment_entry *find_entry(const struct sentiment_words *w, size_t i, size_t *end)
{
    size_t other_end = 0;
    const struct sentiment_entry *found = find_spelled(w, word_at(w, i), i, end), *other = NULL;
    if (w->tokens[i].number)
        other = find_spelled(w, STR("#"), i, &other_end);
    if (other && (!found || other_end > *end)) {
        *end = other_end;
        return other;
    }
    return found ? found : find_inflected(w, i, end);
}

/* Stands alone between marks, at the begin of a sentence or behind another that does. */
static bool stands_alone(const struct sentiment_words *w, size_t i, size_t end)
{
    bool begins = i == 0 || w->tokens[i - 1].clause != w->tokens[i].clause;
    bool ends = end < w->ntokens && w->tokens[end].clause != w->tokens[i].clause;
    return begins && ends;
}

static void weigh(struct reading *r, const struct sentiment_entry *entry, size_t i, size_t end)
{
    const struct sentiment_token *token = &r->words->tokens[i];
    double feeling = entry->feeling, urgency = entry->urgency;
    bool all_capitals = r->words->small == 0;
    bool negated = i < r->negated_to && token->clause == r->negated_clause;
    if (i < r->degree_to) {
        feeling *= r->degree;
        urgency *= r->degree > 1 ? r->degree : 1;
    }
    if (token->capitals && !all_capitals) {
        feeling *= 1.3;
        urgency *= 1.3;
    }
    if (negated && feeling != 0) {
        r->bad -= r->hint;
        r->hint = 0;
    }
    if (negated) {
        feeling *= feeling > 0 ? -0.8 : -0.4;
        urgency = 0;
    }
    if (token->question)
        feeling *= feeling > 0 ? 0.4 : 0.8;
    r->urgency += urgency;
    if (feeling < 0) {
        r->bad += feeling;
        return;
    }
    r->good += feeling;
    if (stands_alone(r->words, i, end))
        r->praise += feeling;
}

static void weigh_negation(struct reading *r, const struct sentiment_entry *entry, size_t i, size_t end)
{
    const struct sentiment_token *token = &r->words->tokens[i];
    r->negated_to = end + NEGATED_WORDS;
    r->negated_clause = token->clause;
    r->hint = token->question ? 0 : entry->feeling;
    r->bad += r->hint;
}

/* A time by which something is due; one that is demanded "now" presses by itself. */
static void weigh_deadline(struct reading *r, const struct sentiment_entry *entry, size_t i, size_t end)
{
    const struct sentiment_words *w = r->words;
    bool last = end == w->ntokens || w->tokens[end].sentence != w->tokens[i].sentence;
    r->deadline = fmax(r->deadline, entry->urgency);
    if (strcmp(entry->phrase, "now") == 0 && last && r->demands && r->demand_sentence == w->tokens[i].sentence &&
        !w->tokens[i].question)
        r->urgency += DEMANDED_NOW;
}

static void read_entry(struct reading *r, const struct sentiment_entry *entry, size_t i, size_t end)
{
    switch (entry->role) {
    case SENTIMENT_WORD:
        weigh(r, entry, i, end);
        break;
    case SENTIMENT_DEADLINE:
        weigh_deadline(r, entry, i, end);
        break;
    case SENTIMENT_NEGATION:
        weigh_negation(r, entry, i, end);
        break;
    case SENTIMENT_DEMAND:
        r->demands = true;
        r->demand_sentence = r->words->tokens[i].sentence;
        break;
    case SENTIMENT_DEGREE:
        r->degree = entry->feeling / 100.0;
        r->degree_to = end + DEGREE_WORDS;
        break;
    case SENTIMENT_TURN:
        r->good *= 0.5;
        r->bad *= 0.5;
        r->praise *= 0.5;
        break;
    }
}

/* What one message says: a sentiment, and how strongly, from 1 on; 0 when it says nothing. */
struct said {
    enum sentiment sentiment;
    double strength, confidence;
};

static struct said felt(enum sentiment sentiment, double beyond)
{
    return (struct said){sentiment, 1 + fmin(0.5, beyond / 40), 0.6 + 0.35 * (1 - exp(-beyond / 15))};
}

static struct said judge(struct reading *r)
{
    double louder = 1 + 0.08 * fmin(3, r->words->exclamations);
    bool shouted = r->words->small == 0 && r->words->capitals >= 2;
    if (r->bad <= -15 && r->praise > 0) {
        r->good -= r->praise;
        r->bad -= 0.5 * r->praise;
    }
    double feeling = (r->good + r->bad) * louder * (shouted ? 1.2 : 1), urgency = r->urgency * louder;
    if (r->bad < -45)
        urgency += (-45 - r->bad) * 0.3;
    if (feeling <= -FELT || urgency >= PRESSING / 2)
        urgency += r->deadline;
    if (feeling <= -FELT && r->urgency >= 9) /* something that matters, and it went wrong */
        urgency += 12;
    if (feeling < 0 || urgency > 0)
        urgency += (shouted ? 4 : 0) + (r->words->exclamations >= 2 ? 4 : 0);
    if (feeling > 0)
        urgency -= 0.7 * feeling;
    if (urgency >= PRESSING)
        return felt(SENTIMENT_URGENT, urgency - PRESSING);
    if (feeling >= FELT)
        return felt(SENTIMENT_POSITIVE, feeling - FELT);
    if (feeling <= -FELT)
        return felt(SENTIMENT_NEGATIVE, -feeling - FELT);
    double hint = fmax(fabs(feeling) / FELT, fmax(urgency, 0) / PRESSING);
    return (struct said){SENTIMENT_NEUTRAL, 0, 0.55 + 0.3 * (1 - hint)};
}

static struct said read_message(struct str message, struct sentiment_words *words)
{
    struct reading r = {.words = words};
    sentiment_split(message, words);
    for (size_t i = 0, end; i < words->ntokens; i = end) {
        const struct sentiment_entry *entry = find_entry(words, i, &end);
        if (entry)
            read_entry(&r, entry, i, end);
        else
            end = i + 1;
    }
    return judge(&r);
}

/* The last message and the echo of those before it. Gladness at the end means that earlier trouble is over; anger after
 * something urgent means that it is not. */
static struct sentiment_verdict combine(const struct said *last, const double before[SENTIMENTS])
{
    double total[SENTIMENTS] = {0};
    enum sentiment best = SENTIMENT_NEUTRAL;
    for (int i = SENTIMENT_POSITIVE; i < SENTIMENTS; i++)
        total[i] = before[i] * (last->sentiment == SENTIMENT_POSITIVE && i != SENTIMENT_POSITIVE ? 0.5 : 1);
    total[last->sentiment] += last->strength;
    total[SENTIMENT_NEUTRAL] = 0.2;
    if (total[SENTIMENT_URGENT] >= 0.25)
        total[SENTIMENT_URGENT] += 0.7 * total[SENTIMENT_NEGATIVE];
    for (int i = SENTIMENT_POSITIVE; i < SENTIMENTS; i++)
        if (total[i] > total[best])
            best = (enum sentiment)i;
    double confidence = best == last->sentiment ? last->confidence : 0.5 + 0.3 * fmin(1, total[best]);
    return (struct sentiment_verdict){best, confidence};
}

struct sentiment_verdict sentiment_by_lexicon(const struct str *messages, size_t n)
{
    double before[SENTIMENTS] = {0};
    struct said last = {SENTIMENT_NEUTRAL, 0, 0.5};
    struct sentiment_words *words = mem_alloc(sizeof *words);
    for (size_t i = n > MESSAGES ? n - MESSAGES : 0; i < n; i++) {
        before[last.sentiment] += last.strength;
        for (int k = 0; k < SENTIMENTS; k++)
            before[k] *= 0.5;
        last = read_message(messages[i], words);
    }
    free(words);
    return combine(&last, before);
}
