#include "llm/demo/rank.h"
#include "llm/demo/responder_impl.h"
#include "llm/demo/words.h"

#define NAME_MAX_BYTES 120 /* of the agent's and the company's name that are spoken */
#define FACT_MAX       240 /* bytes of quoted text after which no second sentence is quoted */
#define CASE_MAX       32  /* bytes of an order id */
#define CASE_DIGITS    4   /* that it has at least */

/* clang-format off */
#define PHRASE(literal) {" " literal " ", sizeof(literal) + 1}
/* clang-format on */

static bool says_any(const struct thought *t, const struct str *phrases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (says(t, phrases[i]))
            return true;
    return false;
}

static bool starts_any(const struct thought *t, const struct str *phrases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(t->plain, phrases[i]))
            return true;
    return false;
}

/* Text of the owner's as it is spoken: on one line, without marks of formatting. */
static void put_spoken(const struct thought *t, struct str text)
{
    while (text.n && strchr("-*#>+ \t", text.p[0]) && text.p[0])
        text = str_from(text, 1);
    bool blank = false;
    for (; text.n; text = str_from(text, 1)) {
        unsigned char c = (unsigned char)text.p[0];
        if (c && strchr("*#`|<>", c))
            continue;
        if (c > ' ' && c != 0x7F && blank)
            buf_byte(t->out, ' ');
        blank = c <= ' ' || c == 0x7F;
        if (!blank)
            buf_byte(t->out, (char)c);
    }
}

static void put_name(const struct thought *t, struct str name)
{
    put_spoken(t, shortened(name, NAME_MAX_BYTES));
}

static bool said(const struct thought *t)
{
    return t->out->len > t->begin;
}

/* A blank behind what was said already. */
static void put(const struct thought *t, const char *text)
{
    if (said(t))
        buf_byte(t->out, ' ');
    buf_str_add(t->out, str_c(text));
}

/* "<before> Nina from Zimax Bikes". */
static void put_self(const struct thought *t, const char *before)
{
    put(t, before);
    buf_byte(t->out, ' ');
    put_name(t, t->in->speaker);
    if (t->in->company.n) {
        buf_lit(t->out, " from ");
        put_name(t, t->in->company);
    }
}

/* What the text says on the question, or failing that on `topic`. */
static bool put_facts(const struct thought *t, const char *topic)
{
    struct ranking ranking = {0};
    struct str text = shortened(t->in->text, RESPONDER_TEXT);
    if (text.n == 0)
        return false;
    rank_sentences(text, t->question, &ranking);
    if (ranking.nbest == 0 && *topic)
        rank_sentences(text, str_c(topic), &ranking);
    if (ranking.nbest == 2 && ranking.best[0].n + ranking.best[1].n > FACT_MAX)
        ranking.nbest = 1;
    for (size_t i = 0; i < ranking.nbest; i++) {
        struct str fact = ranking.best[i];
        if (said(t))
            buf_byte(t->out, ' ');
        put_spoken(t, fact);
        if (!strchr(".!?", fact.p[fact.n - 1]))
            buf_byte(t->out, '.');
    }
    return ranking.nbest > 0;
}

static void put_topics(const struct thought *t)
{
    struct ranking ranking = {0};
    if (t->in->text.n)
        rank_sentences(shortened(t->in->text, RESPONDER_TEXT), STR(""), &ranking);
    size_t n = MIN(ranking.ntopics, (size_t)3);
    for (size_t i = 0; i < n; i++) {
        buf_str_add(t->out, i == 0 ? STR(" I can tell you about ") : i + 1 < n ? STR(", ") : STR(" or "));
        put_name(t, ranking.topics[i]);
    }
    if (n)
        buf_byte(t->out, '.');
}

/* What looks like an order id: digits, letters and dashes, with four digits at least, and said to be one or nearly the
 * whole message. Empty when there is none. */
static struct str find_case(const struct thought *t)
{
    static const struct str kinds[] = {PHRASE("order"),     PHRASE("number"),  PHRASE("id"),      PHRASE("booking"),
                                       PHRASE("reference"), PHRASE("invoice"), PHRASE("account"), PHRASE("ticket")};
    struct str text = t->question, found = STR_NONE;
    if (!says_any(t, kinds, COUNT(kinds)) && word_count(text) > 5)
        return STR_NONE;
    for (size_t i = 0, begin = 0, digits = 0; i <= text.n && found.n == 0; i++) {
        char c = i < text.n ? text.p[i] : ' ';
        bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        digits += digit;
        if (digit || letter || (c == '-' && i > begin))
            continue;
        if (digits >= CASE_DIGITS && i - begin <= CASE_MAX)
            found = (struct str){text.p + begin, i - begin};
        begin = i + 1;
        digits = 0;
    }
    return found;
}

static bool noted_case(const struct thought *t)
{
    struct str id = find_case(t);
    if (id.n == 0)
        return false;
    put(t, "I have noted ");
    buf_str_add(t->out, id);
    buf_byte(t->out, '.');
    return true;
}

static void put_sympathy(const struct thought *t)
{
    static const struct str pressing[] = {PHRASE("urgent"), PHRASE("emergency"), PHRASE("immediately"),
                                          PHRASE("asap"),   PHRASE("right now"), PHRASE("hurry"),
                                          PHRASE("stolen"), PHRASE("hacked")};
    static const struct str trouble[] = {
        PHRASE("broken"),  PHRASE("broke"),        PHRASE("damaged"),  PHRASE("missing"), PHRASE("wrong"),
        PHRASE("late"),    PHRASE("never"),        PHRASE("terrible"), PHRASE("angry"),   PHRASE("unhappy"),
        PHRASE("problem"), PHRASE("disappointed"), PHRASE("doesn't"),  PHRASE("faulty"),  PHRASE("lost"),
        PHRASE("worst"),   PHRASE("not working"),  PHRASE("waiting"),  PHRASE("awful"),   PHRASE("defective")};
    if (says_any(t, pressing, COUNT(pressing)))
        put(t, "I understand that this cannot wait.");
    else if (says_any(t, trouble, COUNT(trouble)))
        put(t, "I'm sorry about that.");
}

