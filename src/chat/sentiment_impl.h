/* The lexicon behind sentiment.h; inside chat/ only (and its tests). */
#ifndef CHAT_SENTIMENT_IMPL_H
#define CHAT_SENTIMENT_IMPL_H

#include "chat/sentiment.h"

enum sentiment_role {
    SENTIMENT_WORD,     /* has a feeling, an urgency, or neither: a phrase that hides the words in it */
    SENTIMENT_DEADLINE, /* makes trouble urgent */
    SENTIMENT_NEGATION, /* turns what follows; its feeling counts where nothing follows that it could turn */
    SENTIMENT_DEMAND,   /* "I need … now" is urgent, "I am home now" is not */
    SENTIMENT_DEGREE,   /* strengthens or weakens what follows: `feeling` is a factor in hundredths */
    SENTIMENT_TURN,     /* "but": what came before counts less */
};

struct sentiment_entry {
    const char *phrase; /* lower case, one blank between words, '#' for a number */
    enum sentiment_role role;
    int feeling, urgency; /* tenths */
};

struct sentiment_table {
    const struct sentiment_entry *entries;
    size_t n;
};

/* No phrase is in two of them. */
extern const struct sentiment_table sentiment_good, sentiment_bad, sentiment_urgent, sentiment_plain;
#define SENTIMENT_TABLES 4
extern const struct sentiment_table *const sentiment_tables[SENTIMENT_TABLES];

#define SENTIMENT_TEXT   4096 /* bytes of one message that are read: of a longer one its begin and its end */
#define SENTIMENT_TOKENS 800  /* words of them */

struct sentiment_token {
    uint16_t at, n; /* in text */
    uint16_t clause, sentence;
    bool number, capitals, question; /* question: its sentence is one */
};

/* A message as words. */
struct sentiment_words {
    char text[SENTIMENT_TEXT + 64];
    struct sentiment_token tokens[SENTIMENT_TOKENS];
    size_t ntext, ntokens;
    unsigned exclamations;
    unsigned small, capitals; /* words of three letters or more by how they are written */
    uint16_t clause, sentence;
};

void sentiment_split(struct str message, struct sentiment_words *words);

#endif
