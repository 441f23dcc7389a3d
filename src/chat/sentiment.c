#include "chat/sentiment.h"

const char *sentiment_name(enum sentiment sentiment)
{
    (void)sentiment;
    return "pending";
}

enum sentiment sentiment_find(struct str name)
{
    (void)name;
    return (enum sentiment)0;
}

enum sentiment sentiment_of_answer(struct str answer)
{
    (void)answer;
    return (enum sentiment)0;
}

struct sentiment_verdict sentiment_by_lexicon(const struct str *messages, size_t n)
{
    (void)messages, (void)n;
    return (struct sentiment_verdict){0};
}
