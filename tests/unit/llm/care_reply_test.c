#include "unit/support/unit.h"

#include "base/macros.h"
#include "base/utf8.h"
#include "llm/demo/rank.h"
#include "llm/demo/responder.h"

static const char info[] =
    "Zimax Bikes sells and repairs bicycles in Lisbon. Our shop opens at 9 in the morning and closes at 7 in the "
    "evening, Monday to Saturday. Returns are accepted within 30 days with the receipt!\n"
    "- Shipping inside Portugal is **free** for orders above 50 euros\n"
    "A new City bike has the price of 650 euros. We offer a two year warranty on every frame.";

static size_t sentences(struct str text)
{
    struct str sentence;
    size_t n = 0;
    while (sentence_next(&text, &sentence))
        n++;
    return n;
}

static char *say(const char *question, const char *intent, const char *text)
{
    struct buf out = BUF_INIT(KIB(16));
    struct responder_input in = {.question = str_c(question),
                                 .text = str_c(text),
                                 .turns = 1,
                                 .speaker = STR("Nina"),
                                 .company = STR("Zimax Bikes"),
                                 .intent = str_c(intent)};
    responder_reply(&in, &out);
    if (sentences(buf_str(&out)) > 4 || strpbrk(buf_cstr(&out), "*#`\n") || strstr(buf_cstr(&out), "  "))
        fail_msg("\"%s\" was answered: %s", question, buf_cstr(&out));
    char *reply = str_dup(buf_str(&out));
    buf_free(&out);
    return reply;
}

static void ask(const char *question, const char *intent, const char *expected)
{
    char *reply = say(question, intent, info);
    if (!strstr(reply, expected))
        fail_msg("\"%s\" was answered: %s", question, reply);
    free(reply);
}

static void it_speaks_in_the_agents_name(void **state)
{
    (void)state;
    ask("Hello!", "general", "Hello, this is Nina from Zimax Bikes.");
    ask("Who are you?", "question", "I'm Nina from Zimax Bikes, an automated assistant.");
    ask("Are you a human?", "general", "automated assistant");
    ask("I need help", "support", "This is Nina from Zimax Bikes, and I'm here to help.");
    ask("thanks, bye", "general", "Thank you for talking with me at Zimax Bikes. Goodbye!");
    ask("Thank you!", "general", "You're welcome.");
    static const char *const questions[] = {"Hello", "Who are you?",    "help", "What can you do?", "echo hi",
                                            "2+2",   "what time is it", "x"};
    for (size_t i = 0; i < COUNT(questions); i++) {
        char *reply = say(questions[i], "general", "");
        assert_null(strstr(reply, "responder"));
        assert_null(strstr(reply, "demo"));
        free(reply);
    }
}

static void it_answers_by_intent_from_what_the_company_says(void **state)
{
    (void)state;
    ask("When do you open?", "question", "Our shop opens at 9");
    ask("How much is shipping?", "question", "Shipping inside Portugal is free for orders above 50 euros.");
    ask("I want to return my helmet", "cancellation", "Returns are accepted within 30 days with the receipt!");
    ask("I want to return my helmet", "cancellation", "What is your order id");
    ask("I want a refund for order ZB-10442", "cancellation", "I have noted ZB-10442.");
    ask("I want a refund for order ZB-10442", "cancellation", "refund or an exchange?");
    ask("Please cancel order 7781", "cancellation", "7781. Shall I put it down as cancelled by you?");
    ask("I'd like to buy a city bike", "purchase", "A new City bike has the price of 650 euros.");
    ask("I'd like to buy a city bike", "purchase", "how many?");
    ask("Where is my order?", "purchase", "Could you give me the order id?");
    ask("Where is my order 55123?", "purchase", "I have noted 55123. What would you like to know or change?");
    ask("My wheel is broken, help", "support", "I'm sorry about that.");
    ask("It's urgent, I need support", "support", "I understand that this cannot wait.");
    ask("my number is 12345", "general", "I have noted 12345.");
    ask("I am tall", "general", "What would you like me to do?");
}

static void it_invents_nothing(void **state)
{
    (void)state;
    ask("What about quantum physics?", "question", "I have no information on that here. I can tell you about");
    char *reply = say("What are your opening hours?", "question", "");
    assert_non_null(strstr(reply, "I have no information on that here."));
    assert_null(strpbrk(reply, "0123456789"));
    free(reply);
    reply = say("I want a refund", "cancellation", "");
    assert_null(strstr(reply, "refunded"));
    assert_non_null(strstr(reply, "What is your order id"));
    free(reply);
    ask("We are 2024 people in 1999 houses and all of us like trams", "general", "Thank you for telling me.");
    ask("   ", "general", "empty message");
}

static void without_a_company_it_still_has_a_name(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(KIB(16));
    struct responder_input in = {.question = STR("hi"), .turns = 1, .speaker = STR("Nina")};
    buf_lit(&out, "before:");
    responder_reply(&in, &out);
    assert_str(buf_str(&out), "before:Hello, this is Nina. What can I do for you?");
    buf_free(&out);
}

static void odd_input_is_bounded(void **state)
{
    (void)state;
    struct buf question = BUF_INIT(MIB(1)), text = BUF_INIT(MIB(2)), out = BUF_INIT(MIB(1));
    while (question.len < KIB(512))
        buf_lit(&question, "order \xe6\x97\xa5 1234-");
    while (text.len < MIB(1))
        buf_lit(&text, "\xe6\x97\xa5\xe6\x9c\xac order. ** \n");
    static const char *const intents[] = {"question", "support", "purchase", "cancellation", "general", "", "?"};
    for (size_t i = 0; i < COUNT(intents); i++) {
        struct responder_input in = {.question = buf_str(&question),
                                     .text = buf_str(&text),
                                     .speaker = buf_str(&question),
                                     .company = buf_str(&text),
                                     .intent = str_c(intents[i])};
        buf_clear(&out);
        responder_reply(&in, &out);
        assert_true(out.len > 0 && out.len < KIB(4));
        assert_true(utf8_valid(buf_str(&out)));
    }
    buf_free(&question);
    buf_free(&text);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_speaks_in_the_agents_name),
        cmocka_unit_test(it_answers_by_intent_from_what_the_company_says),
        cmocka_unit_test(it_invents_nothing),
        cmocka_unit_test(without_a_company_it_still_has_a_name),
        cmocka_unit_test(odd_input_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
