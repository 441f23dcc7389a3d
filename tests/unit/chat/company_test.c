#include "unit/support/unit.h"

#include <stdio.h>

#include "base/macros.h"
#include "chat/company.h"
#include "chat/company_impl.h"

static void detects(const char *text, const char *expected)
{
    const struct company *company = company_detect(str_c(text));
    if (strcmp(company_name(company), expected) != 0)
        fail_msg("\"%s\" is about \"%s\", not \"%s\"", text, company_name(company), expected);
}

static void every_alias_finds_its_company(void **state)
{
    static const struct {
        const char *word, *company;
    } words[] = {{"Amazon", "Amazon"},
                 {"prime", "Amazon"},
                 {"AWS", "Amazon"},
                 {"kindle", "Amazon"},
                 {"alexa", "Amazon"},
                 {"pizza hut", "Pizza Hut"},
                 {"PizzaHut", "Pizza Hut"},
                 {"pizza", "Pizza Hut"},
                 {"netflix", "Netflix"},
                 {"streaming", "Netflix"},
                 {"apple", "Apple"},
                 {"iPhone", "Apple"},
                 {"ipad", "Apple"},
                 {"macbook", "Apple"},
                 {"mac", "Apple"},
                 {"google", "Google"},
                 {"gmail", "Google"},
                 {"android", "Google"},
                 {"pixel", "Google"},
                 {"chrome", "Google"},
                 {"microsoft", "Microsoft"},
                 {"windows", "Microsoft"},
                 {"xbox", "Microsoft"},
                 {"office", "Microsoft"},
                 {"teams", "Microsoft"},
                 {"uber", "Uber"},
                 {"uber eats", "Uber"},
                 {"ubereats", "Uber"},
                 {"ride", "Uber"},
                 {"doordash", "DoorDash"},
                 {"door dash", "DoorDash"},
                 {"food delivery", "DoorDash"},
                 {"spotify", "Spotify"},
                 {"music  streaming", "Netflix"}, /* "streaming" comes first */
                 {"bank of america", "Bank of America"},
                 {"BoA", "Bank of America"},
                 {"banking", "Bank of America"},
                 {"at&t", "AT&T"},
                 {"AT&T", "AT&T"},
                 {"att", "AT&T"},
                 {"wireless", "AT&T"},
                 {"internet\tservice", "AT&T"},
                 {"verizon", "Verizon"},
                 {"fios", "Verizon"},
                 {"walmart", "Walmart"},
                 {"wal-mart", "Walmart"},
                 {"retail", "Walmart"},
                 {"target", "Target"},
                 {"fedex", "FedEx"},
                 {"fed ex", "FedEx"},
                 {"shipping", "FedEx"},
                 {"delivery", "FedEx"},
                 {"ups", "UPS"},
                 {"united parcel service", "UPS"}};
    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        char text[80];
        detects(words[i].word, words[i].company);
        snprintf(text, sizeof text, "my (%s)!", words[i].word);
        detects(text, words[i].company);
        snprintf(text, sizeof text, "x%s %sx", words[i].word, words[i].word);
        if (!strpbrk(words[i].word, " \t-&"))
            detects(text, "");
    }
}

static void the_first_of_the_table_wins(void **state)
{
    (void)state;
    detects("fedex lost my amazon parcel", "Amazon");
    detects("the pizza came with uber eats", "Pizza Hut");
    detects("shipping by UPS", "FedEx");
    detects("groups, cups and pineapples", "");
    detects("Amazon's", "Amazon");
    detects("bank of\r\n america", "Bank of America");
    detects("at & t", "");
    detects("", "");
    detects("pizza", "Pizza Hut");
    detects("\xc3\xa9ups ups\xc3\xa9", "");
}

static void companies_are_found_by_name(void **state)
{
    (void)state;
    assert_string_equal(company_name(company_find(STR(" pizza HUT "))), "Pizza Hut");
    assert_string_equal(company_name(company_find(STR("at&t"))), "AT&T");
    assert_null(company_find(STR("pizza")));
    assert_null(company_find(STR("")));
    assert_string_equal(company_name(NULL), "");
}

static void statistics_count_substrings(void **state)
{
    (void)state;
    assert_null(company_stats_name(company_stats(STR("nothing of note"))));
    assert_string_equal(company_stats_name(company_stats(STR("Pineapples"))), "apple");
    assert_string_equal(company_stats_name(company_stats(STR("an UBER to Pizza Hut"))), "pizza hut");
    assert_string_equal(company_stats_name(company_stats(STR("airbnb"))), "airbnb");
    assert_string_equal(company_stats_name(company_stats(STR("Microsoft or Google"))), "microsoft");
    assert_int_equal(company_stats(STR("netflixamazon")), 3);
    assert_int_equal(company_stats(STR("pizza  hut amazo")), 0);
    assert_int_equal(company_stats(STR("")), 0);
    for (unsigned i = 0; i < COMPANY_STATS; i++)
        assert_int_equal(company_stats(str_c(company_stats_name(1U << i))), 1U << i);
}

static void every_persona_settles_matters_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < ncompanies; i++) {
        const char *persona = company_persona(&companies[i]);
        char title[64];
        snprintf(title, sizeof title, "You are %s Support.", companies[i].name);
        assert_int_equal(strncmp(persona, title, strlen(title)), 0);
    }
    for (size_t i = 0; i <= ncompanies; i++) {
        const char *persona = company_persona(i < ncompanies ? &companies[i] : NULL);
        assert_non_null(strstr(persona, "full authority"));
        assert_non_null(strstr(persona, "order id"));
        assert_non_null(strstr(persona, "refund"));
        assert_non_null(strstr(persona, "Never send the customer"));
        assert_true(strstr(persona, "exchange") || strstr(persona, "replacement") || strstr(persona, "fresh order"));
    }
    assert_string_not_equal(company_persona(company_find(STR("Apple"))), company_persona(NULL));
}

static void presets_fit_an_agent(void **state)
{
    static const char *const expected[] = {"Amazon", "Pizza Hut", "Netflix", "Apple", "General"};
    size_t n;
    const struct company_preset *presets = company_presets(&n);
    (void)state;
    assert_int_equal(n, COUNT(expected));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(presets[i].company, expected[i]);
        assert_in_range(strlen(presets[i].name), 1, 50);
        assert_true(*presets[i].personality && *presets[i].info);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_alias_finds_its_company),        cmocka_unit_test(the_first_of_the_table_wins),
        cmocka_unit_test(companies_are_found_by_name),          cmocka_unit_test(statistics_count_substrings),
        cmocka_unit_test(every_persona_settles_matters_itself), cmocka_unit_test(presets_fit_an_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
