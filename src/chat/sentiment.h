/* How a customer feels: one of four words. By a model's answer, or by an embedded lexicon where there is no model or it
 * fails. Pure. */
#ifndef CHAT_SENTIMENT_H
#define CHAT_SENTIMENT_H

#include "base/str.h"

enum sentiment {
    SENTIMENT_UNKNOWN, /* nobody looked yet */
    SENTIMENT_POSITIVE,
    SENTIMENT_NEGATIVE,
    SENTIMENT_URGENT,
    SENTIMENT_NEUTRAL,
    SENTIMENTS
};

/* "positive" "negative" "urgent" "neutral"; "pending" for UNKNOWN. */
const char *sentiment_name(enum sentiment sentiment);
/* The sentiment of this name, in any case; SENTIMENT_UNKNOWN for any other. */
enum sentiment sentiment_find(struct str name);
/* A model's answer to the question: one of the four words and nothing else but blanks, quotes and a full stop. Anything
 * else is SENTIMENT_UNKNOWN: then the lexicon decides. */
enum sentiment sentiment_of_answer(struct str answer);

struct sentiment_verdict {
    enum sentiment sentiment; /* never UNKNOWN */
    double confidence;        /* 0 to 1 */
};
/* How the customer feels after the last of these messages (oldest first): earlier ones count less and less. English;
 * knows negation, strengthening, capitals, exclamation marks, and what is urgent. n 0: neutral. Bounded time in the
 * length of the text. */
struct sentiment_verdict sentiment_by_lexicon(const struct str *messages, size_t n);

#endif
