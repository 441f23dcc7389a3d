#include "chat/intent.h"

unsigned intents_of(struct str text)
{
    (void)text;
    return INTENT_GENERAL;
}

const char *intent_name(enum intent intent)
{
    (void)intent;
    return "general";
}

unsigned intent_find(struct str name)
{
    (void)name;
    return 0;
}

enum intent intent_main(unsigned intents)
{
    (void)intents;
    return INTENT_GENERAL;
}
