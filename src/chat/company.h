/* Companies that customers speak of: which one a conversation is about, and how its support presents itself (clients'
 * contract, section 1.3). Pure. */
#ifndef CHAT_COMPANY_H
#define CHAT_COMPANY_H

#include "base/arena.h"
#include "base/str.h"

/* For statistics: companies named anywhere in a text, as bits; company_stats_name of the lowest bit is the one that
 * counts. Lower-cased substrings. */
#define COMPANY_STATS 8
unsigned company_stats(struct str text);
const char *company_stats_name(unsigned bits); /* NULL for 0 */

/* For the persona: the first company, in the table's order, one of whose words is in the text; NULL when none is. Words
 * are matched whole and in any case. */
struct company;
const struct company *company_detect(struct str text);
/* By name, in any case ("Pizza Hut"); NULL when it is none of the table. */
const struct company *company_find(struct str name);
const char *company_name(const struct company *company); /* "Pizza Hut" */
/* How its support speaks, as a part of a system prompt; NULL: the general support. "<Company> Support" with full
 * authority, asks for what identifies an order, offers refund or exchange, never sends the customer elsewhere. */
const char *company_persona(const struct company *company);

/* The presets a client may make an agent of: every company with a persona of its own, and the general one. */
struct company_preset {
    const char *name, *company, *personality, *info;
};
const struct company_preset *company_presets(size_t *n);

#endif
