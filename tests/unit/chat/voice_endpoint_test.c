#include "unit/support/unit.h"

#include "base/macros.h"
#include "chat/voice_endpoint.h"

struct sentence {
    const char *language, *text;
    bool complete;
};

static const struct sentence all[] = {
    {"en-US", "", true},
    {"en-US", "   ", true},
    {"en-US", "hello how are you today", true},
    {"en-US", "turn it on", true},
    {"en-US", "I like her", true},
    {"en-US", "yes", true},
    {"en-US", "is that all?", true},
    {"en-US", "and that was the end of the.", true},
    {"en-US", "my name is john and", false},
    {"en-US", "my name is john AND ", false},
    {"en-US", "and", false},
    {"en-US", "I want to go to the", false},
    {"en-US", "please call my", false},
    {"en-US", "well um", false},
    {"en-US", "two eggs,", false},
    {"en-US", "I was thinking...", false},
    {"en-US", "I was thinking\xE2\x80\xA6", false},
    {"en-US", "the band", true},
    {"EN", "I want to go to", false},
    {"", "I want to go to", false},
    {"de-DE", "ich gehe in die", false},
    {"de-DE", "ich bin f\xC3\xBCr", false},
    {"de-DE", "das war alles und", false},
    {"de-DE", "ich gehe nach hause", true},
    {"en-US", "we will die", true},
    {"fr-FR", "je voudrais une", false},
    {"fr-FR", "je rentre", true},
    {"es-ES", "quiero ir con", false},
    {"es-ES", "quiero ir", true},
    {"ja-JP", "and", true},
    {"x", "and", false},
};

static void test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        if (voice_endpoint_complete(str_c(all[i].text), str_c(all[i].language)) != all[i].complete)
            fail_msg("\"%s\" should %s complete in \"%s\"", all[i].text, all[i].complete ? "be" : "not be",
                     all[i].language);
    }
}

/* Nothing behind the text is read. */
static void test_only_the_slice_counts(void **state)
{
    (void)state;
    assert_false(voice_endpoint_complete(str_n("go to the station", 9), STR("en")));
    assert_true(voice_endpoint_complete(str_n("and", 0), STR("en")));
    assert_true(voice_endpoint_complete(STR_NONE, STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_only_the_slice_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
