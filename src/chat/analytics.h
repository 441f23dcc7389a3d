/* What a conversation comes to, in figures: a fold over its messages, so that a count kept with a conversation and a
 * recount from its messages are the same thing. Pure. */
#ifndef CHAT_ANALYTICS_H
#define CHAT_ANALYTICS_H

#include "base/json.h"
#include "chat/sentiment.h"
#include "store/store.h"

struct analytics {
    int64_t counted;          /* messages folded in, of all roles: conversation.message_count when it is up to date */
    int64_t messages;         /* without role "system" */
    int64_t user_messages;    /* role "user" */
    int64_t first_user_us;    /* 0: none */
    int64_t last_us;          /* of the last message that is not "system"; 0: none */
    unsigned intents;         /* bits of chat/intent.h, of the user's messages */
    unsigned companies;       /* bits of company_stats, of all messages */
    enum sentiment sentiment; /* of the last user message that has one */
    int64_t judged;           /* user messages that have a sentiment */
    int64_t points;           /* satisfaction: sum over those, see analytics_satisfaction */
};

/* What a message's meta says of it: {"sentiment","intent","intents","confidence","audioUrl"}; members may be absent. */
struct message_facts {
    enum sentiment sentiment;
    unsigned intents;  /* 0: read from the text */
    double confidence; /* negative: not known */
    struct str audio_url;
};
struct message_facts message_facts(const struct message *message, struct arena *arena);
/* The meta for these facts: a JSON object in the arena; "" when there are none. */
struct str message_facts_meta(const struct message_facts *facts, struct arena *arena);

/* Messages go in in the order of their seq. */
void analytics_add(struct analytics *a, const struct message *message, struct arena *scratch);
/* Whole seconds from the first user message to the last message; 0 without a user message. */
int64_t analytics_duration(const struct analytics *a);
/* 1 to 5 as in customer surveys, one decimal: positive 5, neutral 3, negative 2, urgent 1, averaged; 0: nothing to
 * judge. */
double analytics_satisfaction(const struct analytics *a);
bool analytics_is_urgent(const struct analytics *a);

/* To and from the object kept in conversation.meta: {"analytics":{…}}. Reading what is no such object gives zeroes. */
void analytics_put(struct jw *w, const struct analytics *a);
struct analytics analytics_read(const cJSON *object);

#endif