static bool reply_hello(const struct thought *t)
{
    static const struct str hellos[] = {PHRASE("hello"), PHRASE("hi"),           PHRASE("hey"),
                                        PHRASE("hallo"), PHRASE("good morning"), PHRASE("good afternoon"),
                                        PHRASE("howdy"), PHRASE("good evening")};
    if (!starts_any(t, hellos, COUNT(hellos)) || word_count(t->question) > 4)
        return false;
    put_self(t, "Hello, this is");
    buf_lit(t->out, ". What can I do for you?");
    return true;
}

static bool reply_parting(const struct thought *t)
{
    static const struct str thanks[] = {PHRASE("thank you"), PHRASE("thanks"), PHRASE("thx"), PHRASE("cheers")};
    static const struct str byes[] = {PHRASE("bye"), PHRASE("goodbye"), PHRASE("good night"), PHRASE("see you")};
    if (word_count(t->question) > 8)
        return false;
    if (says_any(t, byes, COUNT(byes))) {
        put(t, "Thank you for talking with me");
        if (t->in->company.n) {
            buf_lit(t->out, " at ");
            put_name(t, t->in->company);
        }
        buf_lit(t->out, ". Goodbye!");
        return true;
    }
    if (!says_any(t, thanks, COUNT(thanks)) || says(t, STR(" thanks for nothing ")))
        return false;
    put(t, "You're welcome. Is there anything else that I can do for you?");
    return true;
}

static bool reply_who(const struct thought *t)
{
    static const struct str asks[] = {PHRASE("who are you"),       PHRASE("who is this"),     PHRASE("your name"),
                                      PHRASE("who am i speaking"), PHRASE("what are you"),    PHRASE("are you a"),
                                      PHRASE("are you an"),        PHRASE("are you human"),   PHRASE("are you real"),
                                      PHRASE("am i talking to"),   PHRASE("am i speaking to")};
    if (!says_any(t, asks, COUNT(asks)) || word_count(t->question) > 12)
        return false;
    put_self(t, "I'm");
    buf_lit(t->out, ", an automated assistant. How can I help you?");
    return true;
}

static bool reply_cancellation(const struct thought *t)
{
    if (!str_eqc(t->in->intent, "cancellation"))
        return false;
    bool cancels = says(t, STR(" cancel ")), known = find_case(t).n > 0;
    put_sympathy(t);
    if (!said(t))
        put(t, cancels ? "I can take that up for you." : "We will find a way to settle that.");
    put_facts(t, cancels ? "cancel cancellation" : "refund return exchange warranty");
    if (known)
        noted_case(t);
    if (cancels)
        put(t, known ? "Shall I put it down as cancelled by you?" : "What is the number of the order or booking?");
    else if (known)
        put(t, "Would you rather have a refund or an exchange?");
    else
        put(t, "What is your order id, and would you rather have a refund or an exchange?");
    return true;
}

static bool reply_purchase(const struct thought *t)
{
    /* "order" is a word of purchase, but "where is my order" is about one that was made. */
    static const struct str made[] = {PHRASE("my order"),  PHRASE("the order"),    PHRASE("order number"),
                                      PHRASE("order id"),  PHRASE("an order for"), PHRASE("this order"),
                                      PHRASE("our order"), PHRASE("order status")};
    if (!str_eqc(t->in->intent, "purchase"))
        return false;
    bool about_one = says_any(t, made, COUNT(made)) || find_case(t).n > 0;
    put_sympathy(t);
    if (!said(t))
        put(t, about_one ? "Let us look at your order." : "Gladly.");
    put_facts(t, about_one ? "delivery shipping order" : "price order buy");
    if (about_one)
        put(t, noted_case(t) ? "What would you like to know or change?" : "Could you give me the order id?");
    else
        put(t, "What exactly would you like, and how many?");
    return true;
}

static bool reply_support(const struct thought *t)
{
    if (!str_eqc(t->in->intent, "support"))
        return false;
    put_sympathy(t);
    if (!said(t)) {
        put_self(t, "This is");
        buf_lit(t->out, ", and I'm here to help.");
    }
    put_facts(t, "");
    if (noted_case(t))
        put(t, "Please tell me what happened.");
    else
        put(t, "Please tell me what happened, and the order id if there is one.");
    return true;
}

/* Questions, and whatever else was said. */
static void reply_other(const struct thought *t)
{
    bool question = str_eqc(t->in->intent, "question") || str_ends(t->question, STR("?"));
    put_sympathy(t);
    if (put_facts(t, "")) {
        put(t, question ? "Does that answer your question?" : "Is there more that I can do for you?");
    } else if (noted_case(t)) {
        put(t, "What can I do about it for you?");
    } else if (question) {
        put(t, "I'm sorry, I have no information on that here.");
        put_topics(t);
        put(t, "What else can I look up for you?");
    } else {
        put(t, "Thank you for telling me.");
        put_topics(t);
        put(t, t->in->turns > 2 ? "What should happen next?" : "What would you like me to do?");
    }
}

void care_reply(const struct thought *t)
{
    static bool (*const rules[])(const struct thought *t) = {reply_hello,        reply_parting,  reply_who,
                                                             reply_cancellation, reply_purchase, reply_support};
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rules[i](t))
            return;
    reply_other(t);
}
