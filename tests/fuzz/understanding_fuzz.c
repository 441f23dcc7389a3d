/* What customer care makes of any text: each line is a message. Nothing is read past its end, every answer is one of
 * those promised, and whole words are never found where a substring is not. */
#include "fuzz.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "chat/care_words.h"
#include "chat/company.h"
#include "chat/intent.h"
#include "chat/sentiment.h"

#define MESSAGES 12

static void check_words(struct str text)
{
    unsigned intents = intents_of(text), bits = company_stats(text);
    CHECK(intents > 0 && intents < 1U << INTENTS);
    CHECK(!(intents & INTENT_GENERAL) || intents == INTENT_GENERAL);
    CHECK(intent_find(str_c(intent_name(intent_main(intents)))) & intents);
    CHECK(bits < 1U << COMPANY_STATS);
    CHECK((company_stats_name(bits) == NULL) == (bits == 0));
    const struct company *company = company_detect(text);
    CHECK(!company || company_find(str_c(company_name(company))) == company);
    CHECK(*company_persona(company));
    CHECK(str_find(text, STR("amazon")) < 0 || bits & 1);
    enum sentiment answer = sentiment_of_answer(text);
    CHECK(answer == SENTIMENT_UNKNOWN || text.n >= 6);
}

static void check_prompt(struct str text)
{
    struct arena *arena = arena_new("fuzz");
    struct agent agent = {.name = text, .company = text, .info = text, .prompts = text};
    struct str title = care_title_clean(text, arena);
    CHECK(title.n <= LIMIT_TITLE && str_find_char(title, '"') < 0 && str_find_char(title, '\n') < 0);
    CHECK(!utf8_valid(text) || utf8_valid(title));
    CHECK(care_prompt(&agent, company_detect(text), true, arena).n > 0);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, line, messages[MESSAGES];
    size_t n = 0;
    while (n < MESSAGES && str_split(&rest, '\n', &line)) {
        messages[n] = fuzz_piece(&line, line.n);
        check_words(messages[n]);
        check_prompt(messages[n++]);
    }
    for (size_t i = 0; i <= n; i++) {
        struct sentiment_verdict v = sentiment_by_lexicon(messages, i), again = sentiment_by_lexicon(messages, i);
        CHECK(v.sentiment > SENTIMENT_UNKNOWN && v.sentiment < SENTIMENTS);
        CHECK(v.confidence >= 0 && v.confidence <= 1);
        CHECK(v.sentiment == again.sentiment);
    }
    for (size_t i = 0; i < n; i++)
        fuzz_piece_free(messages[i]);
    return 0;
}
