/* The table of companies; inside chat/ only. */
#ifndef CHAT_COMPANY_IMPL_H
#define CHAT_COMPANY_IMPL_H

#include "chat/company.h"

#define COMPANY_WORDS 6

struct company {
    const char *name;
    const char *words[COMPANY_WORDS]; /* lower case: its name and what else it goes by */
    const char *persona;
};

/* In the order in which they are looked for. */
extern const struct company companies[];
extern const size_t ncompanies;
extern const char company_general_persona[];

#endif
