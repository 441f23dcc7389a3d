#include "chat/care_words.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <time.h>

/* clang-format off */
#define TEXT(literal) {literal, sizeof(literal) - 1}
/* clang-format on */

const struct agent care_demo = {
    .name = TEXT("Sigma"),
    .company = TEXT("Zero to Hero"),
    .personality = TEXT("motivational, strategic, and sharp-witted"),
    .info = TEXT("Zero to Hero coaches people who start from nothing and want to get good at something: work, study, "
                 "sport or a business of their own. A coaching call begins with one clear goal. Then we choose the "
                 "smallest step that can be done today and agree on when it will be done. Plans are kept for thirty "
                 "days at a time and looked at again every week. Setbacks are part of every plan: we look for the "
                 "cause, change the plan and go on. The call is a demonstration and costs nothing."),
    .prompts = TEXT("[\"Answer in one to three short sentences that sound good when they are spoken.\","
                    "\"End with one concrete step or one question that moves the caller forward.\","
                    "\"Be witty about excuses, never about people.\"]"),
    .meta = TEXT("{\"voice\":\"" CARE_DEMO_VOICE "\"}"),
};

#define DEMO_WELCOME                                                                                                   \
    "Sigma on the line from Zero to Hero: tell me where you stand and where you want to be, and we will find the "     \
    "first step."

bool care_is_demo(const struct agent *agent)
{
    return agent == &care_demo || (agent->id.n == 0 && agent->name.p == care_demo.name.p);
}

struct str care_welcome_live(const struct agent *agent, struct arena *arena)
{
    if (care_is_demo(agent))
        return STR(DEMO_WELCOME);
    return arena_printf(arena, "Hi, I'm %.*s. How can I help you today?", STR_ARG(agent->name));
}

static struct tm local_time(int64_t wall_ms)
{
    struct tm tm = {0};
    time_t seconds = (time_t)(wall_ms / 1000);
    localtime_r(&seconds, &tm);
    return tm;
}

struct str care_welcome_rest(const struct agent *agent, int64_t wall_ms, uint64_t seed, struct arena *arena)
{
    static const char *const hellos[] = {"Hi there!", "Hello!", "Hey!", "Welcome!", "Nice to meet you!"};
    static const char *const offers[] = {"How can I help you?", "What can I do for you?", "What brings you here today?",
                                         "Tell me what you need and I'll take care of it."};
    if (care_is_demo(agent))
        return STR(DEMO_WELCOME);
    int hour = local_time(wall_ms).tm_hour;
    const char *time_of_day = hour < 12 ? "Morning!" : hour < 17 ? "Afternoon!" : "Evening!";
    bool company = agent->company.n > 0;
    return arena_printf(arena, "%s %s I'm %.*s%s%.*s. %s", hellos[seed % COUNT(hellos)], time_of_day,
                        STR_ARG(agent->name), company ? " from " : "", STR_ARG(agent->company),
                        offers[seed / COUNT(hellos) % COUNT(offers)]);
}

struct str care_title_live(const struct agent *agent, int64_t wall_ms, struct arena *arena)
{
    struct tm tm = local_time(wall_ms);
    return arena_printf(arena, "Chat with %.*s at %d/%d/%d", STR_ARG(agent->name), tm.tm_mon + 1, tm.tm_mday,
                        tm.tm_year + 1900);
}

struct str care_title_rest(int64_t wall_ms, struct arena *arena)
{
    struct tm tm = local_time(wall_ms);
    return arena_printf(arena, "Chat from %d/%d/%d", tm.tm_mon + 1, tm.tm_mday, tm.tm_year + 1900);
}

/* Bytes at the begin of `text` that are a quote; 0 when it begins with none. */
static size_t quote(struct str text)
{
    static const struct str quotes[] = {
        TEXT("\""), TEXT("'"), TEXT("\xe2\x80\x98"), TEXT("\xe2\x80\x99"), TEXT("\xe2\x80\x9c"), TEXT("\xe2\x80\x9d")};
    for (size_t i = 0; i < COUNT(quotes); i++)
        if (str_starts(text, quotes[i]))
            return quotes[i].n;
    return 0;
}

static struct str first_line(struct str text)
{
    struct str line = STR_NONE;
    while (line.n == 0 && str_split(&text, '\n', &line))
        line = str_trim(line);
    return line;
}

/* Marks of a heading or of emphasis, and what announces a title. */
static struct str bare_title(struct str line)
{
    static const struct str announced = TEXT("title:");
    while (line.n && strchr("#*_` ", line.p[0]))
        line = str_from(line, 1);
    if (str_ieq((struct str){line.p, announced.n < line.n ? announced.n : line.n}, announced))
        line = str_from(line, announced.n);
    while (line.n && strchr("#*_` ", line.p[0]))
        line = str_from(line, 1);
    while (line.n && strchr("*_`. \t\r", line.p[line.n - 1]))
        line.n--;
    return line;
}

struct str care_title_clean(struct str answer, struct arena *arena)
{
    struct str line = first_line(answer);
    if (line.n > 2 * LIMIT_TITLE)
        line.n = utf8_whole(line.p, 2 * LIMIT_TITLE);
    char *out = arena_alloc(arena, line.n + 1);
    size_t n = 0;
    while (line.n) {
        size_t skip = quote(line);
        if (skip == 0) {
            unsigned char c = (unsigned char)line.p[0];
            bool blank = c <= ' ' || c == 0x7F;
            if (!blank || (n && out[n - 1] != ' '))
                out[n++] = blank ? ' ' : (char)c;
            skip = 1;
        }
        line = str_from(line, skip);
    }
    out[n] = 0;
    struct str title = bare_title((struct str){out, n});
    if (title.n > LIMIT_TITLE)
        title = str_trim((struct str){title.p, utf8_whole(title.p, LIMIT_TITLE)});
    return title;
}
