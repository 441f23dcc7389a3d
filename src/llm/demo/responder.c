#include "llm/demo/responder.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "llm/demo/rank.h"
#include "llm/demo/responder_impl.h"
#include "llm/demo/sum.h"
#include "llm/demo/words.h"

#include <math.h>
#include <time.h>

#define QUOTED 200 /* bytes of the user's own words that are repeated */

static void put_plain(struct buf *out, struct str text)
{
    struct str word;
    buf_byte(out, ' ');
    while (word_next(&text, &word)) {
        for (size_t i = 0; i < word.n; i++)
            buf_byte(out, word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] + 32) : word.p[i]);
        buf_byte(out, ' ');
    }
}

/* The user's words on one line, in quotes. */
static void put_quoted(struct buf *out, struct str text)
{
    struct str shown = shortened(text, QUOTED);
    buf_byte(out, '"');
    for (size_t i = 0; i < shown.n; i++)
        buf_byte(out, (unsigned char)shown.p[i] < 0x20 ? ' ' : shown.p[i]);
    if (shown.n < text.n)
        buf_lit(out, "...");
    buf_byte(out, '"');
}

/* What follows a colon or stands in quotes; else the text without its first `skip` words. */
static struct str argument(struct str text, size_t skip)
{
    ptrdiff_t quote = str_find_char(text, '"'), colon = str_find_char(text, ':');
    if (quote >= 0) {
        struct str rest = str_from(text, (size_t)quote + 1);
        ptrdiff_t end = str_find_char(rest, '"');
        return str_trim(end >= 0 ? (struct str){rest.p, (size_t)end} : rest);
    }
    if (colon >= 0)
        return str_trim(str_from(text, (size_t)colon + 1));
    struct str word;
    while (skip-- && word_next(&text, &word))
        ;
    return str_trim(text);
}

static bool reply_echo(const struct thought *t)
{
    struct str said = STR_NONE;
    if (str_starts(t->plain, STR(" echo ")))
        said = argument(t->question, 1);
    else if (str_starts(t->plain, STR(" repeat after me ")))
        said = argument(t->question, 3);
    else if (str_starts(t->plain, STR(" say ")) || str_starts(t->plain, STR(" repeat ")))
        said = argument(t->question, 1);
    return said.n > 0 && buf_str_add(t->out, said) == 0;
}

static bool reply_count(const struct thought *t)
{
    if (!says(t, STR(" how many words ")) && !says(t, STR(" count the words ")) && !says(t, STR(" count words ")))
        return false;
    bool given = str_find_char(t->question, '"') >= 0 || str_find_char(t->question, ':') >= 0;
    struct str text = given ? argument(t->question, 0) : t->question;
    size_t n = word_count(text);
    buf_addf(t->out, "%s has %zu %s.", given ? "That text" : "Your message", n, n == 1 ? "word" : "words");
    return true;
}

static bool reply_time(const struct thought *t)
{
    static const struct str phrases[] = {
        {" what time ", 11}, {" the time ", 10},   {" what day ", 10},  {" today's date ", 14}, {" the date ", 10},
        {" what date ", 11}, {" date today ", 12}, {" day is it ", 11}, {" what year ", 11},    {" which day is ", 14}};
    bool asked = false;
    for (size_t i = 0; i < COUNT(phrases); i++)
        asked = asked || says(t, phrases[i]);
    if (!asked || t->in->text.n > 0) /* with a text, "what time do you open" is about the text */
        return false;
    time_t now = (time_t)(t->in->wall_ms / 1000);
    struct tm tm;
    char text[80];
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "It is %A, %e %B %Y, %H:%M UTC.", &tm);
    buf_str_add(t->out, str_c(text));
    return true;
}

static bool reply_sum(const struct thought *t)
{
    struct str expression;
    double value;
    if (!sum_find(t->question, &expression, &value))
        return false;
    /* Dates, ranges and telephone numbers look like sums too. */
    bool asked = says(t, STR(" what is ")) || says(t, STR(" what's ")) || says(t, STR(" calculate ")) ||
                 says(t, STR(" compute ")) || says(t, STR(" how much is "));
    if (!asked && expression.n * 2 < t->question.n)
        return false;
    buf_str_add(t->out, expression);
    if (fabs(value) < 1e15 && floor(value) == value)
        buf_addf(t->out, " = %.0f.", value);
    else
        buf_addf(t->out, " = %.10g.", value);
    return true;
}

static bool reply_greeting(const struct thought *t)
{
    static const struct str greetings[] = {
        {" hello ", 7},           {" hi ", 4},           {" hey ", 5}, {" hallo ", 7}, {" good morning ", 14},
        {" good afternoon ", 16}, {" good evening ", 14}};
    bool greets = false;
    for (size_t i = 0; i < COUNT(greetings); i++)
        greets = greets || str_starts(t->plain, greetings[i]);
    if (!greets || word_count(t->question) > 4)
        return false;
    if (t->in->text.n > 0)
        buf_lit(t->out, "Hello! How can I help you today?");
    else
        buf_lit(t->out, "Hello! I am the demo assistant built into this server. What can I do for you?");
    return true;
}

