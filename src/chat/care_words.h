/* What customer care says and asks, in the words of this project: welcomes, titles, prompts, fallbacks. Pure but for
 * the time given. */
#ifndef CHAT_CARE_WORDS_H
#define CHAT_CARE_WORDS_H

#include "chat/agent.h"
#include "chat/company.h"

/* The agent of the call simulator (clients' contract: Sigma of "Zero to Hero"). */
extern const struct agent care_demo;
/* Whether it is this one or a copy of it. */
bool care_is_demo(const struct agent *agent);
#define CARE_DEMO_VOICE "onyx"
#define CARE_VOICE      "alloy"

/* Welcomes. care_welcome_live: "Hi, I'm <name>. How can I help you today?"; for the demo agent its own line.
 * care_welcome_rest: a hello that varies with `seed`, the time of the day (local time of wall_ms), an offer of help. */
struct str care_welcome_live(const struct agent *agent, struct arena *arena);
struct str care_welcome_rest(const struct agent *agent, int64_t wall_ms, uint64_t seed, struct arena *arena);

/* Titles before anything was said: "Chat with <name> at <M/D/YYYY>", "Chat from <M/D/YYYY>". */
struct str care_title_live(const struct agent *agent, int64_t wall_ms, struct arena *arena);
struct str care_title_rest(int64_t wall_ms, struct arena *arena);
#define CARE_TITLE_DEMO     "Demo Call"
#define CARE_TITLE_FALLBACK "Customer Service Conversation"
/* What a model answered, as a title: quotes stripped, one line, at most LIMIT_TITLE bytes; empty when nothing is left.
 */
struct str care_title_clean(struct str answer, struct arena *arena);

/* System prompts. care_prompt: the agent's own systemPrompt, or who it is, how it speaks, what it knows, its prompts,
 * with the persona of a company it stands for or that the customer named (may be NULL; an agent of another company does
 * not take it), and that the customer is upset or in a hurry (`urgent`). */
struct str care_prompt(const struct agent *agent, const struct company *company, bool urgent, struct arena *arena);
extern const char *const care_prompt_title;     /* asks for 3 to 6 words */
extern const char *const care_prompt_sentiment; /* asks for one of the four words */

/* What the reply becomes when the model fails. */
#define CARE_APOLOGY "I'm sorry, I'm having trouble answering right now. Could you please say that again?"

#endif
