/* Sentences of a text ranked against a question (Okapi BM25 over stemmed words, stop words left out). Pure. */
#ifndef LLM_DEMO_RANK_H
#define LLM_DEMO_RANK_H

#include "base/str.h"

#define RANK_BEST     2
#define RANK_TOPICS   6
#define RANK_WORD_MAX 32

struct ranking {
    struct str best[RANK_BEST]; /* sentences, the best first, only those worth quoting */
    size_t nbest;
    struct str topics[RANK_TOPICS]; /* the text's most frequent words, as first spelled */
    size_t ntopics;
};

/* Slices of `text`. Looks at the first 2,000 sentences and the question's first 24 words of substance. */
void rank_sentences(struct str text, struct str question, struct ranking *ranking);

/* Takes the next sentence, trimmed, off *rest: ends at . ! ? before white space, at a line's end, or after 600 bytes.
 * False at the end. */
bool sentence_next(struct str *rest, struct str *sentence);

#endif