static bool reply_courtesy(const struct thought *t)
{
    if (word_count(t->question) > 6)
        return false;
    if (says(t, STR(" thanks ")) || says(t, STR(" thank you ")))
        buf_lit(t->out, "You are welcome! Is there anything else?");
    else if (says(t, STR(" bye ")) || says(t, STR(" goodbye ")) || says(t, STR(" see you ")))
        buf_lit(t->out, "Goodbye, and have a good day!");
    else if (says(t, STR(" how are you ")))
        buf_lit(t->out, "I am well, thank you: every word you read was made on this machine. How can I help?");
    else
        return false;
    return true;
}

static bool reply_about_itself(const struct thought *t)
{
    static const struct str phrases[] = {{" who are you ", 13},     {" what are you ", 14},   {" your name ", 11},
                                         {" what can you do ", 17}, {" are you a ", 11},      {" are you an ", 12},
                                         {" which model ", 13},     {" what model ", 12},     {" help ", 6},
                                         {" about yourself ", 16},  {" how do you work ", 17}};
    bool asked = false;
    for (size_t i = 0; i < COUNT(phrases); i++)
        asked = asked || says(t, phrases[i]);
    if (!asked || word_count(t->question) > 12)
        return false;
    buf_lit(t->out,
            "I am the responder built into this server, not a language model. I work without an account, a key or "
            "the network. I can answer from a text that I am given, echo what you say, count words, do simple "
            "arithmetic, and tell the date and time. Configure an OpenAI-compatible or Azure model to have real "
            "conversations here.");
    return true;
}

static bool reply_from_text(const struct thought *t)
{
    struct ranking ranking;
    if (t->in->text.n == 0)
        return false;
    rank_sentences(shortened(t->in->text, RESPONDER_TEXT), t->question, &ranking);
    for (size_t i = 0; i < ranking.nbest; i++) {
        if (i > 0)
            buf_byte(t->out, ' ');
        buf_str_add(t->out, ranking.best[i]);
        if (!strchr(".!?", ranking.best[i].p[ranking.best[i].n - 1]))
            buf_byte(t->out, '.');
    }
    return ranking.nbest > 0;
}

static bool reply_topics(const struct thought *t)
{
    struct ranking ranking;
    if (t->in->text.n == 0)
        return false;
    rank_sentences(shortened(t->in->text, RESPONDER_TEXT), STR(""), &ranking);
    buf_lit(t->out, "I am sorry, I have nothing on that.");
    for (size_t i = 0; i < ranking.ntopics; i++) {
        buf_str_add(t->out, i == 0                    ? STR(" I can tell you about ")
                            : i + 1 < ranking.ntopics ? STR(", ")
                                                      : STR(" and "));
        buf_str_add(t->out, ranking.topics[i]);
    }
    if (ranking.ntopics)
        buf_byte(t->out, '.');
    return true;
}

static bool reply_understood(const struct thought *t)
{
    struct str rest = t->question, word, seen[5];
    size_t n = 0;
    buf_lit(t->out, "You said: ");
    put_quoted(t->out, t->question);
    buf_byte(t->out, '.');
    while (n < COUNT(seen) && word_next(&rest, &word)) {
        bool new = word.n > 2 && word.n < WORD_MAX && !word_is_stop(word);
        for (size_t i = 0; i < n; i++)
            new = new && !str_ieq(seen[i], word);
        if (new)
            seen[n++] = word;
    }
    for (size_t i = 0; i < n; i++) {
        buf_str_add(t->out, i == 0 ? STR(" I understood that it is about ") : i + 1 < n ? STR(", ") : STR(" and "));
        buf_str_add(t->out, seen[i]);
    }
    if (n)
        buf_byte(t->out, '.');
    if (t->in->turns > 1)
        buf_addf(t->out, " That was message %zu of our conversation.", t->in->turns);
    buf_lit(t->out, " I am the demo assistant and cannot say more about it; configure a model for real answers.");
    return true;
}

void responder_reply(const struct responder_input *in, struct buf *out)
{
    static bool (*const rules[])(const struct thought *t) = {
        reply_echo,     reply_count,     reply_sum,          reply_time,   reply_greeting,
        reply_courtesy, reply_from_text, reply_about_itself, reply_topics, reply_understood};
    struct buf plain = BUF_INIT(SIZE_MAX);
    struct thought t = {
        .in = in, .question = str_trim(shortened(in->question, RESPONDER_QUESTION)), .out = out, .begin = out->len};
    if (t.question.n == 0) {
        buf_lit(out, "I got an empty message. Please write something.");
        return;
    }
    put_plain(&plain, t.question);
    t.plain = buf_str(&plain);
    if (in->speaker.n)
        care_reply(&t);
    else
        for (size_t i = 0; i < COUNT(rules) && !rules[i](&t); i++)
            ;
    buf_free(&plain);
}
