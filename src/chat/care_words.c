#include "chat/care_words.h"

const struct agent care_demo = {0};
const char *const care_prompt_title = "";
const char *const care_prompt_sentiment = "";

struct str care_welcome_live(const struct agent *agent, struct arena *arena)
{
    (void)agent, (void)arena;
    return (struct str){0};
}

struct str care_welcome_rest(const struct agent *agent, int64_t wall_ms, uint64_t seed, struct arena *arena)
{
    (void)agent, (void)wall_ms, (void)seed, (void)arena;
    return (struct str){0};
}

struct str care_title_live(const struct agent *agent, int64_t wall_ms, struct arena *arena)
{
    (void)agent, (void)wall_ms, (void)arena;
    return (struct str){0};
}

struct str care_title_rest(int64_t wall_ms, struct arena *arena)
{
    (void)wall_ms, (void)arena;
    return (struct str){0};
}

struct str care_title_clean(struct str answer, struct arena *arena)
{
    (void)answer, (void)arena;
    return (struct str){0};
}

struct str care_prompt(const struct agent *agent, const struct company *company, bool urgent, struct arena *arena)
{
    (void)agent, (void)company, (void)urgent, (void)arena;
    return (struct str){0};
}
