#include "chat/analytics.h"

struct message_facts message_facts(const struct message *message, struct arena *arena)
{
    (void)message, (void)arena;
    return (struct message_facts){0};
}

struct str message_facts_meta(const struct message_facts *facts, struct arena *arena)
{
    (void)facts, (void)arena;
    return (struct str){0};
}

void analytics_add(struct analytics *a, const struct message *message, struct arena *scratch)
{
    (void)a, (void)message, (void)scratch;
}

int64_t analytics_duration(const struct analytics *a)
{
    (void)a;
    return 0;
}

double analytics_satisfaction(const struct analytics *a)
{
    (void)a;
    return 0;
}

bool analytics_is_urgent(const struct analytics *a)
{
    (void)a;
    return false;
}

void analytics_put(struct jw *w, const struct analytics *a)
{
    (void)w, (void)a;
}

struct analytics analytics_read(const cJSON *object)
{
    (void)object;
    return (struct analytics){0};
}
