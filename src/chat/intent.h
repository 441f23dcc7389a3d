/* What a customer wants, by words (clients' contract, section 1.3). Pure. */
#ifndef CHAT_INTENT_H
#define CHAT_INTENT_H

#include "base/str.h"

/* Bits: a text may have several. */
enum intent {
    INTENT_QUESTION = 1,
    INTENT_SUPPORT = 2,
    INTENT_PURCHASE = 4,
    INTENT_CANCELLATION = 8,
    INTENT_GENERAL = 16, /* none of the others */
};
#define INTENTS 5

/* Never 0. Words are matched whole and in any case. */
unsigned intents_of(struct str text);
/* "question" "support" "purchase" "cancellation" "general" of one bit. */
const char *intent_name(enum intent intent);
/* The bit of a name, 0 when it is none. */
unsigned intent_find(struct str name);
/* The one that says most about what is to be done: cancellation, purchase, support, question, general. */
enum intent intent_main(unsigned intents);

#endif
