#include "chat/analytics.h"

#include "chat/company.h"
#include "chat/intent.h"

#include <math.h>

/* Of the kept object. Figures of another version read as none, so that they are counted anew: raise it when what is
 * counted changes, or what a bit means. */
#define VERSION 1

static unsigned intents_in(const cJSON *meta)
{
    const cJSON *list = json_get(meta, "intents"), *item;
    unsigned bits = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            bits |= intent_find(str_c(item->valuestring));
    }
    return bits ? bits : intent_find(json_str(meta, "intent"));
}

struct message_facts message_facts(const struct message *message, struct arena *arena)
{
    struct message_facts facts = {.confidence = -1};
    const cJSON *meta = message->meta.n ? json_parse(arena, message->meta, NULL) : NULL;
    if (!meta)
        return facts;
    facts.sentiment = sentiment_find(json_str(meta, "sentiment"));
    facts.intents = intents_in(meta);
    facts.confidence = json_num(meta, "confidence", -1);
    facts.audio_url = json_str(meta, "audioUrl");
    return facts;
}

static void put_intents(struct jw *w, unsigned intents)
{
    jw_kstr(w, "intent", str_c(intent_name(intent_main(intents))));
    jw_key(w, "intents");
    jw_arr(w);
    for (unsigned i = 0; i < INTENTS; i++)
        if (intents & 1U << i)
            jw_str(w, str_c(intent_name((enum intent)(1U << i))));
    jw_end_arr(w);
}

struct str message_facts_meta(const struct message_facts *facts, struct arena *arena)
{
    if (!facts->sentiment && !facts->intents && facts->confidence < 0 && !facts->audio_url.n)
        return STR("");
    struct buf out = BUF_INIT(KIB(64));
    struct jw w = jw_begin(&out);
    jw_obj(&w);
    if (facts->sentiment)
        jw_kstr(&w, "sentiment", str_c(sentiment_name(facts->sentiment)));
    if (facts->intents)
        put_intents(&w, facts->intents);
    if (facts->confidence >= 0)
        jw_knum(&w, "confidence", round(facts->confidence * 100) / 100);
    if (facts->audio_url.n)
        jw_kstr(&w, "audioUrl", facts->audio_url);
    jw_end_obj(&w);
    struct str meta = jw_ok(&w) ? arena_str(arena, buf_str(&out)) : STR("");
    buf_free(&out);
    return meta;
}

static int64_t points_of(enum sentiment sentiment)
{
    switch (sentiment) {
    case SENTIMENT_POSITIVE:
        return 5;
    case SENTIMENT_NEUTRAL:
        return 3;
    case SENTIMENT_NEGATIVE:
        return 2;
    case SENTIMENT_URGENT:
        return 1;
    case SENTIMENT_UNKNOWN:
    case SENTIMENTS:
        break;
    }
    return 0;
}

static void add_user_message(struct analytics *a, const struct message *message, struct arena *scratch)
{
    struct message_facts facts = message_facts(message, scratch);
    a->user_messages++;
    if (!a->first_user_us)
        a->first_user_us = message->created_us;
    a->intents |= facts.intents ? facts.intents : intents_of(message->content);
    if (facts.sentiment) {
        a->sentiment = facts.sentiment;
        a->judged++;
        a->points += points_of(facts.sentiment);
    }
}

void analytics_add(struct analytics *a, const struct message *message, struct arena *scratch)
{
    a->counted++;
    a->companies |= company_stats(message->content);
    if (str_eqc(message->role, "system"))
        return;
    a->messages++;
    a->last_us = message->created_us;
    if (str_eqc(message->role, "user"))
        add_user_message(a, message, scratch);
}

int64_t analytics_duration(const struct analytics *a)
{
    int64_t us = a->first_user_us ? a->last_us - a->first_user_us : 0;
    return us > 0 ? us / 1000000 : 0;
}

double analytics_satisfaction(const struct analytics *a)
{
    return a->judged ? round((double)a->points * 10 / (double)a->judged) / 10 : 0;
}

bool analytics_is_urgent(const struct analytics *a)
{
    return a->sentiment == SENTIMENT_URGENT;
}

void analytics_put(struct jw *w, const struct analytics *a)
{
    jw_obj(w);
    jw_kint(w, "v", VERSION);
    jw_kint(w, "counted", a->counted);
    jw_kint(w, "messages", a->messages);
    jw_kint(w, "userMessages", a->user_messages);
    jw_kint(w, "firstUserUs", a->first_user_us);
    jw_kint(w, "lastUs", a->last_us);
    jw_kint(w, "intents", a->intents);
    jw_kint(w, "companies", a->companies);
    jw_kstr(w, "sentiment", str_c(sentiment_name(a->sentiment)));
    jw_kint(w, "judged", a->judged);
    jw_kint(w, "points", a->points);
    jw_end_obj(w);
}

/* A number that is no whole one within what a double holds exactly reads as 0. */
static int64_t whole(const cJSON *object, const char *key)
{
    double value = json_num(object, key, 0);
    return value >= 0 && value <= 9007199254740992.0 && trunc(value) == value ? (int64_t)value : 0;
}

struct analytics analytics_read(const cJSON *object)
{
    if (whole(object, "v") != VERSION)
        return (struct analytics){0};
    return (struct analytics){
        .counted = whole(object, "counted"),
        .messages = whole(object, "messages"),
        .user_messages = whole(object, "userMessages"),
        .first_user_us = whole(object, "firstUserUs"),
        .last_us = whole(object, "lastUs"),
        .intents = (unsigned)whole(object, "intents") & ((1U << INTENTS) - 1),
        .companies = (unsigned)whole(object, "companies") & ((1U << COMPANY_STATS) - 1),
        .sentiment = sentiment_find(json_str(object, "sentiment")),
        .judged = whole(object, "judged"),
        .points = whole(object, "points"),
    };
}
