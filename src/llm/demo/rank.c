#include "llm/demo/rank.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "llm/demo/words.h"

#include <math.h>
#include <stdlib.h>

#define SENTENCES    2000
#define TERMS        24
#define SENTENCE_MAX 600
#define VOCABULARY   1000

/* BM25's usual constants. */
#define K1 1.2
#define B  0.75

struct term {
    char stem[WORD_MAX];
    size_t sentences; /* that have it */
};

struct sentence {
    struct str text;
    size_t words;
    double score;
    unsigned char count[TERMS];
    size_t hits; /* different terms in it */
};

struct index {
    struct sentence *sentences;
    size_t nsentences, words;
    struct term terms[TERMS];
    size_t nterms;
};

bool sentence_next(struct str *rest, struct str *sentence)
{
    for (;;) {
        *rest = str_from(*rest, (size_t)(str_trim(*rest).p - rest->p));
        if (rest->n == 0 || str_trim(*rest).n == 0)
            return false;
        size_t n = 0;
        for (; n < rest->n && n < SENTENCE_MAX; n++) {
            char c = rest->p[n];
            bool stop = (c == '.' || c == '!' || c == '?') && (n + 1 == rest->n || strchr(" \t\r\n", rest->p[n + 1]));
            if (stop || c == '\n')
                break;
        }
        if (n == SENTENCE_MAX)
            n = utf8_whole(rest->p, n);
        else if (n < rest->n)
            n++;
        *sentence = str_trim((struct str){rest->p, n});
        *rest = str_from(*rest, n);
        if (sentence->n > 0)
            return true;
    }
}

static void find_terms(struct index *x, struct str question)
{
    struct str word;
    while (x->nterms < TERMS && word_next(&question, &word)) {
        char stem[WORD_MAX];
        if (word_is_stop(word) || word_stem(stem, word) == 0)
            continue;
        size_t i = 0;
        while (i < x->nterms && strcmp(x->terms[i].stem, stem) != 0)
            i++;
        if (i == x->nterms)
            memcpy(x->terms[x->nterms++].stem, stem, sizeof stem);
    }
}

static void count_terms(struct index *x, struct sentence *s)
{
    struct str rest = s->text, word;
    while (word_next(&rest, &word)) {
        char stem[WORD_MAX];
        s->words++;
        word_stem(stem, word);
        for (size_t i = 0; i < x->nterms; i++)
            if (strcmp(x->terms[i].stem, stem) == 0 && s->count[i] < 255 && s->count[i]++ == 0) {
                s->hits++;
                x->terms[i].sentences++;
            }
    }
    x->words += s->words;
}

static void score(struct index *x)
{
    double n = (double)x->nsentences, average = (double)x->words / n;
    for (struct sentence *s = x->sentences; s < x->sentences + x->nsentences; s++)
        for (size_t i = 0; i < x->nterms; i++) {
            double df = (double)x->terms[i].sentences, tf = s->count[i];
            double idf = log(1 + (n - df + 0.5) / (df + 0.5));
            s->score += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * (double)s->words / average));
        }
}

/* The best, and the second when it is nearly as good or knows as many of the question's words. */
static void choose(const struct index *x, struct ranking *ranking)
{
    const struct sentence *best = NULL, *second = NULL;
    for (const struct sentence *s = x->sentences; s < x->sentences + x->nsentences; s++) {
        if (s->score <= 0)
            continue;
        if (!best || s->score > best->score) {
            second = best;
            best = s;
        } else if (!second || s->score > second->score) {
            second = s;
        }
    }
    if (best)
        ranking->best[ranking->nbest++] = best->text;
    if (second && (second->score > 0.6 * best->score || second->hits >= best->hits))
        ranking->best[ranking->nbest++] = second->text;
}

struct topic {
    struct str word;
    char stem[WORD_MAX];
    size_t count, at;
};

static int compare_topics(const void *a, const void *b)
{
    const struct topic *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void find_topics(struct str text, struct ranking *ranking)
{
    struct topic *topics = mem_array(VOCABULARY, sizeof *topics);
    struct map known = {0};
    struct str word;
    size_t n = 0;
    while (n < VOCABULARY && word_next(&text, &word)) {
        struct topic *topic = &topics[n];
        if (word.n < 4 || word_is_stop(word) || (word.p[0] >= '0' && word.p[0] <= '9'))
            continue;
        size_t length = word_stem(topic->stem, word);
        struct topic *same = map_get(&known, str_n(topic->stem, length));
        if (same) {
            same->count++;
            continue;
        }
        topic->word = word;
        topic->count = 1;
        topic->at = n++;
        map_put(&known, str_n(topic->stem, length), topic);
    }
    map_free(&known);
    qsort(topics, n, sizeof *topics, compare_topics);
    for (size_t i = 0; i < n && i < RANK_TOPICS; i++)
        ranking->topics[ranking->ntopics++] = topics[i].word;
    free(topics);
}

void rank_sentences(struct str text, struct str question, struct ranking *ranking)
{
    struct index *x = mem_zalloc(sizeof *x);
    struct str rest = text, sentence;
    *ranking = (struct ranking){0};
    x->sentences = mem_array(SENTENCES, sizeof *x->sentences);
    find_terms(x, question);
    while (x->nsentences < SENTENCES && sentence_next(&rest, &sentence)) {
        struct sentence *s = &x->sentences[x->nsentences++];
        *s = (struct sentence){.text = sentence};
        count_terms(x, s);
    }
    if (x->nsentences && x->words)
        score(x);
    choose(x, ranking);
    find_topics(text, ranking);
    free(x->sentences);
    free(x);
}
