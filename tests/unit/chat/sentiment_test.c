#include "unit/support/unit.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/mem.h"
#include "chat/sentiment.h"
#include "chat/sentiment_impl.h"
#include "unit/chat/sentiment_set.h"

static void answers_are_one_of_four_words(void **state)
{
    static const struct {
        const char *answer;
        enum sentiment sentiment;
    } answers[] = {{"positive", SENTIMENT_POSITIVE},
                   {" Negative\n", SENTIMENT_NEGATIVE},
                   {"\"URGENT\".", SENTIMENT_URGENT},
                   {"'neutral.'", SENTIMENT_NEUTRAL},
                   {"neutral..", SENTIMENT_UNKNOWN},
                   {"positive!", SENTIMENT_UNKNOWN},
                   {"The sentiment is positive", SENTIMENT_UNKNOWN},
                   {"positive negative", SENTIMENT_UNKNOWN},
                   {"pending", SENTIMENT_UNKNOWN},
                   {"posit", SENTIMENT_UNKNOWN},
                   {"{\"sentiment\":\"urgent\"}", SENTIMENT_UNKNOWN},
                   {"", SENTIMENT_UNKNOWN},
                   {".", SENTIMENT_UNKNOWN},
                   {"\"", SENTIMENT_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++)
        if (sentiment_of_answer(str_c(answers[i].answer)) != answers[i].sentiment)
            fail_msg("\"%s\"", answers[i].answer);
    assert_int_equal(sentiment_of_answer((struct str){"urgent\0", 7}), SENTIMENT_UNKNOWN);
    assert_int_equal(sentiment_of_answer((struct str){"\0urgent", 7}), SENTIMENT_UNKNOWN);
    assert_string_equal(sentiment_name(SENTIMENT_UNKNOWN), "pending");
    for (int i = SENTIMENT_POSITIVE; i < SENTIMENTS; i++)
        assert_int_equal(sentiment_find(str_c(sentiment_name((enum sentiment)i))), i);
    assert_int_equal(sentiment_find(STR("pending")), SENTIMENT_UNKNOWN);
}

static void check_entry(const struct sentiment_entry *entry, const struct sentiment_entry *before)
{
    if (before && strcmp(before->phrase, entry->phrase) >= 0)
        fail_msg("\"%s\" stands in the wrong place", entry->phrase);
    assert_true(entry->phrase[0] && !strstr(entry->phrase, "  "));
    for (const char *c = entry->phrase; *c; c++)
        assert_false(*c >= 'A' && *c <= 'Z');
    assert_in_range(entry->feeling + 40, 0, 40 + 150);
    assert_in_range(entry->urgency, 0, 30);
}

/* Once: of two entries for one phrase, the tables would hide one. */
static void check_single(const struct sentiment_entry *entry)
{
    size_t n = 0;
    for (size_t t = 0; t < SENTIMENT_TABLES; t++)
        for (size_t low = 0, high = sentiment_tables[t]->n; low < high;) {
            size_t middle = low + (high - low) / 2;
            int order = strcmp(sentiment_tables[t]->entries[middle].phrase, entry->phrase);
            n += order == 0;
            low = order < 0 ? middle + 1 : low;
            high = order < 0 ? high : order == 0 ? low : middle;
        }
    if (n != 1)
        fail_msg("\"%s\" is there %zu times", entry->phrase, n);
}

static void the_lexicon_is_in_order(void **state)
{
    (void)state;
    for (size_t t = 0; t < SENTIMENT_TABLES; t++) {
        const struct sentiment_table *table = sentiment_tables[t];
        assert_true(table->n > 100);
        for (size_t i = 0; i < table->n; i++) {
            check_entry(&table->entries[i], i ? &table->entries[i - 1] : NULL);
            check_single(&table->entries[i]);
        }
    }
}

static bool splits_into_its_words(struct str phrase, struct sentiment_words *words)
{
    struct str piece;
    size_t n = 0;
    sentiment_split(phrase, words);
    while (str_split(&phrase, ' ', &piece)) {
        if (n == words->ntokens || !str_eq((struct str){words->text + words->tokens[n].at, words->tokens[n].n}, piece))
            return false;
        n++;
    }
    return n == words->ntokens && words->tokens[0].sentence == words->tokens[n - 1].sentence;
}

/* Every entry can be found: as a message of its own it splits into as many words as it has. */
static void every_entry_can_be_met(void **state)
{
    (void)state;
    struct sentiment_words *words = mem_alloc(sizeof *words);
    for (size_t t = 0; t < SENTIMENT_TABLES; t++)
        for (size_t i = 0; i < sentiment_tables[t]->n; i++) {
            struct str phrase = str_c(sentiment_tables[t]->entries[i].phrase);
            if (str_find_char(phrase, '#') < 0 && !splits_into_its_words(phrase, words))
                fail_msg("\"%s\" can never be met", phrase.p);
        }
    free(words);
}

struct measured {
    unsigned count[SENTIMENTS][SENTIMENTS]; /* [labelled][found] */
    unsigned right, all;
};

static struct measured measure(const char *name, const struct labelled *set, size_t n)
{
    struct measured m = {.all = (unsigned)n};
    for (size_t i = 0; i < n; i++) {
        struct str text = str_c(set[i].text);
        struct sentiment_verdict v = sentiment_by_lexicon(&text, 1);
        assert_true(v.sentiment > SENTIMENT_UNKNOWN && v.sentiment < SENTIMENTS);
        assert_true(v.confidence >= 0 && v.confidence <= 1);
        m.count[set[i].sentiment][v.sentiment]++;
        m.right += v.sentiment == set[i].sentiment;
    }
    print_message("%s: %u of %u right\n  %-9s", name, m.right, m.all, "");
    for (int k = SENTIMENT_POSITIVE; k < SENTIMENTS; k++)
        print_message("%9s", sentiment_name((enum sentiment)k));
    for (int i = SENTIMENT_POSITIVE; i < SENTIMENTS; i++) {
        print_message("\n  %-9s", sentiment_name((enum sentiment)i));
        for (int k = SENTIMENT_POSITIVE; k < SENTIMENTS; k++)
            print_message("%9u", m.count[i][k]);
    }
    print_message("\n");
    return m;
}

/* What share of the messages of one sentiment, in both sets that the lexicon was not made on, is found. */
static double recall(const struct measured *a, const struct measured *b, enum sentiment sentiment)
{
    unsigned all = 0;
    for (int k = 0; k < SENTIMENTS; k++)
        all += a->count[sentiment][k] + b->count[sentiment][k];
    return (double)(a->count[sentiment][sentiment] + b->count[sentiment][sentiment]) / all;
}

/* The floors lie below what was measured (held_before 107 of 112, held_fresh 65 of 100): what is missed is mostly taken
 * for neutral; a good word is hardly ever taken for a bad one, and a plain question hardly ever for anything else. */
static void the_held_out_sets_are_understood(void **state)
{
    (void)state;
    struct measured tuned = measure("tuned on", tuned_on, COUNT(tuned_on));
    struct measured before = measure("held out, written before", held_before, COUNT(held_before));
    struct measured fresh = measure("held out, written after", held_fresh, COUNT(held_fresh));
    assert_true(tuned.all >= 200 && before.all + fresh.all >= 200);
    assert_true(tuned.right >= 0.9 * tuned.all);
    assert_true(before.right >= 0.85 * before.all);
    assert_true(fresh.right >= 0.6 * fresh.all);
    assert_true(before.right + fresh.right >= 0.75 * (before.all + fresh.all));
    assert_true(recall(&before, &fresh, SENTIMENT_URGENT) >= 0.68);
    assert_true(recall(&before, &fresh, SENTIMENT_NEUTRAL) >= 0.95);
    assert_true(
        fresh.count[SENTIMENT_POSITIVE][SENTIMENT_NEGATIVE] + fresh.count[SENTIMENT_NEGATIVE][SENTIMENT_POSITIVE] <= 3);
}

static struct sentiment_verdict hear(const char *const *texts, size_t n)
{
    struct str messages[40];
    for (size_t i = 0; i < n; i++)
        messages[i] = str_c(texts[i]);
    return sentiment_by_lexicon(messages, n);
}

static void felt(const char *text, enum sentiment expected)
{
    struct sentiment_verdict v = hear(&text, 1);
    if (v.sentiment != expected)
        fail_msg("\"%s\" is %s, not %s", text, sentiment_name(v.sentiment), sentiment_name(expected));
}

static void how_it_is_said_counts(void **state)
{
    (void)state;
    felt("", SENTIMENT_NEUTRAL);
    felt("I am happy", SENTIMENT_POSITIVE);
    felt("I am not happy", SENTIMENT_NEGATIVE);
    felt("I\xe2\x80\x99m not really happy", SENTIMENT_NEGATIVE);
    felt("I am never disappointed", SENTIMENT_POSITIVE);
    felt("Not at all. I am happy", SENTIMENT_POSITIVE); /* a negation ends with its clause */
    felt("It was nice, but the food was awful", SENTIMENT_NEGATIVE);
    felt("The food was awful, but now everything is excellent", SENTIMENT_POSITIVE);
    felt("No problem", SENTIMENT_NEUTRAL);
    felt("no problems, thanks", SENTIMENT_POSITIVE);
    felt("Is it urgent?", SENTIMENT_URGENT);
    felt("It's not urgent, take your time", SENTIMENT_NEUTRAL);
    felt("Great, it is broken and nobody answers.", SENTIMENT_NEGATIVE);
    felt("Do you have a nice one?", SENTIMENT_NEUTRAL);
    felt("\xf0\x9f\x98\x8a", SENTIMENT_POSITIVE);
    felt("\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", SENTIMENT_POSITIVE);
    felt("\xf0\x9f\x98\xa1", SENTIMENT_NEGATIVE);
    felt("\xf0\x9f\x86\x98", SENTIMENT_URGENT);
    felt("ok :)", SENTIMENT_POSITIVE);
    felt("ok :-(", SENTIMENT_NEGATIVE);
    felt("see http://example.com:8080/d", SENTIMENT_NEUTRAL);
}

static double confidence(const char *text)
{
    return hear(&text, 1).confidence;
}

static void stronger_words_make_surer(void **state)
{
    (void)state;
    assert_true(confidence("I am very happy") > confidence("I am happy"));
    assert_true(confidence("I am happy!!!") > confidence("I am happy"));
    assert_true(confidence("I am HAPPY with it") > confidence("I am happy with it"));
    assert_true(confidence("I am slightly happy") < confidence("I am happy"));
    assert_true(confidence("this is terrible, useless and broken") > confidence("this is bad"));
}

static void heard(enum sentiment expected, const char *const *texts, size_t n)
{
    struct sentiment_verdict v = hear(texts, n);
    if (v.sentiment != expected)
        fail_msg("after \"%s\": %s, not %s", texts[n - 1], sentiment_name(v.sentiment), sentiment_name(expected));
}

static void earlier_messages_echo(void **state)
{
    static const char *const stolen[] = {
        "My card was stolen, block it immediately!", "my number is 12345", "Yes.", "It is blue.", "Monday", "Porto"};
    static const char *const solved[] = {"My card was stolen, block it immediately!", "It is blocked? Great, thanks!"};
    static const char *const angry[] = {"My card was stolen, block it immediately!", "This is so annoying"};
    static const char *const happy[] = {"That is excellent, thank you", "my number is 12345"};
    static const char *const turned[] = {"That is excellent, thank you", "oh no, it is broken again"};
    (void)state;
    assert_int_equal(sentiment_by_lexicon(NULL, 0).sentiment, SENTIMENT_NEUTRAL);
    heard(SENTIMENT_URGENT, stolen, 1);
    heard(SENTIMENT_URGENT, stolen, 2);
    heard(SENTIMENT_URGENT, stolen, 3);
    heard(SENTIMENT_NEUTRAL, stolen, 6);
    heard(SENTIMENT_POSITIVE, solved, 2);
    heard(SENTIMENT_URGENT, angry, 2);
    heard(SENTIMENT_POSITIVE, happy, 2);
    heard(SENTIMENT_NEGATIVE, turned, 2);
    const char *many[40];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = i == 0 ? "EMERGENCY" : "ok then";
    heard(SENTIMENT_NEUTRAL, many, COUNT(many));
}

static void long_messages_are_bounded(void **state)
{
    (void)state;
    size_t size = MIB(1);
    char *text = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = "not happy! \xf0\x9f\x98\xa1 # 12 "[i % 21];
    struct str message = {text, size};
    assert_int_equal(sentiment_by_lexicon(&message, 1).sentiment, SENTIMENT_URGENT);
    memset(text, '!', size);
    assert_int_equal(sentiment_by_lexicon(&message, 1).sentiment, SENTIMENT_NEUTRAL);
    memset(text, 'a', size);
    memcpy(text + size - 12, " emergency!!", 12);
    assert_int_equal(sentiment_by_lexicon(&message, 1).sentiment, SENTIMENT_URGENT);
    memset(text, 0xF0, size);
    assert_int_equal(sentiment_by_lexicon(&message, 1).sentiment, SENTIMENT_NEUTRAL);
    free(text);
}

/* No assertion: time depends on the machine. */
static void what_it_costs(void **state)
{
    (void)state;
    uint64_t began = clock_mono_ns();
    for (size_t i = 0; i < COUNT(held_fresh); i++) {
        struct str text = str_c(held_fresh[i].text);
        sentiment_by_lexicon(&text, 1);
    }
    print_message("%.1f us a message\n", (double)(clock_mono_ns() - began) / 1e3 / COUNT(held_fresh));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_one_of_four_words),
        cmocka_unit_test(the_lexicon_is_in_order),
        cmocka_unit_test(every_entry_can_be_met),
        cmocka_unit_test(the_held_out_sets_are_understood),
        cmocka_unit_test(how_it_is_said_counts),
        cmocka_unit_test(stronger_words_make_surer),
        cmocka_unit_test(earlier_messages_echo),
        cmocka_unit_test(long_messages_are_bounded),
        cmocka_unit_test(what_it_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
