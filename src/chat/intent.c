#include "chat/intent.h"

#include "base/macros.h"
#include "chat/word.h"

/* Whole words, as the contract lists them: "ordered" and "refunds" are none of them. */
static const struct {
    const char *word;
    enum intent intent;
} words[] = {{"how", INTENT_QUESTION},       {"what", INTENT_QUESTION},       {"where", INTENT_QUESTION},
             {"when", INTENT_QUESTION},      {"why", INTENT_QUESTION},        {"who", INTENT_QUESTION},
             {"help", INTENT_SUPPORT},       {"assist", INTENT_SUPPORT},      {"support", INTENT_SUPPORT},
             {"buy", INTENT_PURCHASE},       {"purchase", INTENT_PURCHASE},   {"order", INTENT_PURCHASE},
             {"book", INTENT_PURCHASE},      {"cancel", INTENT_CANCELLATION}, {"refund", INTENT_CANCELLATION},
             {"return", INTENT_CANCELLATION}};

#define LONGEST 8 /* "purchase" */

unsigned intents_of(struct str text)
{
    unsigned found = 0;
    struct str word;
    while (word_take(&text, &word)) {
        if (word.n > LONGEST)
            continue;
        for (size_t i = 0; i < COUNT(words); i++)
            if (str_ieq(word, str_c(words[i].word)))
                found |= words[i].intent;
    }
    return found ? found : INTENT_GENERAL;
}

static const struct {
    enum intent intent;
    const char *name;
} names[INTENTS] = {{INTENT_QUESTION, "question"},
                    {INTENT_SUPPORT, "support"},
                    {INTENT_PURCHASE, "purchase"},
                    {INTENT_CANCELLATION, "cancellation"},
                    {INTENT_GENERAL, "general"}};

const char *intent_name(enum intent intent)
{
    for (size_t i = 0; i < INTENTS; i++)
        if (names[i].intent == intent)
            return names[i].name;
    return "general";
}

unsigned intent_find(struct str name)
{
    for (size_t i = 0; i < INTENTS; i++)
        if (str_eqc(name, names[i].name))
            return names[i].intent;
    return 0;
}

enum intent intent_main(unsigned intents)
{
    static const enum intent order[] = {INTENT_CANCELLATION, INTENT_PURCHASE, INTENT_SUPPORT, INTENT_QUESTION};
    for (size_t i = 0; i < COUNT(order); i++)
        if (intents & order[i])
            return order[i];
    return INTENT_GENERAL;
}
